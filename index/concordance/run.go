package concordance

import (
	"context"
	"errors"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// Run brings mailboxes up to date until ctx ends: at once those that were searched, and now and then those
// in which something changed.
func (x *Index) Run(ctx context.Context) {
	tick := time.NewTicker(x.c.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		if p, ok := x.next(); ok {
			x.attend(ctx, p)
			continue
		}
		select {
		case <-ctx.Done():
		case <-x.wake:
		case <-tick.C:
			x.enqueueTouched()
		}
	}
}

// attend updates one mailbox. One that cannot be read now waits for its next change or search.
func (x *Index) attend(ctx context.Context, p place) {
	err := x.Update(ctx, p.account, p.mailbox)
	switch {
	case err == nil, ctx.Err() != nil:
	case errors.Is(err, cluster.ErrNoReplica), errors.Is(err, cluster.ErrUnavailable):
		x.log.Debug("a mailbox cannot be taken into the search index now", "account", p.account, "mailbox", p.mailbox, "error", err)
	default:
		x.log.Warn("a mailbox is not taken into the search index", "account", p.account, "mailbox", p.mailbox, "error", err)
	}
	x.c.Updated(p.account, p.mailbox, err)
}

// rest lets others work after this goroutine has, for as long as Config.Rest says.
func (x *Index) rest(ctx context.Context, worked time.Duration) {
	pause := time.Duration(worked.Seconds() * float64(x.c.Rest))
	if pause <= 0 {
		return
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
