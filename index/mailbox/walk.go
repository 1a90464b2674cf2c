package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/uidset"
)

// WalkFlags calls fn with the flags of each message of a mailbox that is in uids, ascending. The
// record is valid until fn returns. UIDs that are no messages are passed over.
func WalkFlags(r kv.Reader, a index.AccountID, id index.MailboxID, uids *uidset.Set, fn func(index.UID, *indexpb.FlagRecord) error) error {
	rec := new(indexpb.FlagRecord)
	return walk(r, keys.TableFlags, a, id, uids, func(u index.UID, value []byte) error {
		*rec = indexpb.FlagRecord{Keywords: rec.Keywords[:0]}
		if err := rec.UnmarshalVT(value); err != nil {
			return fmt.Errorf("flags of message %d: %w: %w", u, err, ErrCorrupt)
		}
		return fn(u, rec)
	})
}

// WalkMessages calls fn with the flags and summary of each message of a mailbox that is in uids,
// ascending. The records, and what they refer to, are valid until fn returns.
func WalkMessages(r kv.Reader, a index.AccountID, id index.MailboxID, uids *uidset.Set, fn func(index.UID, *indexpb.FlagRecord, *indexpb.Summary) error) error {
	prefix := keys.InMailbox(nil, keys.TableFlags, a, id)
	flags, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return err
	}
	defer flags.Close()
	side := follower{it: flags}
	summary, rec := new(indexpb.Summary), new(indexpb.FlagRecord)
	return walk(r, keys.TableSummary, a, id, uids, func(u index.UID, value []byte) error {
		*summary = indexpb.Summary{}
		if err := summary.UnmarshalVTUnsafe(value); err != nil {
			return fmt.Errorf("summary of message %d: %w: %w", u, err, ErrCorrupt)
		}
		side.key = keys.Message(side.key[:0], keys.TableFlags, a, id, u)
		value, err := side.value()
		if err != nil {
			return fmt.Errorf("flags of message %d of mailbox %d of account %d: %w", u, id, a, err)
		}
		*rec = indexpb.FlagRecord{Keywords: rec.Keywords[:0]}
		if err := rec.UnmarshalVT(value); err != nil {
			return fmt.Errorf("flags of message %d: %w: %w", u, err, ErrCorrupt)
		}
		return fn(u, rec, summary)
	})
}

// follower reads keys that ascend, by stepping where the next one is wanted and seeking otherwise.
type follower struct {
	it  kv.Iterator
	key []byte
	at  bool
}

func (f *follower) value() ([]byte, error) {
	if f.at && f.it.Next() && string(f.it.Key()) == string(f.key) {
		return f.it.Value()
	}
	f.at = f.it.SeekGE(f.key)
	if !f.at || string(f.it.Key()) != string(f.key) {
		if err := f.it.Error(); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("no record: %w", ErrCorrupt)
	}
	return f.it.Value()
}

// walk calls fn with the values of table t for the members of uids, ascending, seeking once for
// each range of them.
func walk(r kv.Reader, t keys.Table, a index.AccountID, id index.MailboxID, uids *uidset.Set, fn func(index.UID, []byte) error) error {
	prefix := keys.InMailbox(nil, t, a, id)
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	var at index.UID // where the iterator stands; 0 is nowhere yet
	var key []byte
	for rg := range uids.Ranges() {
		if at < rg.Lo {
			key = keys.Message(key[:0], t, a, id, rg.Lo)
			if !it.SeekGE(key) {
				break
			}
			if at, err = uidOf(it); err != nil {
				return err
			}
		}
		for at <= rg.Hi {
			value, err := it.Value()
			if err != nil {
				return err
			}
			if err := fn(at, value); err != nil {
				return err
			}
			if !it.Next() {
				return it.Error()
			}
			if at, err = uidOf(it); err != nil {
				return err
			}
		}
	}
	return it.Error()
}

func uidOf(it kv.Iterator) (index.UID, error) {
	u, err := keys.LastField(it.Key())
	return index.UID(u), err
}

// Words returns the keywords of a flag record in a mailbox with the given keywords.
func Words(keywords []string, rec *indexpb.FlagRecord) []string { return words(keywords, rec.Keywords) }
