package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/index"
)

// sharing is what the IMAP door asks about accounts that share mailboxes.
type sharing struct{ n *Node }

var _ imapd.Sharing = sharing{}

// read reads the directory. Where it is being fetched anew the error is cluster.ErrUnavailable.
func (s sharing) read(fn func(directory.View) error) error {
	err := s.n.view(fn)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return fmt.Errorf("%w: %w", index.ErrNoAccount, err)
	case err != nil:
		return fmt.Errorf("%w: %w", cluster.ErrUnavailable, err)
	}
	return nil
}

// SharedBy gives the accounts that may share with an account, those that share with anyone last.
func (s sharing) SharedBy(_ context.Context, who index.AccountID) (owners []login.Identity, err error) {
	err = s.read(func(v directory.View) error {
		seen := map[cluster.AccountID]bool{who: true}
		for _, grantee := range []cluster.AccountID{who, directory.Anyone} {
			ids, err := v.SharedBy(grantee)
			if err != nil {
				return err
			}
			for _, id := range ids {
				if seen[id] {
					continue
				}
				seen[id] = true
				a, err := v.Account(id)
				if err != nil {
					return err
				}
				owners = append(owners, login.Identity{Account: id, Address: a.Address})
			}
		}
		return nil
	})
	return owners, err
}

// Note has the directory know that owner may share with grantee.
func (s sharing) Note(ctx context.Context, owner, grantee index.AccountID) error {
	known := false
	err := s.read(func(v directory.View) (err error) {
		known, err = v.Shares(owner, grantee)
		return err
	})
	if err != nil || known {
		return err
	}
	c, err := directory.NoteSharing(owner, grantee)
	if err = s.n.change(ctx, c, err); errors.Is(err, directory.ErrInUse) {
		return fmt.Errorf("%w: %w", index.ErrTooManyGrants, err)
	}
	if errors.Is(err, directory.ErrNotFound) {
		return fmt.Errorf("%w: %w", index.ErrNoAccount, err)
	}
	return err
}

// Find gives the account of an address.
func (s sharing) Find(_ context.Context, address string) (id index.AccountID, err error) {
	err = s.read(func(v directory.View) error {
		a, err := v.AccountByAddress(address)
		id = a.ID
		return err
	})
	return id, err
}

// Reader gives the account of an address if it may log in.
func (s sharing) Reader(_ context.Context, address string) (id index.AccountID, err error) {
	err = s.read(func(v directory.View) error {
		a, err := v.AccountByAddress(address)
		if id = a.ID; err == nil && a.Disabled {
			err = fmt.Errorf("account %d is disabled: %w", id, directory.ErrNotFound)
		}
		return err
	})
	return id, err
}

// Address gives the address of an account.
func (s sharing) Address(_ context.Context, id index.AccountID) (address string, err error) {
	err = s.read(func(v directory.View) error {
		a, err := v.Account(id)
		address = a.Address
		return err
	})
	return address, err
}

// CatchUp brings what is read of the owners' partitions up to date, here or at other nodes.
func (s sharing) CatchUp(ctx context.Context, owners []index.AccountID) {
	done := map[cluster.GroupID]bool{}
	for _, owner := range owners {
		g, err := s.n.locate(owner)
		if err != nil || done[g] {
			continue // one that is gone has nothing to show
		}
		done[g] = true
		if err := s.catchUp(ctx, g); err != nil {
			s.n.log.Info("shared mailboxes may be shown as they were earlier", "partition", g.String(), "error", err)
		}
	}
}

func (s sharing) catchUp(ctx context.Context, g cluster.GroupID) error {
	at, err := s.n.router.ReadIndex(ctx, g)
	if err != nil {
		return err
	}
	r, err := s.n.anyReplica(g)
	if err != nil {
		return err
	}
	return r.WaitApplied(ctx, at)
}
