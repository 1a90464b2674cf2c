package smtpd

import (
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/wire"
)

// maxForwarded is how many Received fields a message may have that is sent on: what comes round comes round more often than others.
const maxForwarded = 25

// elsewhere says why a recipient of another domain is not taken; nil where the queue takes it.
func (c *conn) elsewhere(to string) *mta.Reply {
	if !c.kind.submits() {
		return mta.Replyf(550, mta.NotAuthorized, "Relaying denied")
	}
	return c.mayQueue([]string{to})
}

// mayQueue says why the queue does not take recipients of other domains; nil where it does.
func (c *conn) mayQueue(remote []string) *mta.Reply {
	if refused := c.srv.c.Queue.Refuses(); refused != nil {
		return refused
	}
	if slices.ContainsFunc(remote, func(to string) bool { return strings.HasSuffix(to, "]") }) {
		return mta.Replyf(550, mta.BadRecipient, "Mail to addresses of hosts in brackets is not sent")
	}
	before := c.mail.onward()
	switch {
	case len(remote) > queue.MaxRecipients:
		return mta.Replyf(550, mta.NotAuthorized, "The address leads to more than %d in other domains", queue.MaxRecipients)
	case before+len(remote) > queue.MaxRecipients:
		return mta.Replyf(452, mta.TempRecipients, "Too many recipients, send the message again to the others")
	case !c.kind.submits():
		return nil
	}
	if err := c.srv.c.Queue.May(c.account, before+len(remote)); err != nil {
		return asReply(knownOr(err))
	}
	return nil
}

// knownOr is the reply that an error stands for, or the error.
func knownOr(err error) error {
	if r := known(err); r != nil {
		return r
	}
	return err
}

// queued lists the recipients that the queue delivers to.
func (t *transaction) queued() (list []mta.Recipient) {
	for _, r := range t.rcpts {
		if r.queued {
			list = append(list, r.Recipient)
			continue
		}
		for _, address := range r.remote {
			list = append(list, r.For(address))
		}
	}
	return list
}

// onward is how many recipients the queue delivers to.
func (t *transaction) onward() (n int) {
	for _, r := range t.rcpts {
		if r.queued {
			n++
			continue
		}
		n += len(r.remote)
	}
	return n
}

// sentOn lists the recipients that lead to other domains, beside those that are in them.
func (t *transaction) sentOn() (list []string) {
	for _, r := range t.rcpts {
		if len(r.remote) > 0 && (len(r.remote) > 1 || r.remote[0] != r.Address) {
			list = append(list, r.Address)
		}
	}
	return list
}

// owner is the account in whose partition the message is queued: that of the user who sends it; else the first that is behind
// an address which leads elsewhere, so that both have it in one step; else whoever has what nobody has.
func (c *conn) owner() (index.AccountID, error) {
	if c.kind.submits() {
		return c.account, nil
	}
	for _, r := range c.mail.rcpts {
		if len(r.remote) > 0 && len(r.accounts) > 0 {
			return r.accounts[0], nil
		}
	}
	return c.srv.c.Queue.Caretaker()
}

// submission is what the queue is to do with the message; ok false for nothing.
func (c *conn) submission() (s queue.Submission, ok bool) {
	to := c.mail.queued()
	return queue.Submission{Account: c.mail.owner, ID: c.mail.id, Envelope: c.mail.env, Recipients: to,
		Counts: c.kind.submits(), Forward: !c.kind.submits()}, len(to) > 0
}

// checkLoop refuses a message that has been here, and is to be sent on again.
func (c *conn) checkLoop(header []byte) *mta.Reply {
	limit, on := c.srv.c.Limits.Received, c.mail.sentOn()
	if len(on) > 0 && !c.kind.submits() && (limit < 0 || limit > maxForwarded) {
		limit = maxForwarded
	}
	if n := wire.CountField(header, "received"); exceeds(n, limit) {
		return mta.Replyf(554, mta.Loop, "Too many hops: the message has %d Received fields", n)
	}
	for _, address := range on {
		if wire.HasField(header, deliveredTo, address) {
			return mta.Replyf(554, mta.Loop, "The message was sent on from <%s> before, and comes back", address)
		}
	}
	return nil
}

// deliveredTo is the field that tells a message which was sent on from an address, as those who send mail on have long named it.
const deliveredTo = "delivered-to"

// marked adds the field of what is sent on. With several recipients there is none: each would be told of the others.
func (c *conn) marked(fields []byte) []byte {
	if on := c.mail.sentOn(); len(on) == 1 && len(c.mail.rcpts) == 1 {
		fields = append(fields, "Delivered-To: "+on[0]+"\r\n"...)
	}
	return fields
}
