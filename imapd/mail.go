package imapd

import (
	"context"

	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/mailstore"
)

// Mailstore makes a mail store what Config.Mail needs.
func Mailstore(s *mailstore.Store) func(index.AccountID) engine.Account {
	return func(a index.AccountID) engine.Account {
		return account{Account: s.Account(a), store: s}
	}
}

// account gives the mail store's types as the interfaces that the engine declares.
type account struct {
	*mailstore.Account
	store  *mailstore.Store
	judges Judges // nil: nobody listens
}

var (
	_ engine.Account = account{}
	_ engine.Mailbox = mailbox{}
)

// mailbox is an opened mailbox, under the same rule.
type mailbox struct{ *mailstore.Mailbox }

// Replace implements engine.Mailbox.
func (m mailbox) Replace(ctx context.Context, old index.UID, to string, in engine.Incoming, o access.AppendOptions) (access.CopyResult, error) {
	return m.Mailbox.Replace(ctx, old, to, in.(*mailstore.Incoming), o) // NewIncoming made it
}

// Open implements engine.Account.
func (a account) Open(ctx context.Context, name string) (engine.Mailbox, error) {
	m, err := a.Account.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	if a.judges == nil {
		return mailbox{m}, nil
	}
	return judged{mailbox: mailbox{m}, account: a.Account, judges: a.judges}, nil
}

// AppendAll implements engine.Account.
func (a account) AppendAll(ctx context.Context, mailbox string, messages []engine.Incoming, o []access.AppendOptions) (access.CopyResult, error) {
	incoming := make([]*mailstore.Incoming, len(messages))
	for i, in := range messages {
		incoming[i] = in.(*mailstore.Incoming) // NewIncoming made it
	}
	return a.Account.AppendAll(ctx, mailbox, incoming, o)
}

// NewIncoming implements engine.Account.
func (a account) NewIncoming(ctx context.Context) engine.Incoming {
	return a.store.NewIncoming(ctx, []index.AccountID{a.ID()}, nil)
}
