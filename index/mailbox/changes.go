package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/uidset"
)

// Changed reads the UIDs of messages whose modification sequence is above since. The cost is that
// of the changes.
func Changed(r kv.Reader, a index.AccountID, id index.MailboxID, since index.ModSeq) (*uidset.Set, error) {
	return sequenced(r, keys.TableChange, a, id, since)
}

// Vanished reads the UIDs that were expunged at a modification sequence above since, as far as they
// are remembered; complete says that none was forgotten (RFC 7162, section 3.2.5.1).
func Vanished(r kv.Reader, a index.AccountID, id index.MailboxID, since index.ModSeq) (gone *uidset.Set, complete bool, err error) {
	value, ok, err := r.Get(keys.Mailbox(nil, a, id))
	if err != nil {
		return nil, false, err
	}
	var rec indexpb.MailboxRecord
	if ok {
		if err := rec.UnmarshalVT(value); err != nil {
			return nil, false, fmt.Errorf("record of mailbox %d of account %d: %w: %w", id, a, err, ErrCorrupt)
		}
	}
	gone, err = sequenced(r, keys.TableTombstone, a, id, since)
	return gone, uint64(since) >= rec.ForgottenModSeq, err
}

func sequenced(r kv.Reader, t keys.Table, a index.AccountID, id index.MailboxID, since index.ModSeq) (*uidset.Set, error) {
	set := uidset.New()
	if since == ^index.ModSeq(0) {
		return set, nil
	}
	lower := keys.Sequenced(nil, t, a, id, since+1, 0)
	it, err := r.Scan(lower, keys.After(nil, keys.InMailbox(nil, t, a, id)))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		_, u, err := keys.ReadSequenced(it.Key())
		if err != nil {
			return nil, err
		}
		set.Add(u)
	}
	return set, it.Error()
}
