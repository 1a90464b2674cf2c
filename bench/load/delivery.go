package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-mail/rookery/bench/corpus"
)

// Delivery is a load of messages over a number of connections.
type Delivery struct {
	Doors       []Door             // connections are spread over them
	Recipients  []string           // each message goes to the next PerMessage of them
	PerMessage  int                // recipients of a message; 0 is 1
	Login       func(n int) *Login // who connection n is; nil for none
	Source      corpus.Source
	First       int           // number of the first message
	Messages    int           // how many
	Connections int           // at once
	Reconnect   bool          // a new connection for each message
	Done        *atomic.Int64 // counts accepted messages while it runs; may be nil
}

// Result is what a Delivery saw.
type Result struct {
	Accepted  int // messages
	Elapsed   time.Duration
	Latencies []time.Duration // from the final dot to the reply, of accepted messages
}

// Run delivers the messages and returns when all are answered. The first refusal ends it.
func (d Delivery) Run(ctx context.Context) (Result, error) {
	if len(d.Doors) == 0 || len(d.Recipients) == 0 || d.Connections < 1 || d.Source == nil {
		return Result{}, errors.New("a delivery needs doors, recipients, a source and connections")
	}
	if d.Done == nil {
		d.Done = new(atomic.Int64)
	}
	d.PerMessage = max(1, d.PerMessage)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		mu    sync.Mutex
		out   Result
		first error
	)
	start := time.Now()
	for i := range d.Connections {
		wg.Go(func() {
			latencies, err := d.connection(ctx, i, &next)
			mu.Lock()
			defer mu.Unlock()
			out.Latencies = append(out.Latencies, latencies...)
			if err != nil && first == nil {
				first = err
				cancel()
			}
		})
	}
	wg.Wait()
	out.Elapsed, out.Accepted = time.Since(start), len(out.Latencies)
	return out, first
}

// connection delivers messages as one client until none is left.
func (d Delivery) connection(ctx context.Context, number int, next *atomic.Int64) (latencies []time.Duration, err error) {
	var (
		c     *SMTP
		body  []byte
		to    = make([]string, 0, d.PerMessage)
		door  = d.Doors[number%len(d.Doors)]
		login *Login
	)
	if d.Login != nil {
		login = d.Login(number)
	}
	defer func() {
		if c != nil {
			err = errors.Join(err, c.Quit())
		}
	}()
	for {
		n := int(next.Add(1)) - 1
		if n >= d.Messages {
			return latencies, nil
		}
		if c == nil {
			if c, err = DialSMTP(ctx, door, login); err != nil {
				return latencies, err
			}
		}
		to = d.recipients(to[:0], n)
		body = d.Source.Append(body[:0], d.First+n)
		took, err := c.Send(d.sender(login), to, body)
		if err != nil {
			c.Close()
			c = nil
			return latencies, fmt.Errorf("message %d to %s: %w", n, to[0], err)
		}
		latencies = append(latencies, took)
		d.Done.Add(1)
		if d.Reconnect {
			if err := c.Quit(); err != nil {
				return latencies, err
			}
			c = nil
		}
	}
}

func (d Delivery) sender(login *Login) string {
	if login != nil {
		return login.Address
	}
	return "load@bench.example"
}

// recipients are those of message n: neighbours in the list, so that all get the same share.
func (d Delivery) recipients(dst []string, n int) []string {
	for i := range min(d.PerMessage, len(d.Recipients)) {
		dst = append(dst, d.Recipients[(n*d.PerMessage+i)%len(d.Recipients)])
	}
	return dst
}
