package smtpd

import (
	"context"
	"errors"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/wire"
)

// mailFrom answers MAIL, which starts a mail transaction.
func (c *conn) mailFrom(ctx context.Context, arg string) {
	if r := c.mayMail(); r != nil {
		c.refuse(r)
		return
	}
	env, path, err := wire.ReadMail(arg, c.known())
	if err == nil && len(path.Params) > 0 && !c.extended {
		err = mta.Replyf(555, mta.BadArgument, "Parameters need EHLO")
	}
	if err != nil {
		c.refuse(asReply(err))
		return
	}
	c.bounds = c.srv.c.Directory.Bounds()
	var id mta.ID
	r := c.checkSender(env, path)
	if r == nil {
		id = c.srv.c.NewID()
	}
	if r == nil && c.session != nil {
		r = c.session.Mail(ctx, id, env)
	}
	if r != nil {
		c.srv.c.Metrics.Refused(c.kind, r)
		c.log.Info("sender refused", "from", env.From, "reply", r.Error())
		c.reply(r)
		return
	}
	c.mail = &transaction{id: id, env: env, started: c.srv.c.Clock()}
	c.reply(mta.Replyf(250, mta.OKSender, "OK"))
}

// mayMail says why MAIL is not possible now.
func (c *conn) mayMail() *mta.Reply {
	switch {
	case c.helo == "":
		return mta.Replyf(503, mta.BadSequence, "Say hello first")
	case c.mail != nil:
		return mta.Replyf(503, mta.BadSequence, "MAIL was given already")
	case c.kind.submits() && !c.secure && c.srv.c.TLS != nil:
		return mta.Replyf(530, mta.AuthRequired, "STARTTLS first")
	case c.kind.submits() && c.login == "":
		return mta.Replyf(530, mta.AuthRequired, "Authentication required")
	}
	return nil
}

// checkSender says why env cannot come from this client.
func (c *conn) checkSender(env mta.Envelope, path wire.Path) *mta.Reply {
	if env.Size > c.bounds.MaxMessage {
		return tooBig(c.bounds.MaxMessage)
	}
	if !c.kind.submits() || env.From == "" {
		return nil
	}
	if !path.Valid {
		return mta.Replyf(501, mta.BadSender, "This is not an address")
	}
	own, err := c.srv.c.Directory.Owns(c.account, env.From)
	switch {
	case err != nil:
		return c.failed("look up the sender", err)
	case !own:
		return mta.Replyf(553, mta.NotAuthorized, "<%s> is not an address of %s", env.From, c.login)
	}
	return nil
}

// rcptTo answers RCPT, which adds a recipient to the transaction.
func (c *conn) rcptTo(ctx context.Context, arg string) {
	switch {
	case c.mail == nil:
		c.refuse(mta.Replyf(503, mta.BadSequence, "MAIL first"))
		return
	case c.mail.arriving != nil:
		c.refuse(mta.Replyf(503, mta.BadSequence, "The message has begun"))
		return
	}
	to, err := wire.ReadRcpt(arg, c.mail.env.UTF8, c.known())
	if err == nil && (to.Notify != 0 || to.ORCPT != "") && !c.extended {
		err = mta.Replyf(555, mta.BadArgument, "Parameters need EHLO")
	}
	if err != nil {
		c.refuse(asReply(err))
		return
	}
	if len(c.mail.rcpts) >= c.bounds.MaxRecipients {
		c.reply(mta.Replyf(452, mta.TempRecipients, "Too many recipients, send the message again to the others"))
		return
	}
	found, r := c.resolve(ctx, to.Address)
	if r == nil {
		r = c.checkBounce(to.Address)
	}
	if r == nil {
		r = c.checkQuota(ctx, found.accounts)
	}
	if r == nil && c.session != nil {
		r = c.session.Rcpt(ctx, to)
	}
	if r != nil {
		if r.Permanent() {
			c.badRecipients++
		}
		c.srv.c.Metrics.Refused(c.kind, r)
		c.log.Info("recipient refused", "from", c.mail.env.From, "to", to.Address, "reply", r.Error())
		c.reply(r)
		return
	}
	// Who delivers, tells and waits is the queue.
	found.queued = to.Notify&mta.NotifySuccess != 0 || !c.mail.env.Release.IsZero()
	found.Recipient = to
	c.mail.rcpts = append(c.mail.rcpts, found)
	c.mail.env.To = append(c.mail.env.To, to.Address)
	c.reply(mta.Replyf(250, mta.OKRecipient, "OK"))
}

