package mailstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
)

// URLKey returns the key that URLs of a mailbox are signed with (RFC 4467, section 2.2), nil where it has none.
// Errors are index.ErrNoMailbox, also where the account was never used, and cluster.ErrNoReplica.
func (a *Account) URLKey(ctx context.Context, name string) (key []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name, err = mailbox.CanonicalName(name)
	if err != nil {
		return nil, index.ErrNoMailbox
	}
	err = a.moment(func(r kv.Reader) error {
		id, ok, err := mailbox.Find(r, a.id, name)
		if err == nil && !ok {
			err = index.ErrNoMailbox
		}
		if err != nil {
			return err
		}
		key, err = mailbox.URLKey(r, a.id, id)
		return err
	})
	return key, err
}

// MakeURLKey gives a mailbox a key unless it has one, and returns the one it has then. Errors are
// index.ErrNoMailbox and those of a write.
func (a *Account) MakeURLKey(ctx context.Context, name string) ([]byte, error) {
	m, err := a.Mailbox(ctx, name)
	if err != nil {
		return nil, err
	}
	key, err := a.URLKey(ctx, name)
	if err != nil || key != nil {
		return key, err
	}
	if err := a.setURLKey(ctx, m, false); err != nil {
		return nil, err
	}
	// Another session may have been first, and taken all keys away since.
	if key, err = a.URLKey(ctx, name); err == nil && key == nil {
		err = fmt.Errorf("the key of mailbox %d of account %d was taken away at once: %w", m.ID, a.id, cluster.ErrUnavailable)
	}
	return key, err
}

// ResetURLKey gives a mailbox another key, so that what was signed before counts no more (RFC 4467, section 7),
// and returns the mailbox as it is then. Errors are index.ErrNoMailbox and those of a write.
func (a *Account) ResetURLKey(ctx context.Context, name string) (index.Mailbox, error) {
	m, err := a.Mailbox(ctx, name)
	if err != nil {
		return m, err
	}
	if err := a.setURLKey(ctx, m, true); err != nil {
		return m, err
	}
	return a.Mailbox(ctx, name)
}

func (a *Account) setURLKey(ctx context.Context, m index.Mailbox, replace bool) error {
	key := a.store.c.NewURLKey()
	err := a.changeURLKeys(ctx, &indexpb.SetURLKeyCommand{
		Account: uint64(a.id), MailboxId: uint32(m.ID), UidValidity: m.UIDValidity, Key: key[:], Replace: replace,
	})
	if errors.Is(err, index.ErrGone) { // deleted since its name was looked up
		return index.ErrNoMailbox
	}
	return err
}

// DropURLKeys takes the keys of all mailboxes away, so that nothing that was signed counts any more.
func (a *Account) DropURLKeys(ctx context.Context) error {
	return a.changeURLKeys(ctx, &indexpb.SetURLKeyCommand{Account: uint64(a.id)})
}

func (a *Account) changeURLKeys(ctx context.Context, cmd *indexpb.SetURLKeyCommand) error {
	g, err := a.group()
	if err != nil {
		return err
	}
	if _, err := a.store.change(ctx, g, command.SetURLKey, cmd); err != nil {
		return fmt.Errorf("set the keys of URLs of account %d: %w", a.id, err)
	}
	return nil
}
