package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/bench/corpus"
	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

// appendAtMost is how many messages are sent when a mailbox is filled; beyond them it is copied onto
// itself, which is a hundred times faster.
const appendAtMost = 5000

// fillMailbox makes a mailbox of size messages of 4 KiB and selects it.
func fillMailbox(ctx context.Context, c *load.IMAP, o Options, box string, size int) error {
	if _, err := c.Do("CREATE " + box); err != nil {
		return err
	}
	src := corpus.NewGenerator(o.Run+"fill", corpus.Fixed(4<<10))
	const batch = 50
	bodies := make([][]byte, 0, batch)
	for n := 0; n < min(size, appendAtMost); {
		if err := ctx.Err(); err != nil {
			return err
		}
		for bodies = bodies[:0]; len(bodies) < batch && n < min(size, appendAtMost); n++ {
			bodies = append(bodies, src.Append(nil, n))
		}
		if err := c.Append(box, "\\Seen", bodies); err != nil {
			return err
		}
		if n%1000 == 0 {
			o.Progress("fill %s: %d of %d", box, n, size)
		}
	}
	if _, err := c.Do("SELECT " + box); err != nil {
		return err
	}
	return copyUp(ctx, c, o, box, size)
}

// copyAtMost is how many messages one COPY asks for.
const copyAtMost = 50_000

// copyUp copies the selected mailbox's messages onto itself until it has size of them.
func copyUp(ctx context.Context, c *load.IMAP, o Options, box string, size int) error {
	for ctx.Err() == nil {
		have, err := c.Count(box)
		if err != nil || have >= size {
			return err
		}
		if have == 0 {
			return errors.New("an empty mailbox cannot be filled by copying")
		}
		if _, err := c.Do(fmt.Sprintf("COPY 1:%d %s", min(have, size-have, copyAtMost), box)); err != nil {
			return err
		}
		if _, err := c.Do("NOOP"); err != nil { // learn of the copies
			return err
		}
		o.Progress("fill %s: %d of %d", box, have, size)
	}
	return ctx.Err()
}

// A site is at rest below restCPU of processor time a second for each node.
const restCPU = 150 * time.Millisecond

// errRestless is returned when work goes on for too long.
var errRestless = errors.New("the servers did not come to rest in two minutes")

// settle waits until the site is idle: filling a mailbox a thousand times faster than mail comes in
// leaves compactions behind, which are not what is measured.
func settle(ctx context.Context, s site.Site) error {
	limit := restCPU * time.Duration(max(1, len(s.IMAP())))
	used := time.Duration(0)
	for range 120 {
		before, err := s.Usage(ctx)
		if err != nil {
			return err
		}
		if !before.Measured {
			return nil
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
		after, err := s.Usage(ctx)
		if err != nil {
			return err
		}
		if used = after.CPU - before.CPU; used < limit {
			return nil
		}
	}
	return fmt.Errorf("%w: they still use %v of CPU a second", errRestless, used)
}
