package scenario

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/bench/corpus"
	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

// probes send small messages to one account of each partition, one after the other, and remember when
// each was accepted. What is not accepted is sent again, with the same Message-ID, to the next node: as a
// mail server does, only without its patience.
type probes struct {
	accounts []load.Login // one a partition
	names    []string     // the partitions
	doors    []load.Door
	source   *corpus.Generator
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu       sync.Mutex
	times    [][]time.Time   // of accepts, by partition; guarded by mu
	accepted map[string]bool // by Message-ID; guarded by mu
	retries  int             // guarded by mu
}

// probeAccounts is how many accounts are made, so that most partitions have one.
const probeAccounts = 40

// probePause keeps the load so low that what is seen is the cluster's gap and not its limit.
const probePause = 5 * time.Millisecond

func startProbes(ctx context.Context, s site.Clustered, o Options) (*probes, error) {
	accounts, err := s.Accounts(ctx, o.accounts(probeAccounts))
	if err != nil {
		return nil, err
	}
	partitions, err := s.Partitions(ctx, len(accounts))
	if err != nil {
		return nil, err
	}
	p := &probes{doors: s.MX(), source: corpus.NewGenerator(o.Run, corpus.Fixed(2<<10)), accepted: map[string]bool{}}
	taken := map[string]bool{}
	for _, a := range accounts {
		if name := partitions[a.Address]; !taken[name] {
			taken[name] = true
			p.accounts, p.names = append(p.accounts, a), append(p.names, name)
		}
	}
	p.times = make([][]time.Time, len(p.accounts))
	ctx, p.cancel = context.WithCancel(ctx)
	for i := range p.accounts {
		p.wg.Go(func() { p.probe(ctx, i) })
	}
	return p, nil
}

// probe sends until ctx ends.
func (p *probes) probe(ctx context.Context, i int) {
	var c *load.SMTP
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	door := i
	var body []byte
	for n := i; ; n += len(p.accounts) {
		body = p.source.Append(body[:0], n)
		for {
			err := p.send(ctx, &c, p.doors[door%len(p.doors)], p.accounts[i].Address, body)
			if err == nil {
				break
			}
			door++
			p.mu.Lock()
			p.retries++
			p.mu.Unlock()
			if sleep(ctx, 2*probePause) != nil {
				return
			}
		}
		p.mu.Lock()
		p.times[i] = append(p.times[i], time.Now())
		p.accepted[p.source.MessageID(n)] = true
		p.mu.Unlock()
		if sleep(ctx, probePause) != nil {
			return
		}
	}
}

// send connects where that is needed. After an error the connection is gone.
func (p *probes) send(ctx context.Context, c **load.SMTP, door load.Door, to string, body []byte) (err error) {
	if *c == nil {
		if *c, err = load.DialSMTP(ctx, door, nil); err != nil {
			*c = nil
			return err
		}
	}
	if _, err = (*c).Send("probe@bench.example", []string{to}, body); err != nil {
		(*c).Close()
		*c = nil
	}
	return err
}

// stop ends the probes and gives their ledger.
func (p *probes) stop() ledger {
	p.cancel()
	p.wg.Wait()
	return ledger{accepted: p.accepted}
}

// waitAll returns when every partition has accepted a message after the given time.
func (p *probes) waitAll(ctx context.Context, after time.Time) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("a partition accepted nothing for two minutes"))
	defer cancel()
	for {
		if p.allSince(after) {
			return nil
		}
		if sleep(ctx, 20*time.Millisecond) != nil {
			return context.Cause(ctx)
		}
	}
}

func (p *probes) allSince(after time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, times := range p.times {
		if len(times) == 0 || times[len(times)-1].Before(after) {
			return false
		}
	}
	return true
}

// gap is the longest time between two accepts of partition i that ends in a window.
func (p *probes) gap(i int, from, to time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	longest := time.Duration(0)
	for j, t := range p.times[i] {
		if j > 0 && t.After(from) && t.Before(to) {
			longest = max(longest, t.Sub(p.times[i][j-1]))
		}
	}
	return longest
}
