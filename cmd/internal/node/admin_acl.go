package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
)

// methodACL asks the leader of an account's partition who has rights on a mailbox of it.
const methodACL = "mail.acl"

// anyone is how every account is named where rights are given (RFC 4314, section 2).
const anyone = "anyone"

var _ adminapi.Sharing = (*Node)(nil)

// aclQuestion is what methodACL asks, aclAnswer the answer.
type (
	aclQuestion struct {
		Owner   index.AccountID
		Mailbox string
	}
	aclAnswer struct {
		Missing     bool // there is no such mailbox
		ID          index.MailboxID
		UIDValidity uint32
		Grants      []index.Grant
	}
)

// serveACL answers methodACL.
func (n *Node) serveACL(ctx context.Context, _ cluster.NodeID, request []byte) ([]byte, error) {
	var q aclQuestion
	if err := json.Unmarshal(request, &q); err != nil {
		return nil, fmt.Errorf("read which mailbox: %w", err)
	}
	if err := n.leads(q.Owner); err != nil {
		return nil, err
	}
	a := n.store.Account(q.Owner)
	_, err := a.Mailbox(ctx, q.Mailbox) // the first use of an account makes its mailboxes
	var is aclAnswer
	if err == nil {
		var m index.Mailbox
		m, is.Grants, err = a.ACL(ctx, q.Mailbox)
		is.ID, is.UIDValidity = m.ID, m.UIDValidity
	}
	if is.Missing = errors.Is(err, index.ErrNoMailbox); err != nil && !is.Missing {
		return nil, err
	}
	return json.Marshal(is)
}

// acl asks who has rights on a mailbox.
func (n *Node) acl(ctx context.Context, owner directory.Account, mailbox string) (is aclAnswer, err error) {
	request, err := json.Marshal(aclQuestion{Owner: owner.ID, Mailbox: mailbox})
	if err != nil {
		return is, fmt.Errorf("encode which mailbox: %w", err)
	}
	data, err := n.router.CallLeader(ctx, owner.Partition, methodACL, request)
	if err != nil {
		return is, fmt.Errorf("ask who has rights on mailbox %q of %s: %w", mailbox, owner.Address, err)
	}
	if err := json.Unmarshal(data, &is); err != nil {
		return is, fmt.Errorf("read who has rights on mailbox %q of %s: %w", mailbox, owner.Address, err)
	}
	if is.Missing {
		return is, fmt.Errorf("mailbox %q of %s: %w", mailbox, owner.Address, directory.ErrNotFound)
	}
	return is, nil
}

// MailboxACL lists who has rights on a mailbox, its owner first.
func (n *Node) MailboxACL(ctx context.Context, address, mailbox string) ([]adminapi.Grant, error) {
	owner, err := n.account(address)
	if err != nil {
		return nil, err
	}
	is, err := n.acl(ctx, owner, mailbox)
	if err != nil {
		return nil, err
	}
	out := []adminapi.Grant{{Identifier: owner.Address, Rights: index.AllRights.String()}}
	_, err = n.grantees(is.Grants, func(identifier string, g index.Grant) {
		out = append(out, adminapi.Grant{Identifier: identifier, Rights: g.Rights.String()})
	})
	return out, err
}

// grantees calls fn with each grant and whom it is for, and gives those whose accounts are no more.
func (n *Node) grantees(grants []index.Grant, fn func(identifier string, g index.Grant)) (gone []index.AccountID, err error) {
	err = n.view(func(v directory.View) error {
		for _, g := range grants {
			identifier := anyone
			if g.Grantee != index.Anyone {
				a, err := v.Account(g.Grantee)
				if errors.Is(err, directory.ErrNotFound) {
					gone = append(gone, g.Grantee)
					continue
				}
				if err != nil {
					return err
				}
				identifier = a.Address
			}
			fn(identifier, g)
		}
		return nil
	})
	return gone, err
}

// ChangeMailboxACL gives rights on a mailbox or takes them. As for SETACL, the directory knows of it before.
func (n *Node) ChangeMailboxACL(ctx context.Context, address string, c adminapi.GrantChange) error {
	owner, err := n.account(address)
	if err != nil {
		return err
	}
	change, err := readRights(c.Rights)
	if err != nil {
		return err
	}
	if !strings.EqualFold(c.Identifier, anyone) {
		grantee, err := n.account(c.Identifier)
		if err != nil {
			return err
		}
		change.Grantee = grantee.ID
	}
	if change.Grantee == owner.ID {
		return fmt.Errorf("%w: the owner of a mailbox has all rights for ever", directory.ErrInvalid)
	}
	is, err := n.acl(ctx, owner, c.Mailbox)
	if err != nil {
		return err
	}
	if change.Gone, err = n.grantees(is.Grants, func(string, index.Grant) {}); err != nil {
		return err
	}
	if change.Op != access.Remove && change.Rights != 0 {
		if err := (sharing{n}).Note(ctx, owner.ID, change.Grantee); err != nil {
			return sharingError(err)
		}
	}
	return sharingError(n.store.Account(owner.ID).SetACL(ctx, index.Mailbox{ID: is.ID, UIDValidity: is.UIDValidity}, change))
}

// sharingError gives errors of the mail store as those that the admin API knows.
func sharingError(err error) error {
	switch {
	case errors.Is(err, index.ErrTooManyGrants):
		return fmt.Errorf("%w: %w", directory.ErrInUse, err)
	case errors.Is(err, index.ErrGone), errors.Is(err, index.ErrNoMailbox):
		return fmt.Errorf("the mailbox was deleted meanwhile: %w: %w", directory.ErrConflict, err)
	}
	return err
}

// readRights reads letters of rights that replace others, or after + or - are added or taken.
func readRights(letters string) (access.GrantChange, error) {
	c := access.GrantChange{Op: access.Set}
	rest, plus := strings.CutPrefix(letters, "+")
	if plus {
		c.Op = access.Add
	} else if less, minus := strings.CutPrefix(letters, "-"); minus {
		c.Op, rest = access.Remove, less
	}
	var err error
	if c.Rights, err = index.ParseRights(rest); err != nil {
		return c, fmt.Errorf("%w: rights are letters of lrswipkxtea, c and d: %w", directory.ErrInvalid, err)
	}
	return c, nil
}
