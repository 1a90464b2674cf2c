package mailstore

import (
	"context"
	"fmt"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
)

// ACL returns a mailbox and who has rights on it besides its owner, of one moment. Errors are
// index.ErrNoMailbox, also where the account was never used, and cluster.ErrNoReplica.
func (a *Account) ACL(_ context.Context, name string) (m index.Mailbox, grants []index.Grant, err error) {
	name, err = mailbox.CanonicalName(name)
	if err != nil {
		return index.Mailbox{}, nil, index.ErrNoMailbox
	}
	err = a.moment(func(r kv.Reader) error {
		id, ok, err := mailbox.Find(r, a.id, name)
		if err == nil && ok {
			m, ok, err = mailbox.Load(r, a.id, id)
		}
		if err == nil && !ok {
			err = index.ErrNoMailbox
		}
		if err != nil {
			return err
		}
		grants, err = mailbox.ACL(r, a.id, id)
		return err
	})
	return m, grants, err
}

// SetACL changes the rights of one grantee on a mailbox (RFC 4314, section 3.1): index.ErrGone where the
// mailbox is another by now, index.ErrTooManyGrants.
func (a *Account) SetACL(ctx context.Context, m index.Mailbox, c access.GrantChange) error {
	g, err := a.group()
	if err != nil {
		return err
	}
	cmd := &indexpb.SetACLCommand{
		Account: uint64(a.id), MailboxId: uint32(m.ID), UidValidity: m.UIDValidity,
		Grantee: uint64(c.Grantee), Op: indexpb.FlagOp(c.Op), Rights: uint32(c.Rights),
	}
	for _, gone := range c.Gone {
		cmd.Gone = append(cmd.Gone, uint64(gone))
	}
	if _, err := a.store.change(ctx, g, command.SetACL, cmd); err != nil {
		return fmt.Errorf("set rights on mailbox %d of account %d: %w", m.ID, a.id, err)
	}
	return nil
}

// SharedWith returns the mailboxes of the account on which another has rights, as this node's replica
// shows them, in the order of their ids.
func (a *Account) SharedWith(_ context.Context, other index.AccountID) (shared []access.Shared, err error) {
	err = a.moment(func(r kv.Reader) error {
		shared = nil
		return mailbox.SharedWith(r, a.id, other, func(id index.MailboxID, rights index.Rights) error {
			m, ok, err := mailbox.Load(r, a.id, id)
			if err == nil && ok {
				shared = append(shared, access.Shared{Mailbox: m, Rights: rights})
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("what account %d shares with %d: %w", a.id, other, err)
	}
	return shared, nil
}

// ACL returns who has rights on the mailbox besides its owner, or index.ErrGone.
func (m *Mailbox) ACL(ctx context.Context) (grants []index.Grant, err error) {
	err = m.read(ctx, func(r kv.Reader, _ index.Mailbox) error {
		grants, err = mailbox.ACL(r, m.account.id, m.info.ID)
		return err
	})
	return grants, err
}
