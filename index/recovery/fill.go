package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/recovery/plan"
)

// account makes an account and fills its mailboxes.
func (r *run) account(ctx context.Context, a plan.Account) error {
	var id index.AccountID
	err := r.patiently(ctx, func() (err error) {
		id, err = r.c.Account(ctx, a.Address)
		return err
	})
	switch {
	case temporary(err) || ctx.Err() != nil:
		return fmt.Errorf("make account %s: %w", a.Address, err)
	case err != nil:
		r.lose(count(a), "account %s: %v", a.Address, err)
		return nil
	}
	account := r.c.Store.Account(id)
	if err := r.patiently(ctx, func() error { return makeRoom(ctx, account, a) }); err != nil {
		return fmt.Errorf("mailboxes of %s: %w", a.Address, err)
	}
	f := &fetcher{bucket: r.c.Bucket, codec: r.codec}
	for _, box := range a.Mailboxes {
		fill := &filling{run: r, account: account, address: a.Address, box: box, fetch: f}
		err := r.patiently(ctx, func() error { return fill.once(ctx) })
		if err != nil {
			return fmt.Errorf("fill %q of %s: %w", box.Name, a.Address, err)
		}
		r.tell(func(report *Report) { report.Mailboxes++ })
	}
	r.tell(func(report *Report) { report.AccountsDone++ })
	return nil
}

func count(a plan.Account) (n uint64) {
	for _, box := range a.Mailboxes {
		n += uint64(len(box.Messages))
	}
	return n
}

// temporary says whether an error may go away by itself.
func temporary(err error) bool {
	return errors.Is(err, cluster.ErrUnavailable) || errors.Is(err, cluster.ErrNotLeader) || errors.Is(err, cluster.ErrStorageFull) ||
		errors.Is(err, cluster.ErrNoReplica) || errors.Is(err, blobstore.ErrUnavailable)
}

// patiently calls f until it ends without a temporary error, or for the last time. f begins with what
// is there, so that it does nothing twice.
func (r *run) patiently(ctx context.Context, f func() error) error {
	for try := 1; ; try++ {
		err := f()
		if !temporary(err) || try >= r.c.Tries {
			return err
		}
		r.c.Logger.Info("trying again", "try", try, "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(r.c.Pause):
		}
	}
}

// lose tells of messages that are not recovered.
func (r *run) lose(messages uint64, format string, args ...any) {
	r.tell(func(report *Report) { report.Lost += messages })
	r.fault(format, args...)
}

// makeRoom takes away the mailboxes that a new account was made with, for a purpose that a mailbox of
// another name is about to have. Only those that nothing was ever in.
func makeRoom(ctx context.Context, account *mailstore.Account, a plan.Account) error {
	uses := map[index.SpecialUse]bool{}
	names := map[string]bool{index.Inbox: true}
	for _, box := range a.Mailboxes {
		names[box.Name] = true
		if box.SpecialUse != 0 {
			uses[box.SpecialUse] = true
		}
	}
	there, err := account.Mailboxes(ctx)
	if err != nil {
		return err
	}
	for _, box := range there {
		if box.ID == 0 || names[box.Name] || !uses[box.SpecialUse] || box.UIDNext != 1 {
			continue
		}
		if err := account.Delete(ctx, box.Name); err != nil && !errors.Is(err, index.ErrNoMailbox) {
			return err
		}
		if err := account.Subscribe(ctx, box.Name, false); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the mailbox, and gives one that nothing was ever in what the lost one was.
func (f *filling) prepare(ctx context.Context) (*mailstore.Mailbox, error) {
	box, err := f.account.Mailbox(ctx, f.box.Name)
	if errors.Is(err, index.ErrNoMailbox) {
		if box, err = f.account.Create(ctx, f.box.Name, f.box.SpecialUse); errors.Is(err, index.ErrMailboxExists) {
			box, err = f.account.Mailbox(ctx, f.box.Name)
		}
	}
	if err != nil {
		return nil, err
	}
	if box.UIDNext == 1 && box.SpecialUse != f.box.SpecialUse {
		if _, err := f.account.SetMetadata(ctx, mailstore.MetadataChange{Mailbox: box.Name, User: f.account.ID(), SpecialUse: &f.box.SpecialUse}); err != nil {
			return nil, err
		}
	}
	if box.UIDNext == 1 && box.Subscribed != f.box.Subscribed {
		if err := f.account.Subscribe(ctx, box.Name, f.box.Subscribed); err != nil {
			return nil, err
		}
	}
	return f.account.Open(ctx, f.box.Name)
}