// known says which parameters are known here: those of reports and of the queue where there is one that keeps them, to
// users; REQUIRETLS to whoever came by TLS himself (RFC 8689, section 4.1).
func (c *conn) known() wire.Known {
	queue := c.srv.c.Queue.Refuses() == nil
	submits := queue && c.kind.submits()
	return wire.Known{Auth: c.kind.submits(), DSN: submits, Queue: submits, Now: c.srv.c.Clock(), RequireTLS: queue && c.secure}
}

// resolve finds the accounts behind a recipient, and the addresses elsewhere that the queue takes: itself, where it is of another
// domain, or those that an alias or a catch-all leads to.
func (c *conn) resolve(ctx context.Context, address string) (found recipient, r *mta.Reply) {
	who, err := c.srv.c.Directory.Resolve(address)
	switch {
	case errors.Is(err, directory.ErrNoDomain):
		found.remote = []string{address}
		return found, c.elsewhere(address)
	case errors.Is(err, directory.ErrNoUser):
		if c.session != nil {
			c.session.Unknown(ctx, address)
		}
		return found, mta.Replyf(550, mta.BadMailbox, "No such user here: <%s>", address)
	case errors.Is(err, directory.ErrInvalid):
		return found, mta.Replyf(501, mta.BadRecipient, "This is not an address")
	case err != nil:
		return found, c.failed("resolve a recipient", err)
	}
	// A disabled account gets its mail all the same: it is its user who is locked out.
	for _, target := range who.Accounts {
		found.accounts = append(found.accounts, target.Account.ID)
	}
	if len(who.Broken) > 0 {
		c.log.Warn("alias with addresses that nobody has", "to", address, "broken", who.Broken)
	}
	if found.remote = who.Remote; len(found.remote) > 0 {
		// Delivering to a part of an alias would lose the message for the rest of it.
		return found, c.mayQueue(found.remote)
	}
	if len(found.accounts) == 0 {
		return found, mta.Replyf(550, mta.BadMailbox, "Nobody is behind <%s>", address)
	}
	return found, nil
}

// checkQuota refuses a recipient whose account is full, or too full for the size that MAIL declared.
// An account whose usage cannot be learnt now is let pass: the delivery decides.
func (c *conn) checkQuota(ctx context.Context, accounts []index.AccountID) *mta.Reply {
	size := uint64(max(c.mail.env.Size, 1))
	for _, id := range accounts {
		u, err := c.srv.c.Store.Usage(ctx, id)
		switch {
		case err != nil:
			c.log.Debug("usage of an account is not known", "account", id, "error", err)
		case u.BytesLimit > 0 && size > u.BytesLimit:
			return mta.Replyf(552, mta.MailboxFull, "The message is larger than this mailbox may become")
		case u.BytesLimit > 0 && u.Bytes+size > u.BytesLimit, u.MessagesLimit > 0 && u.Messages >= u.MessagesLimit:
			return mta.Replyf(452, mta.TempMailboxFull, "This mailbox is full")
		}
	}
	return nil
}

// asReply gives the reply that err is.
func asReply(err error) *mta.Reply {
	var r *mta.Reply
	if errors.As(err, &r) {
		return r
	}
	return mta.Replyf(501, mta.BadSyntax, "%s", strings.TrimSpace(err.Error()))
}
