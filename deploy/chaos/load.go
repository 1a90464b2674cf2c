package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// The pauses of clients between operations: they keep the number of messages within what a small
// machine reads back in a reasonable time.
const (
	senderPause = 15 * time.Millisecond
	clientPause = 10 * time.Millisecond
)

// counts is how far the load has come.
type counts struct {
	accepted int // messages, by SMTP
	changes  int // acknowledged operations, by IMAP
	unknown  int // operations whose reply was lost
}

// load is all clients at work.
type load struct {
	chaos    *chaos
	stopping context.Context // ends when clients shall finish what they are at
	stop     context.CancelFunc
	abort    context.CancelFunc // ends clients at once
	wait     sync.WaitGroup

	mu     sync.Mutex // guards what follows
	number int        // of the next message in the corpus
	count  counts
	last   time.Time     // when a message was accepted
	gap    time.Duration // the longest time without one
	failed error         // the first thing that no fault explains
}

// startLoad starts the senders and one IMAP client for each account.
func startLoad(ctx context.Context, c *chaos) *load {
	l := &load{chaos: c, last: time.Now()}
	ctx, l.abort = context.WithCancel(ctx)
	l.stopping, l.stop = context.WithCancel(ctx)
	if c.out != nil {
		for i := range c.senders {
			l.wait.Go(func() { l.submit(ctx, i) })
		}
		return l
	}
	for i := range c.senders {
		l.wait.Go(func() { l.send(ctx, i) })
	}
	for _, cl := range c.clients {
		l.wait.Go(func() { cl.run(ctx, l) })
	}
	return l
}

// finish lets the clients finish and waits for them.
func (l *load) finish() error {
	l.stop()
	l.wait.Wait()
	l.abort()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *load) counts() counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// accept counts a message.
func (l *load) accept() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.count.accepted++
	l.gap, l.last = max(l.gap, now.Sub(l.last)), now
}

// worstGap is the longest time for which no message was accepted.
func (l *load) worstGap() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gap
}

// add counts.
func (l *load) add(f func(*counts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.count)
}

// fail notes what no fault explains, and ends the load.
func (l *load) fail(err error) {
	l.mu.Lock()
	if l.failed == nil {
		l.failed = err
		l.chaos.say("%v", err)
	}
	l.mu.Unlock()
	l.stop()
}

// next makes the next message of the corpus.
func (l *load) next(to string) harness.Message {
	l.mu.Lock()
	n := l.number
	l.number++
	l.mu.Unlock()
	return harness.Corpus{Seed: l.chaos.seed, Domain: domain}.Message(n, to)
}

// trouble prints an attempt that failed, if asked to.
func (l *load) trouble(who string, err error) {
	if l.chaos.verbose {
		l.chaos.say("  %s: %v", who, err)
	}
}

// send delivers mail over one connection until the load stops: to one account, or to two at once.
func (l *load) send(ctx context.Context, number int) {
	r := rand.New(rand.NewPCG(l.chaos.seed, uint64(1000+number)))
	s := harness.NewSender(l.chaos.cluster.Nodes(), number)
	s.Trouble = func(n *harness.Node, err error) { l.trouble("sender at "+n.Name, err) }
	defer s.Close()
	for l.stopping.Err() == nil {
		first := r.IntN(len(l.chaos.clients))
		to := []*client{l.chaos.clients[first]}
		if len(l.chaos.clients) > 1 && r.IntN(4) == 0 {
			to = append(to, l.chaos.clients[(first+1)%len(l.chaos.clients)])
		}
		m := l.next(to[0].address)
		var addresses []string
		for _, cl := range to {
			cl.book.offer(m, inbox)
			addresses = append(addresses, cl.address)
		}
		if _, err := s.Send(ctx, m, addresses...); err != nil {
			if ctx.Err() == nil {
				l.fail(err)
			}
			return
		}
		for _, cl := range to {
			cl.book.acknowledge(m.ID, inbox, 0)
		}
		l.accept()
		_ = rest(l.stopping, senderPause) // the loop's condition tells
	}
}
