package imapd

import (
	"context"
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/index"
)

// Sharing is what the door asks about accounts that share mailboxes with each other (RFC 4314).
type Sharing interface {
	// SharedBy gives the accounts that may share mailboxes with an account, or with anyone.
	SharedBy(ctx context.Context, who index.AccountID) ([]login.Identity, error)
	// Note has it known that owner may share with grantee, or with index.Anyone, before it does.
	Note(ctx context.Context, owner, grantee index.AccountID) error
	// CatchUp is Config.Fresh of several accounts: it has what is read of them show what was acknowledged before the
	// call. It returns when ctx ends, too; then that shows what there is.
	CatchUp(ctx context.Context, owners []index.AccountID)
	// Find gives the account of an address, Address the reverse: index.ErrNoAccount.
	Find(ctx context.Context, address string) (index.AccountID, error)
	// Reader is Find for those who may log in; others are index.ErrNoAccount too.
	Reader(ctx context.Context, address string) (index.AccountID, error)
	Address(ctx context.Context, id index.AccountID) (string, error)
}

// others is Sharing as the engine needs it, over the mail of accounts.
type others struct {
	Sharing
	mail func(index.AccountID) engine.Account
}

var _ engine.Others = others{}

// NewOthers makes what an engine.Peer needs of sharing and the mail of accounts; nil where there is no
// sharing.
func NewOthers(s Sharing, mail func(index.AccountID) engine.Account) engine.Others {
	if s == nil {
		return nil
	}
	return others{Sharing: s, mail: mail}
}

// Account implements engine.Others.
func (o others) Account(id index.AccountID) engine.Account { return o.mail(id) }

// CatchUp implements engine.Others. It takes no longer than a login waits for one's own mail.
func (o others) CatchUp(ctx context.Context, owners ...index.AccountID) {
	if len(owners) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, freshPatience)
	defer cancel()
	o.Sharing.CatchUp(ctx, owners)
}

// Shared implements engine.Others. What an account that cannot be asked shares is not left out, since mail
// clients would take it for deleted: the error is cluster.ErrUnavailable then.
func (o others) Shared(ctx context.Context, who index.AccountID, catchUp bool) ([]engine.Neighbour, error) {
	owners, err := o.SharedBy(ctx, who)
	if err != nil {
		return nil, fmt.Errorf("find who shares with account %d: %w", who, err)
	}
	if catchUp {
		ids := make([]index.AccountID, len(owners))
		for i, owner := range owners {
			ids[i] = owner.Account
		}
		o.CatchUp(ctx, ids...)
	}
	var out []engine.Neighbour
	for _, owner := range owners {
		shared, err := o.mail(owner.Account).SharedWith(ctx, who)
		if errors.Is(err, index.ErrNoAccount) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		if len(shared) > 0 {
			out = append(out, engine.Neighbour{Identity: engine.Identity(owner), Mailboxes: shared})
		}
	}
	return out, nil
}
