package mailbox

import (
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/uidset"
)

// Account reads what an account uses of its quota, or ok false where it was never used.
func Account(r kv.Reader, a index.AccountID) (u index.Usage, ok bool, err error) {
	value, ok, err := r.Get(keys.Account(nil, a))
	if err != nil || !ok {
		return index.Usage{}, false, err
	}
	var rec indexpb.AccountRecord
	if err := rec.UnmarshalVT(value); err != nil {
		return index.Usage{}, false, fmt.Errorf("record of account %d: %w: %w", a, err, ErrCorrupt)
	}
	return index.Usage{Bytes: rec.UsedBytes, Messages: rec.UsedMessages}, true, nil
}

// Find returns the id of the mailbox of a canonical name, or ok false.
func Find(r kv.Reader, a index.AccountID, name string) (id index.MailboxID, ok bool, err error) {
	value, ok, err := r.Get(keys.Name(nil, a, name))
	if err != nil || !ok {
		return 0, false, err
	}
	id, err = keys.DecodeID(value)
	return id, err == nil, err
}

// Load reads a mailbox, or returns ok false where there is none of that id.
func Load(r kv.Reader, a index.AccountID, id index.MailboxID) (m index.Mailbox, ok bool, err error) {
	value, ok, err := r.Get(keys.Mailbox(nil, a, id))
	if err != nil || !ok {
		return index.Mailbox{}, false, err
	}
	m, err = decodeMailbox(id, value)
	return m, err == nil, err
}

// eachMailbox calls fn for each mailbox of an account, with its record, which is valid until fn returns.
func eachMailbox(r kv.Reader, a index.AccountID, fn func(id index.MailboxID, value []byte) error) error {
	return scan(r, keys.InAccount(nil, keys.TableMailbox, a), func(it kv.Iterator) error {
		value, err := it.Value()
		if err != nil {
			return err
		}
		id, err := keys.LastField(it.Key())
		if err != nil {
			return err
		}
		return fn(index.MailboxID(id), value)
	})
}

// List reads all mailboxes of an account, and with id 0 the names that are only subscribed. The
// order is that of the ids.
func List(r kv.Reader, a index.AccountID) (all []index.Mailbox, err error) {
	err = eachMailbox(r, a, func(id index.MailboxID, value []byte) error {
		m, err := decodeMailbox(id, append([]byte(nil), value...))
		all = append(all, m)
		return err
	})
	if err == nil {
		err = scan(r, keys.InAccount(nil, keys.TableSubscription, a), func(it kv.Iterator) error {
			name, err := keys.ReadName(it.Key())
			all = append(all, index.Mailbox{Name: name, Subscribed: true})
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list mailboxes of account %d: %w", a, err)
	}
	return all, nil
}

// UIDs reads the UIDs of a mailbox.
func UIDs(r kv.Reader, a index.AccountID, id index.MailboxID) (*uidset.Set, error) {
	return members(r, keys.TableUIDs, a, id)
}

// Unseen reads the UIDs without \Seen of a mailbox.
func Unseen(r kv.Reader, a index.AccountID, id index.MailboxID) (*uidset.Set, error) {
	return members(r, keys.TableUnseen, a, id)
}

// Deleted reads the UIDs with \Deleted of a mailbox.
func Deleted(r kv.Reader, a index.AccountID, id index.MailboxID) (*uidset.Set, error) {
	return members(r, keys.TableDeleted, a, id)
}

func members(r kv.Reader, t keys.Table, a index.AccountID, id index.MailboxID) (*uidset.Set, error) {
	set := uidset.New()
	err := scanEncoded(r, t, a, id, func(n uint32, value []byte) (bool, error) { return true, set.PutEncoded(n, value) })
	if err != nil {
		return nil, fmt.Errorf("blocks of mailbox %d of account %d: %w", id, a, err)
	}
	return set, nil
}

// FirstUnseen reads the lowest UID without \Seen of a mailbox, or 0. It reads one key.
func FirstUnseen(r kv.Reader, a index.AccountID, id index.MailboxID) (u index.UID, err error) {
	err = scanBlocks(r, keys.TableUnseen, a, id, func(n uint32, b *uidset.Block) bool {
		u = b.First(n)
		return false
	})
	return u, err
}

// scanBlocks calls fn for the stored blocks of a mailbox, ascending, until it returns false.
func scanBlocks(r kv.Reader, t keys.Table, a index.AccountID, id index.MailboxID, fn func(uint32, *uidset.Block) bool) error {
	return scanEncoded(r, t, a, id, func(n uint32, value []byte) (bool, error) {
		b, err := uidset.DecodeBlock(value)
		if err != nil {
			return false, fmt.Errorf("block %d of mailbox %d of account %d: %w: %w", n, id, a, err, ErrCorrupt)
		}
		return fn(n, &b), nil
	})
}

// scanEncoded is scanBlocks with blocks as they are stored, valid until fn returns.
func scanEncoded(r kv.Reader, t keys.Table, a index.AccountID, id index.MailboxID, fn func(n uint32, value []byte) (more bool, err error)) error {
	prefix := keys.InMailbox(nil, t, a, id)
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; {
		n, err := keys.LastField(it.Key())
		if err != nil {
			return err
		}
		value, err := it.Value()
		if err != nil {
			return err
		}
		if more, err := fn(n, value); err != nil || !more {
			return err
		}
		ok = nextBlock(it, t, a, id, n)
	}
	return it.Error()
}

// nextBlock moves it from block n of a mailbox to the one after it. It seeks rather than steps: each
// message that comes writes its block again, and a step passes all versions that are still in memory.
func nextBlock(it kv.Iterator, t keys.Table, a index.AccountID, id index.MailboxID, n uint32) bool {
	return it.SeekGE(keys.Block(nil, t, a, id, n+1))
}

// namedBelow returns the ids of the mailboxes below a name, in the order of their names.
func namedBelow(r kv.Reader, a index.AccountID, name string) (ids []index.MailboxID, err error) {
	err = scan(r, keys.Name(nil, a, strings.TrimSuffix(name, delimiter)+delimiter), func(it kv.Iterator) error {
		value, err := it.Value()
		if err != nil {
			return err
		}
		id, err := keys.DecodeID(value)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// scan calls fn at each key with the prefix, ascending.
func scan(r kv.Reader, prefix []byte, fn func(it kv.Iterator) error) error {
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if err := fn(it); err != nil {
			return err
		}
	}
	return it.Error()
}

// decodeMailbox reads a MailboxRecord. The result keeps value.
func decodeMailbox(id index.MailboxID, value []byte) (index.Mailbox, error) {
	var rec indexpb.MailboxRecord
	if err := rec.UnmarshalVTUnsafe(value); err != nil {
		return index.Mailbox{}, fmt.Errorf("record of mailbox %d: %w: %w", id, err, ErrCorrupt)
	}
	return index.Mailbox{
		ID: id, Name: rec.Name, UIDValidity: rec.UidValidity, UIDNext: index.UID(rec.UidNext),
		HighestModSeq: index.ModSeq(rec.ModSeq), Messages: rec.Messages, Unseen: rec.Unseen, Deleted: rec.Deleted,
		Bytes: rec.Bytes, SpecialUse: index.SpecialUse(rec.SpecialUse), Subscribed: rec.Subscribed,
		Created: time.UnixMilli(rec.Created).UTC(), Keywords: rec.Keywords, KeyResets: rec.UrlKeyResets,
	}, nil
}
