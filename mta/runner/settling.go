package runner

import (
	"context"
	"sync"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// settling is what became of attempts and is not in the log yet. What ends while one command is committed goes into the
// next one together.
type settling struct {
	more chan struct{} // of capacity one: there is something

	mu   sync.Mutex // guards what follows
	list []settled
}

// settled is what became of one attempt.
type settled struct {
	cmd  *queuepb.SettleCommand
	done func() // called when it is in the log, or will not be
}

func newSettling() *settling { return &settling{more: make(chan struct{}, 1)} }

// add has outcomes without reports settled, and done called then. The command is given away.
func (s *settling) add(cmd *queuepb.SettleCommand, done func()) {
	s.mu.Lock()
	s.list = append(s.list, settled{cmd, done})
	s.mu.Unlock()
	s.signal()
}

func (s *settling) signal() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// take makes one command of as many as fit into it, all nil where there is none. done is to be called when it is dealt with.
func (s *settling) take(term uint64) (all *queuepb.SettleCommand, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == 0 {
		return nil, nil
	}
	all = &queuepb.SettleCommand{Term: term}
	n := 0
	for _, one := range s.list {
		if n > 0 && len(all.Outcomes)+len(one.cmd.Outcomes) > queue.MaxPlaces {
			break
		}
		n++
		all.Outcomes = append(all.Outcomes, one.cmd.Outcomes...)
		for _, c := range one.cmd.Closures {
			closes(all, c)
		}
	}
	taken := s.list[:n:n]
	s.list = append([]settled(nil), s.list[n:]...)
	if len(s.list) > 0 {
		s.signal()
	}
	return all, func() {
		for _, one := range taken {
			one.done()
		}
	}
}

// drop gives up what is left, when nothing is added any more.
func (s *settling) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.list {
		one.done()
	}
	s.list = nil
}

// closes adds a closure. Attempts that failed at the same time are one failure of their destination, and the last of
// them is what is known of it.
func closes(cmd *queuepb.SettleCommand, c *queuepb.Closure) {
	for i, other := range cmd.Closures {
		if other.Destination == c.Destination {
			cmd.Closures[i] = c
			return
		}
	}
	cmd.Closures = append(cmd.Closures, c)
}

// settle commits what became of attempts until ctx ends.
func (r *Runner) settle(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.outcomes.more:
		}
		cmd, done := r.outcomes.take(r.term)
		if cmd == nil {
			continue
		}
		r.insist(ctx, func() error {
			_, err := r.propose(ctx, command.SettleRecipients, cmd)
			return err
		})
		done()
	}
}
