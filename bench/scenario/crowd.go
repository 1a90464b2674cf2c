package scenario

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/bench/load"
)

// crowd is many idle clients.
type crowd struct {
	doors     []load.Door
	accounts  []load.Login
	clients   []*load.IMAP
	at        []int // index of the door of each
	connected atomic.Int64
	refused   atomic.Int64 // attempts that failed
}

// crowdAddresses is how many addresses the clients come from: one has too few ports for a large crowd, and
// servers limit what one may do.
const crowdAddresses = 16

// door is that of client i, by the address that it comes from.
func (c *crowd) door(i int) load.Door {
	d := c.doors[i%len(c.doors)]
	if strings.HasPrefix(d.Address, "127.") {
		d.From = fmt.Sprintf("127.61.0.%d", 1+i%crowdAddresses)
	}
	return d
}

// connect connects those clients that are chosen, and leaves them idle. A client that is refused tries
// for half a minute, as mail programs do.
func (c *crowd) connect(ctx context.Context, chosen func(i int) bool) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(idleDials)
	for i := range c.clients {
		if !chosen(i) {
			continue
		}
		g.Go(func() error {
			deadline := time.Now().Add(30 * time.Second)
			for {
				client, err := c.one(ctx, i)
				if err == nil {
					c.clients[i], c.at[i] = client, i%len(c.doors)
					c.connected.Add(1)
					return nil
				}
				c.refused.Add(1)
				if time.Now().After(deadline) || sleep(gctx, 100*time.Millisecond) != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

func (c *crowd) one(ctx context.Context, i int) (*load.IMAP, error) {
	if c.clients[i] != nil {
		c.clients[i].Close()
	}
	client, err := load.DialIMAP(ctx, c.door(i), c.accounts[i%len(c.accounts)])
	if err != nil {
		return nil, err
	}
	if _, err := client.Do("SELECT INBOX"); err != nil {
		client.Close()
		return nil, err
	}
	if err := client.Idle(); err != nil {
		client.Close()
		return nil, err
	}
	client.Shrink()
	return client, nil
}

func (c *crowd) close() {
	for _, client := range c.clients {
		if client != nil {
			client.Close()
		}
	}
}
