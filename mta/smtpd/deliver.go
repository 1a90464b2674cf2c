package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/spool"
)

// deliver ends the transaction: it has the store commit the message and replies. LMTP has a reply
// for each recipient (RFC 2033, section 4.2), SMTP one for all.
func (c *conn) deliver(ctx context.Context) {
	replies, err := c.commit(ctx)
	if err != nil {
		c.refuseMessage(err, c.kind == LMTP)
		return
	}
	overall := worst(replies)
	c.logTransaction(overall, nil)
	if c.kind != LMTP {
		replies = []*mta.Reply{overall}
	}
	for i, r := range replies {
		if c.kind == LMTP {
			r = mta.Replyf(r.Code, r.Enhanced, "<%s> %s", c.mail.rcpts[i].Address, r.Text)
		}
		c.reply(r)
	}
	c.reset()
}

// refuseMessage answers a message that is wrong or that the store did not take, and ends the
// transaction. each says that a reply for each recipient is due.
func (c *conn) refuseMessage(err error, each bool) {
	r := c.failed("take a message", err)
	c.logTransaction(r, err)
	if each {
		for _, rcpt := range c.mail.rcpts {
			c.reply(mta.Replyf(r.Code, r.Enhanced, "<%s> %s", rcpt.Address, r.Text))
		}
	} else {
		c.reply(r)
	}
	c.reset()
}

// commit gives the message to the store and returns one reply for each recipient. An error is one
// for all of them.
func (c *conn) commit(ctx context.Context) ([]*mta.Reply, error) {
	until, cancel := context.WithTimeout(ctx, c.srv.c.Limits.Delivery)
	defer cancel()
	in, err := c.arrived(ctx, until)
	if err != nil {
		return nil, err
	}
	defer in.Discard()
	d := mailstore.Delivery{Received: c.mail.started}
	if c.srv.c.Told != nil {
		d.Around = c.srv.c.Told(queue.Arrival{ID: c.mail.id, Sender: c.mail.env.From, Client: c.client(), Login: c.login, Checked: c.mail.verdict.Checked})
	}
	c.others(until, d.Around)
	targets, owner := c.mail.targets()
	d.Targets = targets
	if s, ok := c.submission(); ok {
		d.Also = append(d.Also, c.srv.c.Queue.Entry(s))
	}
	own := len(d.Also)
	whose := c.mail.planned(&d)
	outcomes, err := in.Deliver(until, d)
	if err != nil {
		return nil, err
	}
	if len(outcomes) != len(targets)+len(d.Also) {
		return nil, errors.New("the store told of fewer outcomes than there were targets")
	}
	c.rescue(ctx, in, d, own, outcomes)
	return c.replies(outcomes, targets, owner, outcomes[len(targets)+own:], whose), nil
}

// arrived is the whole message as it is to be stored, or why it is not. What is asked about it ends with until.
func (c *conn) arrived(ctx, until context.Context) (Incoming, error) {
	in, err := c.mail.arriving.finish()
	if err != nil {
		return nil, err
	}
	if text, ok := in.(*spool.Text); ok {
		return c.judge(ctx, until, text)
	}
	return in.(Incoming), nil
}

// client says by which door a message came and from whom, for its story.
func (c *conn) client() string {
	text := string(c.kind) + ", " + c.remote.String()
	if c.helo != "" {
		text += ", " + c.helo
	}
	if t, ok := c.nc.(*tls.Conn); ok {
		text += ", " + tls.VersionName(t.ConnectionState().Version)
	}
	return text
}

