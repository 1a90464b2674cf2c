package group

import (
	"context"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// leadership is this replica's own, from the barrier that follows an election to its end.
type leadership struct {
	mu      sync.Mutex
	ctx     context.Context // guarded by mu: nil while not leading
	cancel  context.CancelFunc
	term    uint64
	changed broadcast
}

func (l *leadership) begin(life context.Context, term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ctx, l.cancel = context.WithCancel(life)
	l.term = term
	l.changed.notify()
}

func (l *leadership) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil {
		return
	}
	l.cancel()
	l.ctx, l.cancel = nil, nil
	l.changed.notify()
}

// current returns a context that ends with the leadership, or nil, and a channel that is closed
// when the answer changes.
func (l *leadership) current() (ctx context.Context, term uint64, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx, l.term, l.changed.wait()
}

// IsLeader reports whether this replica leads and has applied everything of earlier terms.
func (g *Group) IsLeader() bool {
	ctx, _, _ := g.leading.current()
	return ctx != nil && g.raft.State() == raft.Leader
}

// Leader returns the leader as this replica knows it.
func (g *Group) Leader() (leader cluster.NodeID, ok bool) {
	_, id := g.raft.LeaderWithID()
	return cluster.NodeID(id), id != ""
}

// LeaderChanged returns a channel that is closed when the leader, as known here, next changes, or
// when this replica became ready to lead.
func (g *Group) LeaderChanged() <-chan struct{} { return g.leader.wait() }

// WhileLeader calls work each time this replica becomes the leader, after a barrier, with a
// context that ends with leadership, and waits for it. It returns when ctx ends (nil) or the
// replica stops (cluster.ErrStopped); the caller runs it in a goroutine of its own.
func (g *Group) WhileLeader(ctx context.Context, work func(ctx context.Context, term uint64)) error {
	for {
		lead, term, changed := g.leading.current()
		if lead != nil && ctx.Err() == nil {
			runWhile(ctx, lead, term, work)
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		case <-g.stopped:
			return cluster.ErrStopped
		}
	}
}

// runWhile runs work until ctx or lead ends, and then waits for the end of both work and one of
// these.
func runWhile(ctx, lead context.Context, term uint64, work func(ctx context.Context, term uint64)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(lead, cancel)()
	work(ctx, term)
	<-ctx.Done()
}

// watchOwnLeadership follows Raft's notices of this replica's leadership. Between two of them it
// may wait for a barrier, which ends when leadership does.
func (g *Group) watchOwnLeadership(notify <-chan bool) {
	for {
		select {
		case leads := <-notify:
			if leads {
				g.lead()
				continue
			}
			g.leading.end()
			g.leaveIfRemoved()
		case <-g.life.Done():
			g.leading.end()
			return
		}
	}
}

// lead begins leadership once everything of earlier terms is applied.
func (g *Group) lead() {
	term := g.raft.CurrentTerm()
	if err := g.Barrier(g.life); err != nil {
		g.cfg.Logger.Info("leadership was lost before it began", "term", term, "error", err)
		return
	}
	g.cfg.Logger.Info("this node leads the group", "term", term)
	g.leading.begin(g.life, term)
	g.leader.notify()
}

// leaveIfRemoved stops a replica that led the change which removed it. A follower that is removed
// is told by nobody; whoever removed it stops it.
func (g *Group) leaveIfRemoved() {
	for _, m := range g.Members() {
		if m.ID == g.cfg.Node {
			return
		}
	}
	if len(g.Members()) > 0 {
		g.fail(ErrRemoved)
	}
}

// watchLeader wakes those who wait for a change of the leader.
func (g *Group) watchLeader() {
	seen := make(chan raft.Observation, 1)
	observer := raft.NewObserver(seen, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	g.raft.RegisterObserver(observer)
	defer g.raft.DeregisterObserver(observer)
	for {
		select {
		case <-seen:
			g.leader.notify()
		case <-g.life.Done():
			return
		}
	}
}
