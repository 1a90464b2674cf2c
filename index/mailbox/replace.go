package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
)

// Replace files one message and expunges another, both or neither (RFC 8508, section 3). The new one
// may go to another mailbox of the account; it takes nothing over from the old one, whose octets
// count as free for the quota.
func (x *Execution) Replace(cmd *indexpb.ReplaceCommand) (*indexpb.Result, error) {
	if err := checkReplace(cmd); err != nil {
		return Invalid(err), nil
	}
	from, res, err := x.opened(cmd.Append.Account, cmd.MailboxId, cmd.UidValidity)
	if err != nil || res != nil {
		return res, err
	}
	to, res, err := x.destination(cmd.Append.Account, cmd.Append.Mailbox)
	if err != nil || res != nil {
		return res, err
	}
	there, err := x.selectOne(from, cmd.Uid)
	if err != nil {
		return nil, err
	}
	if !there {
		return refuse(indexpb.Code_CODE_NO_MESSAGE, "message %d is not there any more", cmd.Uid), nil
	}
	old, err := x.summaryOf(from, index.UID(cmd.Uid))
	if err != nil {
		return nil, err
	}
	if res := to.checkRoom(cmd.Append, freed{messages: 1, bytes: old.Size}); res != nil {
		return res, nil
	}
	res, err = x.appendAll(to, cmd.Append)
	if err != nil || res.Code != indexpb.Code_CODE_OK {
		return res, err
	}
	if _, err := x.expungeOne(from, index.UID(cmd.Uid), false); err != nil {
		return nil, fmt.Errorf("replace message %d of mailbox %d of account %d: %w", cmd.Uid, from.id, from.account.id, err)
	}
	res.Changed = []*indexpb.UIDRange{{Lo: cmd.Uid, Hi: cmd.Uid}}
	return res, nil
}

func checkReplace(cmd *indexpb.ReplaceCommand) error {
	if cmd.Append == nil || len(cmd.Append.Messages) != 1 {
		return fmt.Errorf("one message replaces another")
	}
	return checkAppend(cmd.Append)
}

// selectOne reports whether a UID is a message of m.
func (x *Execution) selectOne(m *mailboxState, uid uint32) (bool, error) {
	uids, res, err := x.selectUIDs(m, []*indexpb.UIDRange{{Lo: uid, Hi: uid}})
	return err == nil && res == nil && len(uids) == 1, err
}
