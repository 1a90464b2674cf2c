package engine

import (
	"context"
	"errors"
	"strings"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
)

// anyone is the identifier that stands for every account (RFC 4314, section 2).
const anyone = "anyone"

// errOwner: rights that are not given cannot be taken.
var errOwner = errors.New("an owner has all rights for ever")

// setACL is SETACL and DELETEACL (RFC 4314, sections 3.1 and 3.2).
func (s *Session) setACL(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.ACL)
	change, rep := parseChange(cmd.Name, a)
	if rep.kind != "" {
		return rep, nil
	}
	p, grants, err := s.administered(ctx, a.Mailbox)
	if err != nil {
		return reply{}, err
	}
	if change.Grantee, err = s.grantee(ctx, a.Identifier); err != nil {
		return reply{}, err
	}
	if change.Grantee == p.owner {
		if change.Op == access.Add || change.Op == access.Set && change.Rights == index.AllRights {
			return reply{}, nil // as it is
		}
		return reply{}, errOwner
	}
	if change.Op != access.Remove && change.Rights != 0 {
		if err := s.peer.Others.Note(ctx, p.owner, change.Grantee); err != nil {
			return reply{}, err
		}
	}
	err = p.account.SetACL(ctx, p.mailbox, change)
	if errors.Is(err, index.ErrTooManyGrants) {
		if change.Gone, err = s.gone(ctx, grants); err != nil {
			return reply{}, err
		}
		err = p.account.SetACL(ctx, p.mailbox, change)
	}
	return reply{}, err
}

// parseChange reads what SETACL or DELETEACL changes; the reply refuses it.
func parseChange(name string, a *wire.ACL) (access.GrantChange, reply) {
	c := access.GrantChange{Op: access.Set}
	letters := a.Rights
	switch {
	case name == "DELETEACL":
		return access.GrantChange{Op: access.Remove, Rights: index.AllRights}, reply{}
	case strings.HasPrefix(letters, "+"):
		c.Op, letters = access.Add, letters[1:]
	case strings.HasPrefix(letters, "-"):
		c.Op, letters = access.Remove, letters[1:]
	}
	var err error
	if c.Rights, err = index.ParseRights(letters); err != nil {
		return c, bad("rights are letters of lrswipkxtea, c and d")
	}
	return c, reply{}
}

// administered is a mailbox that the user may administer, with who has rights on it.
func (s *Session) administered(ctx context.Context, name string) (place, []index.Grant, error) {
	p, err := s.need(ctx, name, index.RightAdminister)
	if err != nil {
		return p, nil, err
	}
	if !p.shared { // the first use of an account makes its mailboxes
		if _, err := s.account.Mailbox(ctx, name); err != nil {
			return p, nil, err
		}
	}
	m, grants, err := p.account.ACL(ctx, p.name)
	p.mailbox = p.shown(m)
	return p, grants, err
}

// grantee is the account that an identifier names.
func (s *Session) grantee(ctx context.Context, identifier string) (index.AccountID, error) {
	switch {
	case identifier == "":
		return 0, errNoIdentifier
	case strings.HasPrefix(identifier, "-"):
		return 0, errNegative
	case equalFold(identifier, anyone):
		return index.Anyone, nil
	}
	return s.peer.Others.Find(ctx, identifier)
}

// gone gives the grantees whose accounts are no more.
func (s *Session) gone(ctx context.Context, grants []index.Grant) (out []index.AccountID, err error) {
	for _, g := range grants {
		if g.Grantee == index.Anyone {
			continue
		}
		_, err := s.peer.Others.Address(ctx, g.Grantee)
		if errors.Is(err, index.ErrNoAccount) {
			out = append(out, g.Grantee)
		} else if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// getACL is GETACL (RFC 4314, section 3.3). The owner comes first; accounts that are no more are left out.
func (s *Session) getACL(ctx context.Context, cmd *wire.Command) (reply, error) {
	p, grants, err := s.administered(ctx, cmd.Args.(*wire.ACL).Mailbox)
	if err != nil {
		return reply{}, err
	}
	all := append([]index.Grant{{Grantee: p.owner, Rights: index.AllRights}}, grants...)
	s.w.Raw("* ACL ")
	s.w.MailboxName(p.mailbox.Name)
	for _, g := range all {
		identifier := anyone
		if g.Grantee != index.Anyone {
			identifier, err = s.peer.Others.Address(ctx, g.Grantee)
		}
		if errors.Is(err, index.ErrNoAccount) {
			err = nil
			continue
		}
		if err != nil {
			s.w.CRLF() // the line is whole, as far as it goes
			return reply{}, err
		}
		s.w.Byte(' ')
		s.w.String([]byte(identifier))
		s.w.Byte(' ')
		s.w.Raw(g.Rights.String())
	}
	s.w.CRLF()
	return reply{}, nil
}

// listRights is LISTRIGHTS (RFC 4314, section 3.4): each right is given by itself, the owner's are given
// for ever.
func (s *Session) listRights(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.ACL)
	p, _, err := s.administered(ctx, a.Mailbox)
	if err != nil {
		return reply{}, err
	}
	grantee, err := s.grantee(ctx, a.Identifier)
	if err != nil {
		return reply{}, err
	}
	s.w.Raw("* LISTRIGHTS ")
	s.w.MailboxName(p.mailbox.Name)
	s.w.Byte(' ')
	s.w.String([]byte(a.Identifier))
	if grantee == p.owner {
		s.w.Byte(' ')
		s.w.Raw(index.AllRights.String())
	} else {
		s.w.Raw(` ""`)
		for _, letter := range index.AllRights.String() {
			s.w.Byte(' ')
			s.w.Byte(byte(letter))
		}
	}
	s.w.CRLF()
	return reply{}, nil
}

// visible are the rights of which MYRIGHTS needs one (RFC 4314, section 4).
const visible = index.RightLookup | index.RightRead | index.RightInsert | index.RightCreate | index.RightDelete | index.RightAdminister

// myRights is MYRIGHTS (RFC 4314, section 3.5).
func (s *Session) myRights(ctx context.Context, cmd *wire.Command) (reply, error) {
	p, err := s.place(ctx, cmd.Args.(*wire.ACL).Mailbox)
	if err == nil && !p.shared {
		p.mailbox, err = s.account.Mailbox(ctx, p.name)
	}
	if err == nil && p.rights&visible == 0 {
		err = index.ErrNoMailbox
	}
	if err != nil {
		return reply{}, err
	}
	s.tellMyRights(p.mailbox.Name, p.rights)
	return reply{}, nil
}

func (s *Session) tellMyRights(name string, r index.Rights) {
	s.w.Raw("* MYRIGHTS ")
	s.w.MailboxName(name)
	s.w.Byte(' ')
	if r == 0 {
		s.w.Raw(`""`)
	}
	s.w.Raw(r.String())
	s.w.CRLF()
}
