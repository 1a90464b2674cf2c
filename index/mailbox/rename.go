package mailbox

import (
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// Rename gives a mailbox and all below it another name (RFC 9051, section 6.3.6), and makes what is
// missing above that. A name that is no mailbox but has mailboxes below it can be renamed too.
// Subscriptions go along.
func (x *Execution) Rename(cmd *indexpb.RenameMailboxCommand) (*indexpb.Result, error) {
	if err := checkName(cmd.To); err != nil {
		return Invalid(err), nil
	}
	if cmd.Account == 0 || cmd.From == "" || strings.HasPrefix(cmd.To, cmd.From+delimiter) {
		return refuse(indexpb.Code_CODE_INVALID, "a mailbox cannot be put below itself"), nil
	}
	a, err := x.account(index.AccountID(cmd.Account))
	if err != nil {
		return nil, err
	}
	if _, ok, err := x.find(a, cmd.To); err != nil || ok {
		return refuse(indexpb.Code_CODE_MAILBOX_EXISTS, "mailbox %q exists", cmd.To), err
	}
	moved, err := x.tree(a, cmd.From)
	if err != nil {
		return nil, fmt.Errorf("rename in account %d: %w", a.id, err)
	}
	if len(moved) == 0 {
		return refuse(indexpb.Code_CODE_NO_MAILBOX, "no mailbox %q", cmd.From), nil
	}
	if res, err := x.checkMoves(a, moved, cmd.From, cmd.To); res != nil || err != nil {
		return res, err
	}
	if res, err := x.makeParents(a, cmd.To, 1); res != nil || err != nil {
		return res, err
	}
	for _, m := range moved {
		if err := x.rebind(m, cmd.To+m.rec.Name[len(cmd.From):]); err != nil {
			return nil, fmt.Errorf("rename mailbox %d of account %d: %w", m.id, a.id, err)
		}
	}
	if cmd.From == index.Inbox {
		inbox, err := x.makeMailbox(a, index.Inbox, 0, true)
		if err != nil {
			return nil, err
		}
		// INBOX keeps its annotations, and the mailbox of the new name has them too (RFC 5464, section 4).
		if err := x.copyAnnotations(a, moved[0].id, inbox.id); err != nil {
			return nil, fmt.Errorf("copy annotations of INBOX of account %d: %w", a.id, err)
		}
	}
	return &indexpb.Result{ModSeq: a.modSeq(), MailboxId: uint32(moved[0].id), UidValidity: moved[0].rec.UidValidity}, nil
}

// tree loads the mailbox of a name and those below it. Of INBOX it is INBOX alone: its messages are
// moved to the new name by giving them the mailbox, and a new INBOX is made; what is below INBOX is
// left alone (RFC 9051, section 6.3.6).
func (x *Execution) tree(a *accountState, name string) (found []*mailboxState, err error) {
	m, err := x.named(a, name)
	if err != nil {
		return nil, err
	}
	if m != nil {
		found = append(found, m)
	}
	if name == index.Inbox {
		return found, nil
	}
	ids, err := namedBelow(x.b, a.id, name)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		m, err := x.mailbox(a, id)
		if err != nil {
			return nil, err
		}
		if m == nil {
			return nil, fmt.Errorf("mailbox %d has a name and no record: %w", id, ErrCorrupt)
		}
		found = append(found, m)
	}
	return found, nil
}

// checkMoves refuses names that are taken or not valid.
func (x *Execution) checkMoves(a *accountState, moved []*mailboxState, from, to string) (*indexpb.Result, error) {
	for _, m := range moved {
		name := to + m.rec.Name[len(from):]
		if err := checkName(name); err != nil {
			return Invalid(err), nil
		}
		if _, ok, err := x.find(a, name); err != nil || ok {
			return refuse(indexpb.Code_CODE_MAILBOX_EXISTS, "mailbox %q exists", name), err
		}
	}
	return nil, nil
}

// rebind moves a mailbox to another name.
func (x *Execution) rebind(m *mailboxState, name string) error {
	if err := x.delete(keys.Name(x.key[:0], m.account.id, m.rec.Name)); err != nil {
		return err
	}
	m.rec.Name, m.rec.NameModSeq, m.dirty = name, m.account.modSeq(), true
	return x.bindName(m)
}