// replies gives one reply for each recipient. The outcome behind those of the targets is the queue's; planned are those of what the
// plans of accounts caused.
func (c *conn) replies(outcomes []mailstore.Outcome, targets []mailstore.Target, owner []string, planned []mailstore.Outcome, whose []index.AccountID) []*mta.Reply {
	byAccount := make(map[index.AccountID]*mta.Reply, len(outcomes))
	maps.Copy(byAccount, c.mail.failed)
	for i, t := range targets {
		r := c.outcome(outcomes[i], owner[i])
		if c.mail.late[t.Account] {
			r = c.queued(outcomes[i], owner[i])
		}
		if other := byAccount[t.Account]; other != nil {
			r = worst([]*mta.Reply{other, r})
		}
		byAccount[t.Account] = r
	}
	for i, id := range whose {
		if byAccount[id] == nil { // else its part is that of the targets
			byAccount[id] = c.outcome(planned[i], "")
		}
	}
	replies := make([]*mta.Reply, 0, len(c.mail.rcpts))
	for _, rcpt := range c.mail.rcpts {
		var of []*mta.Reply
		if rcpt.queued || len(rcpt.remote) > 0 {
			of = append(of, c.queued(outcomes[len(targets)], rcpt.Address))
		}
		if rcpt.queued {
			replies = append(replies, of[0])
			continue
		}
		for _, id := range rcpt.accounts {
			if r := byAccount[id]; r != nil {
				of = append(of, r)
				continue
			}
			of = append(of, mta.Replyf(250, mta.OK, "Taken as %s", c.mail.id)) // its plan keeps nothing
		}
		replies = append(replies, worst(of))
	}
	return replies
}

// queued gives the reply for a recipient that the queue has, or has not.
func (c *conn) queued(o mailstore.Outcome, address string) *mta.Reply {
	if o.Err == nil {
		return mta.Replyf(250, mta.OK, "Queued as %s", c.mail.id)
	}
	return c.outcome(o, address)
}

// targets lists each account once, under the first recipient that names it: whoever is reached in two
// ways gets one copy. owner is the recipient of each target.
func (t *transaction) targets() (targets []mailstore.Target, owner []string) {
	t.named(func(id index.AccountID, address string) {
		for _, copy := range t.copies(id) {
			targets, owner = append(targets, target(id, address, copy)), append(owner, address)
		}
	})
	return targets, owner
}

// outcome gives the reply for one target.
func (c *conn) outcome(o mailstore.Outcome, address string) *mta.Reply {
	if o.Err == nil {
		return mta.Replyf(250, mta.OK, "Delivered as %s", c.mail.id)
	}
	c.log.Warn("not delivered", "id", c.mail.id, "to", address, "error", o.Err)
	if r := known(o.Err); r != nil {
		return r
	}
	return mta.Replyf(451, mta.TempSystem, "Internal error, try again later (reference %s)", c.mail.id)
}

// worst gives the reply that stands for all of them. The first temporary one wins over permanent
// ones, and those over success: as long as one recipient may still get the message, it is to come
// again. That is harmless for those who have it, since the store knows a message that it has, and
// whoever cannot get it (full, gone meanwhile) is refused at RCPT the next time. A part of the recipients is never dropped in silence; there is nobody yet who could tell the sender.
func worst(replies []*mta.Reply) *mta.Reply {
	best := replies[0]
	allPermanent := best.Permanent()
	for _, r := range replies[1:] {
		allPermanent = allPermanent && r.Permanent()
		if rank(r) > rank(best) {
			best = r
		}
	}
	if best.Permanent() && !allPermanent {
		// A 5yz would tell the sender that nobody has it.
		return mta.Replyf(451, mta.TempSystem, "Delivered to a part of the recipients only: %s", best.Text)
	}
	return best
}

func rank(r *mta.Reply) int {
	switch {
	case r.Temporary():
		return 2
	case r.Permanent():
		return 1
	}
	return 0
}

// logTransaction writes the one line that each message leaves. r is nil where the client went away.
func (c *conn) logTransaction(r *mta.Reply, err error) {
	t := c.mail
	now := c.srv.c.Clock()
	reply := "none"
	if r != nil {
		reply = r.Error()
		c.srv.c.Metrics.Transaction(c.kind, r, t.arriving.octets, now.Sub(t.received))
	}
	args := []any{"id", t.id, "from", t.env.From, "recipients", len(t.rcpts), "octets", t.arriving.octets,
		"reply", reply, "took", now.Sub(t.started), "committed_in", now.Sub(t.received)}
	if err != nil {
		args = append(args, "error", err)
	}
	c.log.Info("message", args...)
}
