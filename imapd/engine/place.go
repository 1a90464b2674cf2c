package engine

import (
	"context"
	"errors"
	"strings"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
)

// otherUsers is the namespace of mailboxes that others share (RFC 2342, section 5): below it are the
// addresses of their owners.
const otherUsers = "Other Users"

// Grants are who has rights on the mailboxes of an account.
type Grants interface {
	ACL(ctx context.Context, mailbox string) (index.Mailbox, []index.Grant, error)
	SetACL(ctx context.Context, m index.Mailbox, c access.GrantChange) error
	// SharedWith gives the mailboxes on which another account has rights.
	SharedWith(ctx context.Context, other index.AccountID) ([]access.Shared, error)
}

// Others leads from an account to those that share mailboxes with it.
type Others interface {
	// Account opens the mail of another account. It says cluster.ErrUnavailable when read where no node
	// that has it answers.
	Account(id index.AccountID) Account
	// Shared gives what others share with an account. With catchUp, CatchUp is
	// done for those that share first.
	Shared(ctx context.Context, who index.AccountID, catchUp bool) ([]Neighbour, error)
	// CatchUp has what is read of accounts show what was acknowledged before the call, or as much of
	// it as can be had in short time.
	CatchUp(ctx context.Context, owners ...index.AccountID)
	// Find gives the account of an address, or index.ErrNoAccount.
	Find(ctx context.Context, address string) (index.AccountID, error)
	// Reader is Find for those who may log in; others are index.ErrNoAccount too.
	Reader(ctx context.Context, address string) (index.AccountID, error)
	// Address is the reverse of Find.
	Address(ctx context.Context, id index.AccountID) (string, error)
	// Note has it known that owner may share with grantee, before it does.
	Note(ctx context.Context, owner, grantee index.AccountID) error
}

// Neighbour is an account that shares mailboxes.
type Neighbour struct {
	Identity
	Mailboxes []access.Shared
}

// place is a mailbox by the name that a command gives, or the account in which it would be.
type place struct {
	account Account
	owner   index.AccountID
	shared  bool          // it is another's
	prefix  string        // what stands before the owner's name of it
	name    string        // the owner's
	rights  index.Rights  // of the session's user
	mailbox index.Mailbox // of another only, with its name as the user sees it
}

// shown is how the user names the owner's mailbox of a name.
func (p *place) shown(m index.Mailbox) index.Mailbox {
	if p.shared {
		m.Name, m.Owner = p.prefix+m.Name, p.owner
		m.Subscribed, m.SpecialUse = false, 0 // the owner's, who sends from and deletes to other places
	}
	return m
}

// own is a name of the session's own account, whether there is such a mailbox or not.
func (s *Session) own(name string) place {
	return place{account: s.account, owner: s.who.Account, name: name, rights: index.AllRights}
}

// place finds whose mailbox a name is, and what the user may do with it. One's own is not looked up. A
// name below otherUsers is one's own where one has it from before. The error is index.ErrNoMailbox for
// what another does not have.
func (s *Session) place(ctx context.Context, name string) (place, error) {
	address, rest, shared := splitShared(name)
	if !shared || s.peer.Others == nil {
		return s.own(name), nil
	}
	if _, err := s.account.Mailbox(ctx, name); !errors.Is(err, index.ErrNoMailbox) {
		return s.own(name), err
	}
	if rest == "" {
		return place{}, index.ErrNoMailbox
	}
	owner, err := s.peer.Others.Find(ctx, address)
	if errors.Is(err, index.ErrNoAccount) || owner == s.who.Account && err == nil {
		err = index.ErrNoMailbox
	}
	if err != nil {
		return place{}, err
	}
	s.catchUp(ctx, owner)
	p := place{account: s.peer.Others.Account(owner), owner: owner, shared: true, name: rest,
		prefix: sharedName(address, "")}
	m, grants, err := p.account.ACL(ctx, rest)
	if err != nil {
		return place{}, err
	}
	p.name, p.rights, p.mailbox = m.Name, index.RightsOf(grants, s.who.Account), p.shown(m)
	return p, nil
}

// need is place for what needs rights. Who may not even see the mailbox is told that there is none
// (RFC 4314, section 6).
func (s *Session) need(ctx context.Context, name string, want index.Rights) (place, error) {
	p, err := s.place(ctx, name)
	switch {
	case err != nil:
		return p, err
	case p.rights.Has(want):
		return p, nil
	case p.rights.Has(index.RightLookup):
		return p, errNoPerm
	}
	return p, index.ErrNoMailbox
}

// look is the mailbox of a name, which needs rights where it is another's.
func (s *Session) look(ctx context.Context, name string, want index.Rights) (index.Mailbox, error) {
	p, err := s.need(ctx, name, want)
	if err != nil || p.shared {
		return p.mailbox, err
	}
	return s.account.Mailbox(ctx, name)
}

// newPlace is where a mailbox of a new name would be made: in the account that has the nearest one above
// it, which has to let the user (RFC 4314, section 4).
func (s *Session) newPlace(ctx context.Context, name string) (place, error) {
	name = strings.TrimSuffix(name, string(index.Delimiter))
	if _, _, shared := splitShared(name); !shared || s.peer.Others == nil {
		return s.own(name), nil
	}
	for above := name; ; {
		cut := strings.LastIndexByte(above, index.Delimiter)
		if cut < 0 {
			return place{}, errNoPerm
		}
		above = above[:cut]
		p, err := s.need(ctx, above, index.RightCreate)
		if errors.Is(err, index.ErrNoMailbox) {
			continue
		}
		if err != nil {
			return place{}, err
		}
		p.name += name[len(above):]
		return p, nil
	}
}

// sharedName is how others name a mailbox of the account with an address.
func sharedName(address, mailbox string) string {
	return otherUsers + string(index.Delimiter) + escapeLevel(address) + string(index.Delimiter) + mailbox
}

// splitShared tells whether a name is below otherUsers, and parts it.
func splitShared(name string) (address, mailbox string, shared bool) {
	first, rest, _ := strings.Cut(name, string(index.Delimiter))
	if first != otherUsers {
		return "", "", false
	}
	level, mailbox, _ := strings.Cut(rest, string(index.Delimiter))
	return unescapeLevel(level), mailbox, true
}

// escapes are octets of addresses that a level of a mailbox name cannot have.
func escapes() []string { return []string{"=", "=3D", "/", "=2F", "*", "=2A", "%", "=25"} }

func escapeLevel(address string) string { return strings.NewReplacer(escapes()...).Replace(address) }

func unescapeLevel(level string) string {
	pairs := escapes()
	for i := 0; i < len(pairs); i += 2 {
		pairs[i], pairs[i+1] = pairs[i+1], pairs[i]
	}
	return strings.NewReplacer(pairs...).Replace(level)
}
