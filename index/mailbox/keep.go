package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// keptBit tells the account that keeps what another one expunged. The directory gives no such id.
const keptBit index.AccountID = 1 << 63

// KeptOf is the account beside a, of the same partition, that keeps what a expunged: in mailboxes of
// the same names, with the time of expunging as the date of saving.
func KeptOf(a index.AccountID) index.AccountID { return a | keptBit }

// OwnerOf is the account whose expunged mail is kept in a, and a itself where a is no such account.
func OwnerOf(a index.AccountID) index.AccountID { return a &^ keptBit }

func isKept(account uint64) bool { return index.AccountID(account)&keptBit != 0 }

// KeepExpunged is Expunge, of messages that are kept. What is above the limits, which count kept mail
// alone, goes for good.
func (x *Execution) KeepExpunged(cmd *indexpb.KeepExpungedCommand) (*indexpb.Result, error) {
	e := cmd.Expunge
	if e == nil || isKept(e.Account) {
		return refuse(indexpb.Code_CODE_INVALID, "nothing to keep"), nil
	}
	return x.expunge(e, func(m *mailboxState, u index.UID) (bool, error) {
		flags, err := x.flagsOf(m, u)
		if err != nil || e.OnlyDeleted && index.Flags(flags.System)&index.FlagDeleted == 0 {
			return false, err
		}
		return true, x.keepOne(m, u, cmd.Limits)
	})
}

// keepOne moves a message to where kept mail is, or removes it where there is no room.
func (x *Execution) keepOne(m *mailboxState, u index.UID, limits *indexpb.Limits) error {
	to, err := x.keptMailbox(m.account.id, m.rec.Name)
	if err != nil {
		return err
	}
	s, err := x.summaryOf(m, u)
	if err != nil {
		return err
	}
	if to == nil || !to.room(1) || !to.account.fits(limits, 1, s.Size) {
		_, err := x.expungeOne(m, u, false)
		return err
	}
	if _, err := x.transferOne(m, to, u, s, true, 0); err != nil {
		return err
	}
	m.account.free(1, s.Size)
	to.account.use(1, s.Size)
	return nil
}

// keptMailbox is the mailbox that keeps what was in the one of a name, made where it is missing; nil
// where the account has too many.
func (x *Execution) keptMailbox(owner index.AccountID, name string) (*mailboxState, error) {
	a, err := x.account(KeptOf(owner))
	if err != nil {
		return nil, err
	}
	m, err := x.named(a, name)
	if err == nil && m == nil {
		m, _, err = x.makePath(a, name, 0)
	}
	return m, err
}

// KeepDeleted is Delete, of a mailbox whose messages are kept. They are filed in bounded steps, see
// DrainKept.
func (x *Execution) KeepDeleted(cmd *indexpb.KeepDeletedCommand) (*indexpb.Result, error) {
	if cmd.Delete == nil || isKept(cmd.Delete.Account) {
		return refuse(indexpb.Code_CODE_INVALID, "nothing to keep"), nil
	}
	return x.remove(cmd.Delete, func(m *mailboxState) error {
		if err := x.unlink(m); err != nil || m.rec.Messages == 0 {
			return err
		}
		rec := &indexpb.KeptRecord{Name: m.rec.Name, Keywords: m.rec.Keywords, Limits: cmd.Limits}
		return x.put(keys.Kept(x.key[:0], m.account.id, m.id), rec)
	})
}

// Undelete moves kept messages back into a mailbox of their owner, which is made where it is missing.
// They come without \Deleted, and under the quota.
func (x *Execution) Undelete(cmd *indexpb.CopyCommand) (*indexpb.Result, error) {
	if cmd.Account == 0 || isKept(cmd.Account) {
		return refuse(indexpb.Code_CODE_INVALID, "no account"), nil
	}
	if err := checkName(cmd.To); err != nil {
		return Invalid(err), nil
	}
	from, res, err := x.opened(uint64(KeptOf(index.AccountID(cmd.Account))), cmd.MailboxId, cmd.UidValidity)
	if err != nil || res != nil {
		return res, err
	}
	uids, res, err := x.selectUIDs(from, cmd.Uids)
	if err != nil || res != nil {
		return res, err
	}
	summaries, bytes, err := x.summaries(from, uids)
	if err != nil {
		return nil, err
	}
	to, res, err := x.restored(cmd, len(uids), bytes)
	if err != nil || res != nil {
		return res, err
	}
	made := make([]index.UID, len(uids))
	for i, u := range uids {
		if made[i], err = x.transferOne(from, to, u, summaries[i], true, index.FlagDeleted); err != nil {
			return nil, fmt.Errorf("undelete message %d of mailbox %d of account %d: %w", u, from.id, from.account.id, err)
		}
	}
	from.account.free(uint64(len(uids)), bytes)
	to.account.use(uint64(len(uids)), bytes)
	return &indexpb.Result{ModSeq: to.account.rec.ModSeq, MailboxId: uint32(to.id), UidValidity: to.rec.UidValidity,
		From: ranges(uids), To: ranges(made)}, nil
}

// restored is the mailbox that n messages come back to, made where it is missing, or why they cannot.
func (x *Execution) restored(cmd *indexpb.CopyCommand, n int, bytes uint64) (*mailboxState, *indexpb.Result, error) {
	a, err := x.account(index.AccountID(cmd.Account))
	if err != nil {
		return nil, nil, err
	}
	if !a.fits(cmd.Limits, uint64(n), bytes) {
		return nil, refuse(indexpb.Code_CODE_OVER_QUOTA, "over quota"), nil
	}
	to, err := x.named(a, cmd.To)
	switch {
	case err != nil:
		return nil, nil, err
	case to == nil:
		return x.makePath(a, cmd.To, 0)
	case !to.room(n):
		return nil, refuse(indexpb.Code_CODE_INVALID, "the mailbox has no UIDs left"), nil
	}
	return to, nil, nil
}

// dropKept gives the mailboxes of an account that wait for DrainKept to the graveyard.
func (x *Execution) dropKept(a index.AccountID) error {
	var waiting []index.MailboxID
	err := scan(x.b, keys.InAccount(nil, keys.TableKept, a), func(it kv.Iterator) error {
		_, m, err := keys.ReadMailbox(it.Key())
		waiting = append(waiting, m)
		return err
	})
	for _, m := range waiting {
		if err == nil {
			err = x.delete(keys.Kept(x.key[:0], a, m))
		}
		prefix := keys.InMailbox(nil, keys.TableFlags, a, m)
		if err == nil {
			err = x.b.DeleteRange(prefix, keys.After(nil, prefix))
		}
		if err == nil {
			err = x.set(keys.Graveyard(x.key[:0], a, m), nil)
		}
	}
	return err
}

// release removes a message of a mailbox that is no more, and what it holds.
func (x *Execution) release(m *mailboxState, u index.UID, body index.BodyID) error {
	if err := x.forget(m, u, body); err != nil {
		return err
	}
	return x.bodies.Release(body)
}

// forget removes the flags and the summary of a message of a mailbox that is no more.
func (x *Execution) forget(m *mailboxState, u index.UID, body index.BodyID) error {
	if err := x.bodies.Leave(body, m.user(u)); err != nil {
		return err
	}
	if err := x.delete(keys.Message(x.key[:0], keys.TableFlags, m.account.id, m.id, u)); err != nil {
		return err
	}
	return x.delete(keys.Message(x.key[:0], keys.TableSummary, m.account.id, m.id, u))
}
