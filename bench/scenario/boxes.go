package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

// boxes are the INBOXes of a load's recipients, looked at over IMAP.
type boxes struct {
	clients []*load.IMAP
	base    int // messages of all before the load
}

// openBoxes logs in to those of the site's accounts that are recipients. Without IMAP there are none.
func openBoxes(ctx context.Context, s site.Site, recipients []string) (*boxes, error) {
	b := &boxes{}
	doors := s.IMAP()
	if len(doors) == 0 {
		return b, nil
	}
	accounts, err := s.Accounts(ctx, len(recipients))
	if err != nil {
		return nil, err
	}
	for i, a := range accounts {
		if !slices.Contains(recipients, a.Address) {
			continue
		}
		c, err := load.DialIMAP(ctx, doors[i%len(doors)], a)
		if err != nil {
			b.close()
			return nil, err
		}
		b.clients = append(b.clients, c)
	}
	return b, nil
}

func (b *boxes) open() bool { return len(b.clients) > 0 }

func (b *boxes) close() {
	for _, c := range b.clients {
		c.Close()
	}
}

// count is the number of messages of all boxes.
func (b *boxes) count() (int, error) {
	total := 0
	for _, c := range b.clients {
		n, err := c.Count("INBOX")
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// rest waits until nothing more arrives, and remembers the count.
func (b *boxes) rest(ctx context.Context) error {
	for last := -1; ; {
		n, err := b.count()
		if err != nil {
			return err
		}
		if n == last {
			b.base = n
			return nil
		}
		last = n
		if err := sleep(ctx, 300*time.Millisecond); err != nil {
			return err
		}
	}
}

// arrivalTimeout is how long nothing may arrive before accepted messages count as missing.
const arrivalTimeout = 60 * time.Second

// wait returns when so many messages more than at rest are visible. A box after the other is looked at,
// so that looking costs the server little.
func (b *boxes) wait(ctx context.Context, want int) error {
	if !b.open() {
		return nil
	}
	last, since := -1, time.Now()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		n, err := b.count()
		if err != nil {
			return err
		}
		if n-b.base >= want {
			return nil
		}
		if n != last {
			last, since = n, time.Now()
		}
		if time.Since(since) > arrivalTimeout {
			return fmt.Errorf("of %d accepted messages only %d are visible in IMAP, and no more arrived for %v", want, n-b.base, arrivalTimeout)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}
