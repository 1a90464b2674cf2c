package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// flow is the mail on its way in.
type flow struct {
	demo   *demo
	corpus harness.Corpus
	queue  *queue
	third  chan struct{} // closed when a third of the messages is acknowledged
	victim *harness.Node // set once killed; read after deliver

	mu       sync.Mutex // guards what follows
	accepted int
	killed   time.Time                // zero before the kill
	gaps     map[string]time.Duration // of partitions the victim led: from the kill to the first accept of a message sent after it
}

// deliver sends all messages to the first two nodes and kills one of them meanwhile. It returns when
// every message is acknowledged.
func (d *demo) deliver(ctx context.Context) (*flow, error) {
	f := &flow{demo: d, corpus: harness.Corpus{Seed: d.seed, Domain: domain, Large: true},
		queue: newQueue(d.messages, d.accounts), third: make(chan struct{}), gaps: map[string]time.Duration{}}
	doors := d.cluster.Nodes()[:2]
	d.say("sending %d messages over %d connections with STARTTLS to %s and %s", d.messages, d.connections, doors[0].Name, doors[1].Name)
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for i := range d.connections {
		group.Go(func() error { return f.send(ctx, harness.NewSender(doors, i), "") })
	}
	group.Go(func() error { return f.killLeader(ctx, doors) })
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { f.watch(watching) })
	err := group.Wait()
	stop()
	watch.Wait()
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	d.say("all %d messages are acknowledged, after %.1f s (%.0f a second, the failover included)", d.messages, took.Seconds(), float64(d.messages)/took.Seconds())
	return f, nil
}

// send sends messages one after the other until none is left; with a partition, one message for it.
func (f *flow) send(ctx context.Context, s *harness.Sender, partition string) error {
	defer s.Close()
	for {
		j, ok := f.queue.take(partition)
		if !ok {
			return nil
		}
		m := f.corpus.Message(j.number, j.to.address)
		f.demo.ledger.Offer(m, j.to.address)
		began := time.Now()
		if _, err := s.Send(ctx, m, j.to.address); err != nil {
			return err
		}
		f.demo.ledger.Acknowledge(m, j.to.address)
		f.note(j.to.partition, began)
		if partition != "" {
			return nil
		}
	}
}

// note counts an accept.
func (f *flow) note(partition string, began time.Time) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.accepted++; f.accepted == (f.demo.messages+2)/3 {
		close(f.third)
	}
	// A message sent before the kill may have been safe before it, too.
	if gap, led := f.gaps[partition]; led && gap == 0 && began.After(f.killed) {
		f.gaps[partition] = now.Sub(f.killed)
	}
}

// killLeader waits for a third of the mail, finds the door that leads most partitions, and kills
// it. Then it offers a message to each of these partitions at once, to see when they accept again.
func (f *flow) killLeader(ctx context.Context, doors []*harness.Node) error {
	select {
	case <-f.third:
	case <-ctx.Done():
		return ctx.Err()
	}
	led, victim, err := f.chooseVictim(ctx, doors)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.killed = time.Now()
	for _, p := range led {
		f.gaps[p] = 0
	}
	f.mu.Unlock()
	pid := victim.PID()
	victim.Kill()
	f.victim = victim
	f.demo.say("SIGKILL to %s (process %d), which led %d busy partitions %v", victim.Name, pid, len(led), led)
	var alive []*harness.Node
	for _, n := range doors {
		if n != victim {
			alive = append(alive, n)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range led {
		group.Go(func() error { return f.send(ctx, harness.NewSender(alive, 0), p) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	f.demo.say("its partitions accept mail again: the slowest after %d ms", f.worstGap().Milliseconds())
	return nil
}

// chooseVictim finds the door that leads most of the partitions that have accounts.
func (f *flow) chooseVictim(ctx context.Context, doors []*harness.Node) (led []string, victim *harness.Node, err error) {
	status, err := f.demo.cluster.Nodes()[2].Status(ctx)
	if err != nil {
		return nil, nil, err
	}
	busy := map[string]bool{}
	for _, a := range f.demo.accounts {
		busy[a.partition] = true
	}
	leads := map[string][]string{}
	for _, g := range status.Groups {
		if busy[g.Group] {
			leads[g.Leader] = append(leads[g.Leader], g.Group)
		}
	}
	for _, n := range doors {
		if len(leads[n.Name]) > len(led) {
			led, victim = leads[n.Name], n
		}
	}
	if victim == nil {
		return nil, nil, fmt.Errorf("neither %s nor %s leads a partition with accounts: %v", doors[0].Name, doors[1].Name, leads)
	}
	return led, victim, nil
}

// watch prints how far the flow has come, each second.
func (f *flow) watch(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	last := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.mu.Lock()
			accepted := f.accepted
			f.mu.Unlock()
			f.demo.say("  %d of %d acknowledged (%d in this second)", accepted, f.demo.messages, accepted-last)
			last = accepted
		}
	}
}

// worstGap is the longest time from the kill until a partition of the victim took a message.
func (f *flow) worstGap() (worst time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, gap := range f.gaps {
		worst = max(worst, gap)
	}
	return worst
}
