package mailbox

import (
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
)

const allUses = uint32(index.UseAll | index.UseArchive | index.UseDrafts | index.UseFlagged | index.UseJunk |
	index.UseSent | index.UseTrash | index.UseImportant)

// Create makes a mailbox, and those above it that are missing (RFC 9051, section 6.3.4). To create
// INBOX is refused as any mailbox that exists, but makes the account.
func (x *Execution) Create(cmd *indexpb.CreateMailboxCommand) (*indexpb.Result, error) {
	if err := checkName(cmd.Name); err != nil {
		return Invalid(err), nil
	}
	if cmd.Account == 0 || cmd.SpecialUse&^allUses != 0 {
		return refuse(indexpb.Code_CODE_INVALID, "no account, or an unknown special use"), nil
	}
	a, err := x.account(index.AccountID(cmd.Account))
	if err != nil {
		return nil, err
	}
	if id, ok, err := x.find(a, cmd.Name); err != nil || ok {
		res := refuse(indexpb.Code_CODE_MAILBOX_EXISTS, "mailbox %q exists", cmd.Name)
		res.MailboxId = uint32(id)
		return res, err
	}
	m, res, err := x.makePath(a, cmd.Name, index.SpecialUse(cmd.SpecialUse))
	if err != nil || res != nil {
		return res, err
	}
	return &indexpb.Result{ModSeq: a.modSeq(), MailboxId: uint32(m.id), UidValidity: m.rec.UidValidity}, nil
}

// makePath makes the mailbox of a free name and those above it that are missing.
func (x *Execution) makePath(a *accountState, name string, use index.SpecialUse) (*mailboxState, *indexpb.Result, error) {
	if res, err := x.makeParents(a, name, 1); res != nil || err != nil {
		return nil, res, err
	}
	m, err := x.makeMailbox(a, name, use, false)
	return m, nil, err
}

// makeParents makes the mailboxes above name that are missing, where there is room for them and
// extra more.
func (x *Execution) makeParents(a *accountState, name string, extra int) (*indexpb.Result, error) {
	var missing []string
	for _, above := range parents(name) {
		_, ok, err := x.find(a, above)
		if err != nil {
			return nil, err
		}
		if !ok {
			missing = append(missing, above)
		}
	}
	if int(a.rec.Mailboxes)+len(missing)+extra > MaxMailboxes {
		return refuse(indexpb.Code_CODE_INVALID, "an account has at most %d mailboxes", MaxMailboxes), nil
	}
	for _, above := range missing {
		if _, err := x.makeMailbox(a, above, 0, false); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
