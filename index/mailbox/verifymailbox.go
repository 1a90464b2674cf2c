package mailbox

import (
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/staging"
	"github.com/rookery-mail/rookery/index/uidset"
)

// mailbox counts a mailbox anew from its messages.
func (v *verifier) mailbox(a index.AccountID, m index.Mailbox) error {
	uids, unseen, deleted := uidset.New(), uidset.New(), uidset.New()
	modSeqs := make(map[index.UID]index.ModSeq)
	err := walkAll(v.r, keys.TableFlags, a, m.ID, func(u index.UID, value []byte) error {
		var rec indexpb.FlagRecord
		if err := rec.UnmarshalVT(value); err != nil {
			return broken("flags of message %d: %v", u, err)
		}
		if !ascend(rec.Keywords, len(m.Keywords)) {
			return broken("keywords %v of message %d, of %d in the mailbox", rec.Keywords, u, len(m.Keywords))
		}
		uids.Add(u)
		if index.Flags(rec.System)&index.FlagSeen == 0 {
			unseen.Add(u)
		}
		if index.Flags(rec.System)&index.FlagDeleted != 0 {
			deleted.Add(u)
		}
		modSeqs[u] = index.ModSeq(rec.ModSeq)
		return nil
	})
	if err != nil {
		return err
	}
	bytes, summaries, err := v.summaries(a, m.ID)
	if err != nil {
		return err
	}
	if int(m.Messages) != uids.Len() || int(m.Unseen) != unseen.Len() || int(m.Deleted) != deleted.Len() ||
		m.Bytes != bytes || summaries != uids.Len() || uids.Max() >= m.UIDNext {
		return broken("counters %+v; counted %d messages (%d summaries), %d unseen, %d deleted, %d octets, highest UID %d",
			m, uids.Len(), summaries, unseen.Len(), deleted.Len(), bytes, uids.Max())
	}
	for t, want := range map[keys.Table]*uidset.Set{keys.TableUIDs: uids, keys.TableUnseen: unseen, keys.TableDeleted: deleted} {
		if err := v.blocks(t, a, m.ID, want); err != nil {
			return err
		}
	}
	return v.changes(a, m, modSeqs)
}

// ascend reports whether numbers of keywords ascend and are below what was given out.
func ascend(numbers []uint32, end int) bool {
	for i, n := range numbers {
		if int(n) >= end || i > 0 && n <= numbers[i-1] {
			return false
		}
	}
	return true
}

// summaries adds up sizes and references of bodies.
func (v *verifier) summaries(a index.AccountID, m index.MailboxID) (bytes uint64, n int, err error) {
	err = walkAll(v.r, keys.TableSummary, a, m, func(u index.UID, value []byte) error {
		var rec indexpb.Summary
		if err := rec.UnmarshalVT(value); err != nil {
			return broken("summary of message %d: %v", u, err)
		}
		bytes, n = bytes+rec.Size, n+1
		return v.bodies.User(index.BodyID(rec.BodyId), staging.User{Account: a, Mailbox: m, UID: u})
	})
	return bytes, n, err
}

func (v *verifier) blocks(t keys.Table, a index.AccountID, m index.MailboxID, want *uidset.Set) error {
	got := uidset.New()
	err := scanBlocks(v.r, t, a, m, func(n uint32, b *uidset.Block) bool {
		got.PutBlock(n, b)
		return !b.Empty()
	})
	if err != nil {
		return err
	}
	missing := want.Clone()
	missing.Subtract(got)
	if missing.Len() > 0 || got.Len() != want.Len() {
		return broken("blocks of table %#x have %d UIDs, messages %d", t, got.Len(), want.Len())
	}
	return nil
}

// changes holds the change index and the tombstones against the messages.
func (v *verifier) changes(a index.AccountID, m index.Mailbox, modSeqs map[index.UID]index.ModSeq) error {
	n := 0
	err := scan(v.r, keys.InMailbox(nil, keys.TableChange, a, m.ID), func(it kv.Iterator) error {
		s, u, err := keys.ReadSequenced(it.Key())
		if err != nil {
			return err
		}
		n++
		if modSeqs[u] != s || s > m.HighestModSeq {
			return broken("message %d changed at %d by its index, at %d by its flags, mailbox at %d", u, s, modSeqs[u], m.HighestModSeq)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n != len(modSeqs) {
		return broken("%d changes for %d messages", n, len(modSeqs))
	}
	return scan(v.r, keys.InMailbox(nil, keys.TableTombstone, a, m.ID), func(it kv.Iterator) error {
		s, u, err := keys.ReadSequenced(it.Key())
		if err != nil {
			return err
		}
		if _, alive := modSeqs[u]; alive || s > m.HighestModSeq || u >= m.UIDNext {
			return broken("tombstone of message %d at %d", u, s)
		}
		return nil
	})
}
