package mailbox

import (
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// KeptAccounts returns the accounts that keep expunged mail of others and hold some.
func KeptAccounts(r kv.Reader) (all []index.AccountID, err error) {
	whole := keys.Whole(nil, keys.TableAccount)
	it, err := r.Scan(keys.Account(nil, keptBit), keys.After(nil, whole))
	if err != nil {
		return nil, fmt.Errorf("scan accounts: %w", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			return nil, err
		}
		var rec indexpb.AccountRecord
		if err := rec.UnmarshalVT(value); err != nil {
			return nil, fmt.Errorf("record of account: %w: %w", err, ErrCorrupt)
		}
		id, err := keys.ReadAccount(it.Key())
		if err != nil {
			return nil, err
		}
		if rec.UsedMessages > 0 {
			all = append(all, id)
		}
	}
	return all, it.Error()
}

// KeptBefore returns commands that remove what was expunged before a time from an account of
// KeptAccounts, up to MaxMessages of a mailbox. Messages are in the order of their expunging; where clocks
// went back, a later one holds those after it from going until its own time comes.
func KeptBefore(r kv.Reader, a index.AccountID, before time.Time) (all []*indexpb.ExpungeCommand, err error) {
	boxes, err := List(r, a)
	if err != nil {
		return nil, err
	}
	for _, m := range boxes {
		if m.Messages == 0 {
			continue
		}
		due, err := savedBefore(r, a, m.ID, before)
		if err != nil {
			return nil, fmt.Errorf("mailbox %d of account %d: %w", m.ID, a, err)
		}
		if len(due) > 0 {
			all = append(all, &indexpb.ExpungeCommand{Account: uint64(a), MailboxId: uint32(m.ID), UidValidity: m.UIDValidity, Uids: ranges(due)})
		}
	}
	return all, nil
}

// savedBefore returns the first messages of a mailbox, up to one that was saved at the time or later.
func savedBefore(r kv.Reader, a index.AccountID, m index.MailboxID, before time.Time) (uids []index.UID, err error) {
	prefix := keys.InMailbox(nil, keys.TableSummary, a, m)
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var rec indexpb.Summary
	for ok := it.First(); ok && len(uids) < MaxMessages; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			return nil, err
		}
		rec.Reset()
		if err := rec.UnmarshalVTUnsafe(value); err != nil {
			return nil, fmt.Errorf("summary: %w: %w", err, ErrCorrupt)
		}
		if rec.SaveDate >= before.UnixMilli() {
			break
		}
		u, err := uidOf(it)
		if err != nil {
			return nil, err
		}
		uids = append(uids, u)
	}
	return uids, it.Error()
}
