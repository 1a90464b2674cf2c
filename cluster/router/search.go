package router

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// target is whom an attempt is made at.
type target struct {
	node cluster.NodeID
	// guess says that node is only a member, not the leader as far as is known here. It may pass a
	// proposal on to the leader it knows, which also crosses a cut between this node and the leader.
	guess bool
}

// notLeader is the answer of a replica that does not lead, with the leader it knows, if any.
type notLeader struct{ hint cluster.NodeID }

func (n *notLeader) Error() string {
	if n.hint == "" {
		return cluster.ErrNotLeader.Error()
	}
	return fmt.Sprintf("%v (%s is)", cluster.ErrNotLeader, n.hint)
}

func (n *notLeader) Unwrap() error { return cluster.ErrNotLeader }

const (
	firstPause = 10 * time.Millisecond
	lastPause  = 250 * time.Millisecond
	// jumps is how many times in a row a hint is followed without a pause: two replicas that point
	// at each other must not be asked in a tight loop.
	jumps = 3
)

// search is the state of one call that looks for a leader.
type search struct {
	r     *Router
	group cluster.GroupID

	local    Group // nil where this node has no replica
	hint     cluster.NodeID
	failed   cluster.NodeID // the last node that did not lead or answer
	turn     int            // through the members
	jumped   int
	pause    time.Duration
	attempts int
}

// lead makes attempts at the leader of a group until one succeeds, fails for good, or time is up.
func (r *Router) lead(ctx context.Context, g cluster.GroupID, attempt func(context.Context, target) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Patience)
	defer cancel()
	s := &search{r: r, group: g, pause: firstPause, turn: rand.IntN(256)}
	var last error
	for ctx.Err() == nil {
		s.local, _ = r.cfg.Local(g)
		changed := s.changed() // taken before the attempt, so that no change is missed
		to, ok := s.next()
		if ok {
			err := s.try(ctx, to, changed, attempt)
			if err == nil {
				return nil
			}
			if !passes(err) {
				return err
			}
			last = err
			if s.learn(to, err) {
				continue
			}
		}
		s.wait(ctx, changed)
	}
	return s.gaveUp(ctx, last)
}

func (s *search) gaveUp(ctx context.Context, last error) error {
	if last == nil {
		return fmt.Errorf("no member of the group is known: %w: %w", cluster.ErrUnavailable, ctx.Err())
	}
	// The sentinel is ErrUnavailable alone: what the last attempt met is text.
	return fmt.Errorf("%w: %w after %d attempts, the last: %v", cluster.ErrUnavailable, ctx.Err(), s.attempts, last)
}

// passes reports whether an error may be gone at the next attempt.
func passes(err error) bool {
	return errors.Is(err, cluster.ErrNotLeader) || errors.Is(err, cluster.ErrUnavailable) ||
		errors.Is(err, cluster.ErrNoReplica) || errors.Is(err, cluster.ErrStopped) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

func (s *search) changed() <-chan struct{} {
	if s.local == nil {
		return nil
	}
	return s.local.LeaderChanged()
}

// next chooses whom to ask: a hint just received, the leader the local replica knows, the one
// remembered, else the members in turn. One that has just failed is not asked twice in a row while
// there is another.
func (s *search) next() (target, bool) {
	if hint := s.hint; hint != "" {
		s.hint = ""
		return target{node: hint}, true
	}
	if s.local != nil {
		if leader, ok := s.local.Leader(); ok && leader != s.failed {
			return target{node: leader}, true
		}
	} else if leader, ok := s.r.remembered(s.group); ok && leader != s.failed {
		return target{node: leader}, true
	}
	members := s.r.cfg.Members(s.group)
	for range members {
		s.turn++
		node := members[s.turn%len(members)]
		if node != s.failed && (node != s.r.cfg.Self || s.local != nil && len(members) == 1) {
			return target{node: node, guess: true}, true
		}
	}
	if s.local != nil { // the only member, or the map is not known yet
		return target{node: s.r.cfg.Self}, true
	}
	failed := s.failed
	s.failed = ""
	return target{node: failed, guess: true}, failed != ""
}

// try makes one attempt. It ends early when the local replica learns of another leader, and after a
// third of the router's patience in any case: a node behind a cut never answers, and asking again
// is safe, since the command keeps its id.
func (s *search) try(ctx context.Context, to target, changed <-chan struct{}, attempt func(context.Context, target) error) error {
	s.attempts++
	if to.node == s.r.cfg.Self {
		return attempt(ctx, to)
	}
	ctx, cancel := context.WithTimeout(ctx, s.r.cfg.Patience/3)
	defer cancel()
	if changed == nil {
		return attempt(ctx, to)
	}
	ended := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-changed:
			case <-ended:
				return
			}
			changed = s.local.LeaderChanged()
			if leader, ok := s.local.Leader(); ok && leader != to.node {
				cancel()
				return
			}
		}
	}()
	err := attempt(ctx, to)
	close(ended)
	<-watched
	return err
}

// learn takes what an attempt's failure tells; true means that the next attempt needs no pause.
func (s *search) learn(to target, err error) bool {
	s.failed = to.node
	s.r.forget(s.group, to.node)
	var answer *notLeader
	if !errors.As(err, &answer) || answer.hint == "" || answer.hint == to.node {
		return false
	}
	s.r.remember(s.group, answer.hint)
	if s.jumped++; s.jumped > jumps {
		return false
	}
	s.hint = answer.hint
	return true
}

// wait pauses between attempts, for less where the local replica learns of a new leader.
func (s *search) wait(ctx context.Context, changed <-chan struct{}) {
	s.jumped = 0
	timer := time.NewTimer(s.pause/2 + rand.N(s.pause/2+1))
	defer timer.Stop()
	s.pause = min(2*s.pause, lastPause)
	select {
	case <-timer.C:
	case <-changed:
		s.failed = ""
	case <-ctx.Done():
	}
}
