package engine

import (
	"context"
	"errors"
	"math"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// storageUnit is the octets that STORAGE counts in (RFC 9208, section 5.1).
const storageUnit = 1024

// getQuota is GETQUOTA (RFC 9208, section 4.1.1). The quota root of a user is "", and to administrators the
// address of each account is one.
func (s *Session) getQuota(ctx context.Context, cmd *wire.Command) (reply, error) {
	root := cmd.Args.(*wire.Quota).Root
	a, _, err := s.quotaRoot(ctx, root)
	if err != nil {
		return noRoot(err)
	}
	return reply{}, s.tellQuota(ctx, root, a)
}

// quotaRoot gives the account of a quota root, and whether the user may set its limits.
func (s *Session) quotaRoot(ctx context.Context, root string) (a index.AccountID, admin bool, err error) {
	if admin, err = s.c.Site.Administrator(s.who.Account); err != nil {
		return 0, false, err
	}
	switch {
	case root == "", equalFold(root, s.who.Address):
		return s.who.Account, admin, nil
	case !admin:
		return 0, false, index.ErrNoAccount // whether there is one is nothing to users
	}
	a, err = s.c.Site.Account(ctx, root)
	return a, true, err
}

func noRoot(err error) (reply, error) {
	if errors.Is(err, index.ErrNoAccount) {
		return reply{kind: wire.NO, code: "NONEXISTENT", text: "no such quota root"}, nil
	}
	return reply{}, err
}

// getQuotaRoot is GETQUOTAROOT (RFC 9208, section 4.1.2).
func (s *Session) getQuotaRoot(ctx context.Context, cmd *wire.Command) (reply, error) {
	name := cmd.Args.(*wire.Mailbox).Name
	m, err := s.look(ctx, name, index.RightRead)
	if _, _, shared := splitShared(name); errors.Is(err, index.ErrNoMailbox) && (!shared || s.peer.Others == nil) {
		m, err = index.Mailbox{Name: name}, nil // the one that it would have: a name need not exist
	}
	if err != nil {
		return reply{}, err
	}
	if m.Owner != 0 { // its octets are the owner's, whose quota is nobody else's business
		s.w.Raw("* QUOTAROOT ")
		s.w.MailboxName(m.Name)
		s.w.CRLF()
		return reply{}, nil
	}
	s.w.Raw("* QUOTAROOT ")
	s.w.MailboxName(m.Name)
	s.w.Raw(" \"\"\r\n")
	return reply{}, s.tellQuota(ctx, "", s.who.Account)
}

// setQuota is SETQUOTA (RFC 9208, section 4.1.3), for administrators. A resource that is not named gets the
// cluster's default.
func (s *Session) setQuota(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.SetQuota)
	account, admin, err := s.quotaRoot(ctx, a.Root)
	if !admin && (err == nil || errors.Is(err, index.ErrNoAccount)) {
		return reply{}, errNoPermission
	}
	if err != nil {
		return noRoot(err)
	}
	var bytes, messages uint64
	for _, l := range a.Limits {
		switch {
		case l.Limit == 0 || l.Limit > math.MaxInt64/storageUnit:
			return reply{}, errResource
		case l.Resource == "STORAGE":
			bytes = l.Limit * storageUnit
		case l.Resource == "MESSAGE":
			messages = l.Limit
		default:
			return reply{}, errResource
		}
	}
	if err := s.c.Site.SetQuota(ctx, account, bytes, messages); err != nil {
		return noRoot(err)
	}
	return reply{}, s.tellQuota(ctx, a.Root, account)
}

// tellQuota writes a QUOTA response with the resources that have a limit.
func (s *Session) tellQuota(ctx context.Context, root string, a index.AccountID) error {
	usage := s.account.Usage
	if a != s.who.Account {
		usage = func(ctx context.Context) (index.Usage, error) { return s.c.Site.Usage(ctx, a) }
	}
	u, err := usage(ctx)
	if err != nil {
		return err
	}
	s.w.Raw("* QUOTA ")
	s.w.String([]byte(root))
	s.w.Raw(" (")
	if u.BytesLimit > 0 {
		s.resource("STORAGE", units(u.Bytes), units(u.BytesLimit))
	}
	if u.MessagesLimit > 0 {
		if u.BytesLimit > 0 {
			s.w.Byte(' ')
		}
		s.resource("MESSAGE", u.Messages, u.MessagesLimit)
	}
	s.w.Raw(")\r\n")
	return nil
}

// units rounds octets up to what STORAGE counts in.
func units(octets uint64) uint64 {
	n := octets / storageUnit
	if octets%storageUnit > 0 {
		n++
	}
	return n
}

func (s *Session) resource(name string, used, limit uint64) {
	s.w.Raw(name)
	s.w.Byte(' ')
	s.w.Num(used)
	s.w.Byte(' ')
	s.w.Num(limit)
}
