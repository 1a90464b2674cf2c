package smtpd

import (
	"context"
	"errors"
	"slices"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
)

// rescue queues the message for those whose partition could not take it, where another one has taken its part: in that, in one
// step, to be delivered later. The first own of d.Also are the door's. What it cannot keep stays as it is in outcomes, and the client sends again. Who got the message
// after all, since only the answer was lost, gets no second one: both deliveries have one key.
func (c *conn) rescue(ctx context.Context, in Incoming, d mailstore.Delivery, own int, outcomes []mailstore.Outcome) {
	host := taker(d.Targets, outcomes)
	if host == 0 || c.srv.c.Queue.Refuses() != nil {
		return
	}
	var left []int
	var to []mta.Recipient
	for i, t := range d.Targets {
		if cannot(outcomes[i].Err) {
			if left = append(left, i); !slices.ContainsFunc(d.Targets[:i], func(o mailstore.Target) bool { return o.Account == t.Account }) {
				to = append(to, c.mail.owed(t)) // its plan is made again then
			}
		}
	}
	// What a user sends stays in the partition of his account, which counts it.
	if also := len(d.Targets); own > 0 && !c.kind.submits() && cannot(outcomes[also].Err) {
		left, to = append(left, also), append(to, c.mail.queued()...)
	}
	if len(left) == 0 || len(to) > queue.MaxRecipients {
		return
	}
	entry := c.srv.c.Queue.Entry(queue.Submission{Account: host, ID: c.mail.id, Envelope: c.mail.env, Recipients: to, Forward: true})
	ctx, cancel := context.WithTimeout(ctx, c.srv.c.Limits.Delivery)
	defer cancel()
	tried, err := in.Deliver(ctx, mailstore.Delivery{Received: d.Received, Also: []*mailstore.Also{entry}, Around: d.Around})
	if err == nil && len(tried) == 1 {
		err = tried[0].Err
	}
	if err != nil {
		c.log.Warn("not queued for those whose partition cannot take it", "id", c.mail.id, "error", err)
		return
	}
	c.log.Warn("queued for those whose partition cannot take it", "id", c.mail.id, "recipients", len(to))
	c.mail.late = map[index.AccountID]bool{}
	for _, i := range left {
		outcomes[i] = mailstore.Outcome{}
		if i < len(d.Targets) {
			c.mail.late[d.Targets[i].Account] = true
		}
	}
}

// taker is an account whose partition has just taken the message, 0 for none.
func taker(targets []mailstore.Target, outcomes []mailstore.Outcome) index.AccountID {
	for i, t := range targets {
		if outcomes[i].Err == nil {
			return t.Account
		}
	}
	return 0
}

// cannot reports whether an error says that a partition takes nothing now, or that its answer did not come.
func cannot(err error) bool {
	for _, is := range []error{cluster.ErrUnavailable, cluster.ErrNotLeader, cluster.ErrStopped, cluster.ErrStorageFull, context.DeadlineExceeded} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// owed is the recipient behind a target, for the account of that alone.
func (t *transaction) owed(target mailstore.Target) mta.Recipient {
	to := mta.Recipient{Address: target.Address, Owed: mta.Owed{Account: uint64(target.Account)}}
	for _, r := range t.rcpts {
		if r.Address == target.Address {
			to.Notify, to.ORCPT = r.Notify, r.ORCPT
			break
		}
	}
	return to
}
