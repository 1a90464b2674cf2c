package engine

import (
	"context"

	"github.com/rookery-mail/rookery/imapd/wire"
)

// getQuota is GETQUOTA (RFC 9208, section 4.1.2). There is one quota root, "", for the account.
func (s *Session) getQuota(ctx context.Context, cmd *wire.Command) (reply, error) {
	if cmd.Args.(*wire.Quota).Root != "" {
		return reply{kind: wire.NO, code: "NONEXISTENT", text: "no such quota root"}, nil
	}
	return reply{}, s.tellQuota(ctx)
}

// getQuotaRoot is GETQUOTAROOT (RFC 9208, section 4.1.3).
func (s *Session) getQuotaRoot(ctx context.Context, cmd *wire.Command) (reply, error) {
	m, err := s.account.Mailbox(ctx, cmd.Args.(*wire.Mailbox).Name)
	if err != nil {
		return reply{}, err
	}
	s.w.Raw("* QUOTAROOT ")
	s.w.MailboxName(m.Name)
	s.w.Raw(" \"\"\r\n")
	return reply{}, s.tellQuota(ctx)
}

// tellQuota writes a QUOTA response with the resources that have a limit; STORAGE counts units of
// 1,024 octets.
func (s *Session) tellQuota(ctx context.Context) error {
	u, err := s.account.Usage(ctx)
	if err != nil {
		return err
	}
	s.w.Raw(`* QUOTA "" (`)
	if u.BytesLimit > 0 {
		s.resource("STORAGE", (u.Bytes+1023)/1024, (u.BytesLimit+1023)/1024)
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

func (s *Session) resource(name string, used, limit uint64) {
	s.w.Raw(name)
	s.w.Byte(' ')
	s.w.Num(used)
	s.w.Byte(' ')
	s.w.Num(limit)
}
