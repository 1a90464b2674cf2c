package smtpd

import (
	"context"
	"errors"
	"io"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/plan"
)

// copies are those that an account keeps of the message as it is. One whose other texts could not be stored gets nothing: the message
// is to come again.
func (t *transaction) copies(id index.AccountID) []plan.Copy {
	if t.failed[id] != nil {
		return nil
	}
	if p := t.verdict.Plans[id]; p != nil {
		return p.Copies
	}
	return []plan.Copy{{}}
}

// target is a copy for an account.
func target(id index.AccountID, address string, c plan.Copy) mailstore.Target {
	return mailstore.Target{Account: id, Address: address, Mailbox: c.Mailbox, Flags: c.Flags, Keywords: c.Keywords, DedupKey: c.DedupKey}
}

// named calls fn for each account that the door delivers to, once, with the first recipient that names it.
func (t *transaction) named(fn func(id index.AccountID, address string)) {
	seen := make(map[index.AccountID]bool, len(t.rcpts))
	for _, r := range t.rcpts {
		if r.queued {
			continue
		}
		for _, id := range r.accounts {
			if !seen[id] {
				seen[id] = true
				fn(id, r.Address)
			}
		}
	}
}

// planned has what plans cause be done with the delivery, and returns whose each is.
func (t *transaction) planned(d *mailstore.Delivery) (whose []index.AccountID) {
	t.named(func(id index.AccountID, _ string) {
		p := t.verdict.Plans[id]
		if p == nil || t.failed[id] != nil {
			return
		}
		for _, a := range p.Also {
			d.Also, whose = append(d.Also, a), append(whose, id)
		}
	})
	return whose
}

// others delivers the other texts of plans, each in a step of its own. Where one fails nothing else is done for its account, so that
// all of it is done when the message comes again; what is there already is found out then.
func (c *conn) others(ctx context.Context, around *mailstore.Around) {
	c.mail.named(func(id index.AccountID, address string) {
		p := c.mail.verdict.Plans[id]
		if p == nil {
			return
		}
		for _, o := range p.Others {
			if err := c.other(ctx, id, address, o, around); err != nil {
				if c.mail.failed == nil {
					c.mail.failed = map[index.AccountID]*mta.Reply{}
				}
				c.mail.failed[id] = c.outcome(mailstore.Outcome{Err: err}, address)
				return
			}
		}
	})
}

func (c *conn) other(ctx context.Context, id index.AccountID, address string, o plan.Other, around *mailstore.Around) error {
	in := c.srv.c.Store.NewIncoming(ctx, []index.AccountID{id}, c.trace(c.mail.arriving.head))
	defer in.Discard()
	buffer := c.srv.buffers.Get().(*[]byte)
	defer c.srv.buffers.Put(buffer)
	if _, err := io.CopyBuffer(onlyWriter{in}, o.Text(), *buffer); err != nil {
		return err
	}
	d := mailstore.Delivery{Received: c.mail.started, Also: o.Also, Around: around}
	for _, copy := range o.Copies {
		d.Targets = append(d.Targets, target(id, address, copy))
	}
	outcomes, err := in.Deliver(ctx, d)
	if err == nil && len(outcomes) != len(d.Targets)+len(d.Also) {
		err = errors.New("the store told of fewer outcomes than there were targets")
	}
	for _, o := range outcomes {
		err = errors.Join(err, o.Err)
	}
	return err
}
