package node

import (
	"context"
	"errors"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/runner"
)

// sender delivers to mailboxes here, where a recipient of the queue is one, and has next deliver elsewhere.
type sender struct {
	n    *Node
	next runner.Sender
}

func (s sender) Deliver(ctx context.Context, job remote.Job) []remote.Result {
	err := s.n.view(func(v directory.View) error {
		_, err := v.Domain(job.Destination)
		return err
	})
	if errors.Is(err, directory.ErrNoDomain) && !owed(job) {
		return s.next.Deliver(ctx, job)
	}
	results := make([]remote.Result, len(job.Recipients))
	for i, to := range job.Recipients {
		results[i] = s.local(ctx, job, to)
	}
	return results
}

// owed reports whether a job is for accounts here, whatever their addresses are.
func owed(job remote.Job) bool { return len(job.Recipients) > 0 && job.Recipients[0].Owed.Account != 0 }

// found is whom a recipient of the queue is for.
func (s sender) found(to mta.Recipient) (directory.Resolution, error) {
	if to.Owed.Account == 0 {
		return s.n.resolve(to.Address)
	}
	return directory.Resolution{Accounts: []directory.Target{{Account: directory.Account{ID: index.AccountID(to.Owed.Account)}}}}, nil
}

// local delivers to the accounts behind one recipient.
func (s sender) local(ctx context.Context, job remote.Job, to mta.Recipient) remote.Result {
	fail := func(kind remote.Kind, status mta.Enhanced, err error) remote.Result {
		return remote.Result{Kind: kind, Reached: true, Local: true, Reply: *mta.Replyf(0, status, "%v", err)}
	}
	who, err := s.found(to)
	switch {
	case errors.Is(err, directory.ErrNoUser), errors.Is(err, directory.ErrInvalid):
		return fail(remote.Permanent, mta.BadMailbox, err)
	case err != nil:
		return fail(remote.Temporary, mta.TempSystem, err)
	}
	p := parcel{id: mta.ID(job.ID), env: job.Envelope, to: to, forward: job.Forward, client: "the queue"}
	if !job.Forward {
		p.account = job.Account
	}
	if len(who.Accounts) > 0 {
		p.to = to.Without(mta.NotifySuccess) // that is told of the delivery here
	}
	text, err := job.Open()
	if err != nil {
		return fail(remote.Temporary, mta.TempSystem, err)
	}
	defer text.Close()
	p.text = text
	if err := s.n.courier().carry(ctx, p, who); err != nil {
		return carried(err)
	}
	return remote.Result{Kind: remote.Delivered, Reached: true, Local: true, Reports: len(who.Accounts) == 0, Reply: *mta.Replyf(250, mta.OK, "Delivered")}
}

// carried is the result of an error of a courier.
func carried(err error) remote.Result {
	r := remote.Result{Kind: remote.Temporary, Reached: true, Local: true}
	reply := (*mta.Reply)(nil)
	switch {
	case errors.As(err, &reply):
		r.Reply = *reply
		if reply.Permanent() {
			r.Kind = remote.Permanent
		}
	case errors.Is(err, index.ErrOverQuota):
		r.Reply = *mta.Replyf(0, mta.TempMailboxFull, "%v", err)
	case errors.Is(err, directory.ErrNoUser), errors.Is(err, index.ErrNoAccount):
		r.Kind, r.Reply = remote.Permanent, *mta.Replyf(0, mta.BadMailbox, "%v", err)
	default:
		r.Reply = *mta.Replyf(0, mta.TempSystem, "%v", err)
	}
	return r
}
