package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
)

// Copy files messages of a mailbox into another too, with their flags, internal date and body
// (RFC 9051, section 6.4.7). Keywords that the other has no room for are left out.
func (x *Execution) Copy(cmd *indexpb.CopyCommand) (*indexpb.Result, error) {
	return x.transfer(cmd, false)
}

// Move files messages of a mailbox into another instead (RFC 6851). It needs no quota.
func (x *Execution) Move(cmd *indexpb.CopyCommand) (*indexpb.Result, error) {
	return x.transfer(cmd, true)
}

func (x *Execution) transfer(cmd *indexpb.CopyCommand, move bool) (*indexpb.Result, error) {
	m, res, err := x.opened(cmd.Account, cmd.MailboxId, cmd.UidValidity)
	if err != nil || res != nil {
		return res, err
	}
	to, err := x.named(m.account, cmd.To)
	if err != nil {
		return nil, err
	}
	if to == nil {
		return refuse(indexpb.Code_CODE_TRY_CREATE, "no mailbox %q", cmd.To), nil
	}
	uids, res, err := x.selectUIDs(m, cmd.Uids)
	if err != nil || res != nil {
		return res, err
	}
	if !to.room(len(uids)) {
		return refuse(indexpb.Code_CODE_INVALID, "the mailbox has no UIDs left"), nil
	}
	summaries, bytes, err := x.summaries(m, uids)
	if err != nil {
		return nil, err
	}
	if !move && !m.account.fits(cmd.Limits, uint64(len(uids)), bytes) {
		return refuse(indexpb.Code_CODE_OVER_QUOTA, "over quota"), nil
	}
	made := make([]index.UID, len(uids))
	for i, u := range uids {
		if made[i], err = x.transferOne(m, to, u, summaries[i], move, 0); err != nil {
			return nil, fmt.Errorf("message %d of mailbox %d of account %d: %w", u, m.id, m.account.id, err)
		}
	}
	return &indexpb.Result{
		ModSeq: m.account.rec.ModSeq, MailboxId: uint32(to.id), UidValidity: to.rec.UidValidity,
		From: ranges(uids), To: ranges(made),
	}, nil
}

func (x *Execution) summaries(m *mailboxState, uids []index.UID) (all []*indexpb.Summary, bytes uint64, err error) {
	all = make([]*indexpb.Summary, len(uids))
	for i, u := range uids {
		if all[i], err = x.summaryOf(m, u); err != nil {
			return nil, 0, err
		}
		bytes += all[i].Size
	}
	return all, bytes, nil
}

// transferOne files a message with its flags, but those of without, elsewhere too or, with move, instead. A
// copy is counted; a move between accounts is the caller's to count.
func (x *Execution) transferOne(m, to *mailboxState, u index.UID, s *indexpb.Summary, move bool, without index.Flags) (index.UID, error) {
	flags, err := x.flagsOf(m, u)
	if err != nil {
		return 0, err
	}
	copied := &indexpb.FlagRecord{System: flags.System &^ uint32(without), Keywords: flags.Keywords}
	if to != m {
		copied.Keywords = to.numbers(words(m.rec.Keywords, flags.Keywords))
	}
	encoded, err := x.summarise(s, index.BodyID(s.BodyId))
	if err != nil {
		return 0, err
	}
	made, err := x.file(to, copied, s, encoded)
	if err != nil {
		return 0, err
	}
	if move {
		return made, x.take(m, u, flags, s)
	}
	m.account.use(1, s.Size)
	return made, x.bodies.AddRefs(index.BodyID(s.BodyId), 1)
}
