package node

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
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
	if errors.Is(err, directory.ErrNoDomain) {
		return s.next.Deliver(ctx, job)
	}
	results := make([]remote.Result, len(job.Recipients))
	for i, to := range job.Recipients {
		results[i] = s.local(ctx, job, to)
	}
	return results
}

// local delivers to the accounts behind one recipient.
func (s sender) local(ctx context.Context, job remote.Job, to mta.Recipient) remote.Result {
	fail := func(kind remote.Kind, status mta.Enhanced, err error) remote.Result {
		return remote.Result{Kind: kind, Reached: true, Local: true, Reply: *mta.Replyf(0, status, "%v", err)}
	}
	var who directory.Resolution
	err := s.n.view(func(v directory.View) (err error) {
		who, err = v.Resolve(to.Address)
		return err
	})
	switch {
	case errors.Is(err, directory.ErrNoUser), errors.Is(err, directory.ErrInvalid):
		return fail(remote.Permanent, mta.BadMailbox, err)
	case err != nil:
		return fail(remote.Temporary, mta.TempSystem, err)
	}
	var accounts []index.AccountID
	var targets []mailstore.Target
	for _, t := range who.Accounts {
		accounts = append(accounts, t.Account.ID)
		targets = append(targets, mailstore.Target{Account: t.Account.ID, Address: to.Address})
	}
	if len(targets) == 0 {
		return fail(remote.Permanent, mta.BadMailbox, fmt.Errorf("nobody is behind <%s>", to.Address))
	}
	if err := s.keep(ctx, job, accounts, targets); err != nil {
		if errors.Is(err, index.ErrOverQuota) {
			return fail(remote.Temporary, mta.TempMailboxFull, err)
		}
		return fail(remote.Temporary, mta.TempSystem, err)
	}
	return remote.Result{Kind: remote.Delivered, Reached: true, Local: true, Reply: *mta.Replyf(250, mta.OK, "Delivered")}
}

func (s sender) keep(ctx context.Context, job remote.Job, accounts []index.AccountID, targets []mailstore.Target) error {
	in := s.n.store.NewIncoming(ctx, accounts, mta.ReturnPath(job.Envelope.From))
	defer in.Discard()
	text, err := job.Open()
	if err != nil {
		return err
	}
	defer text.Close()
	if _, err := io.Copy(in, text); err != nil {
		return err
	}
	outcomes, err := in.Deliver(ctx, mailstore.Delivery{Targets: targets})
	for _, o := range outcomes {
		err = errors.Join(err, o.Err)
	}
	return err
}
