package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// Expunge removes messages (RFC 9051, sections 6.4.3 and 6.4.9), leaves a tombstone for each, and
// drops old tombstones.
func (x *Execution) Expunge(cmd *indexpb.ExpungeCommand) (*indexpb.Result, error) {
	return x.expunge(cmd, func(m *mailboxState, u index.UID) (bool, error) { return x.expungeOne(m, u, cmd.OnlyDeleted) })
}

// expunge calls one for each message, which reports whether it removed it.
func (x *Execution) expunge(cmd *indexpb.ExpungeCommand, one func(*mailboxState, index.UID) (bool, error)) (*indexpb.Result, error) {
	m, res, err := x.opened(cmd.Account, cmd.MailboxId, cmd.UidValidity)
	if err != nil || res != nil {
		return res, err
	}
	uids, res, err := x.selectUIDs(m, cmd.Uids)
	if err != nil || res != nil {
		return res, err
	}
	var gone []index.UID
	for _, u := range uids {
		taken, err := one(m, u)
		if err != nil {
			return nil, fmt.Errorf("expunge message %d of mailbox %d of account %d: %w", u, m.id, m.account.id, err)
		}
		if taken {
			gone = append(gone, u)
		}
	}
	if err := x.dropTombstones(m, cmd.ForgetBefore); err != nil {
		return nil, fmt.Errorf("drop tombstones of mailbox %d of account %d: %w", m.id, m.account.id, err)
	}
	return &indexpb.Result{
		ModSeq: m.account.rec.ModSeq, MailboxId: uint32(m.id), UidValidity: m.rec.UidValidity, Changed: ranges(gone),
	}, nil
}

func (x *Execution) expungeOne(m *mailboxState, u index.UID, onlyDeleted bool) (taken bool, err error) {
	flags, err := x.flagsOf(m, u)
	if err != nil {
		return false, err
	}
	if onlyDeleted && index.Flags(flags.System)&index.FlagDeleted == 0 {
		return false, nil
	}
	summary, err := x.summaryOf(m, u)
	if err != nil {
		return false, err
	}
	if err := x.take(m, u, flags, summary); err != nil {
		return false, err
	}
	m.account.free(1, summary.Size)
	return true, x.bodies.Release(index.BodyID(summary.BodyId))
}

// dropTombstones removes up to MaxMessages of the oldest tombstones that were left before a time,
// and keeps up to where they are not complete any more. Tombstones order by modification sequence;
// where clocks went back, a later one holds earlier ones from going until its own time comes.
func (x *Execution) dropTombstones(m *mailboxState, before int64) error {
	if before <= 0 {
		return nil
	}
	old, err := x.tombstonesBefore(m, before)
	if err != nil || len(old) == 0 {
		return err
	}
	for _, key := range old {
		if err := x.b.Delete(key); err != nil {
			return err
		}
	}
	last, _, err := keys.ReadSequenced(old[len(old)-1])
	m.rec.ForgottenModSeq, m.dirty = uint64(last), true
	return err
}

func (x *Execution) tombstonesBefore(m *mailboxState, before int64) (old [][]byte, err error) {
	prefix := keys.InMailbox(nil, keys.TableTombstone, m.account.id, m.id)
	it, err := x.b.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var rec indexpb.TombstoneRecord
	for ok := it.First(); ok && len(old) < MaxMessages; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			return nil, err
		}
		rec.Reset()
		if err := rec.UnmarshalVT(value); err != nil {
			return nil, fmt.Errorf("tombstone: %w: %w", err, ErrCorrupt)
		}
		if rec.When >= before {
			break
		}
		old = append(old, append([]byte(nil), it.Key()...))
	}
	return old, it.Error()
}
