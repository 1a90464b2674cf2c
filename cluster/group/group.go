// Package group runs one replica of one Raft group: hashicorp/raft over cluster/raftlog and
// cluster/state, with snapshots that cost nothing to take, a log truncated by bytes, and leader
// work that starts after a barrier and is waited for when leadership ends.
//
// It routes nothing: a proposal on a replica that does not lead is refused, and cluster/router
// finds the leader.
package group

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/semaphore"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/raftlog"
)

// ErrRemoved says that the group's configuration has no place for this replica any more.
var ErrRemoved = errors.New("this replica was removed from its group")

// drainTimeout bounds how long a stopping replica waits for its proposals to end. They end with
// their commit, or when a leader without a majority steps down.
const drainTimeout = 10 * time.Second

// Group is one replica of a group. It is safe for concurrent use.
type Group struct {
	cfg       Config
	log       *raftlog.Log
	fsm       *fsm
	raft      *raft.Raft // set before running
	running   atomic.Bool
	applied   watermark
	inFlight  *semaphore.Weighted
	gate      gate // calls that wait for Raft
	leading   leadership
	leader    broadcast
	announcer announcer

	life    context.Context // ends when the replica begins to stop
	end     context.CancelFunc
	stopped chan struct{} // closed when everything has ended
	work    sync.WaitGroup

	mu      sync.Mutex
	failure error // guarded by mu
}

// Open starts the replica from what Logs and State hold. It returns *raftlog.CorruptError when the
// log has a hole or does not reach the state.
func Open(ctx context.Context, cfg Config) (*Group, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("open group %v: %w", cfg.ID, err)
	}
	g := &Group{
		cfg:      cfg,
		inFlight: semaphore.NewWeighted(cfg.Limits.InFlightBytes),
		stopped:  make(chan struct{}),
	}
	g.life, g.end = context.WithCancel(context.WithoutCancel(ctx))
	g.applied.closed = g.life.Done()
	notify := make(chan bool, 8)
	err := g.load(ctx)
	if err == nil {
		g.raft, err = g.newRaft(raftConfig(cfg, notify))
	}
	if err != nil {
		g.end()
		return nil, fmt.Errorf("open group %v: %w", cfg.ID, err)
	}
	g.start(notify)
	return g, nil
}

// load opens log and state, and makes them agree.
func (g *Group) load(ctx context.Context) error {
	log, err := g.cfg.Logs.Group(g.cfg.ID)
	if err != nil {
		return err
	}
	if err := makeDir(g.cfg.FS, g.cfg.Dir); err != nil {
		return fmt.Errorf("make snapshot directory: %w", err)
	}
	part := g.cfg.State.Group(g.cfg.ID)
	snaps := &snapshots{id: g.cfg.ID, log: log, state: part, fs: g.cfg.FS, dir: g.cfg.Dir}
	applied, err := snaps.recover(ctx)
	if err != nil {
		return err
	}
	g.log = log
	g.fsm = &fsm{
		life: g.life, state: part, flush: g.cfg.State.Flush, machine: g.cfg.Machine,
		applied: &g.applied, snaps: snaps, fail: g.fail, committed: g.announce,
	}
	return g.fsm.restored(applied)
}

// newRaft starts Raft. It reads the log for configurations, and panics on an entry that it cannot
// read before any of its goroutines runs.
func (g *Group) newRaft(c *raft.Config) (r *raft.Raft, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &raftlog.CorruptError{Group: g.cfg.ID, What: fmt.Sprint(p)}
		}
	}()
	return raft.NewRaft(c, g.fsm, g.log, g.log, g.fsm.snaps, g.cfg.Transport)
}

// start runs what the replica does by itself until it stops.
func (g *Group) start(notify <-chan bool) {
	g.running.Store(true)
	g.work.Go(func() { g.watchLeader() })
	g.work.Go(func() { g.watchOwnLeadership(notify) })
	g.work.Go(func() { g.truncate() })
	go func() { // Close waits for it
		<-g.life.Done()
		g.shutdown()
		close(g.stopped)
	}()
}

// fail stops the replica for good. It may be called from Raft's goroutines.
func (g *Group) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.life.Err() != nil {
		return
	}
	g.failure = err
	if err != nil {
		g.cfg.Logger.Error("the replica stops", "error", err)
	}
	g.end()
}

// shutdown ends everything that runs. Waiting calls are let end first: Raft forgets what it has
// not answered when it shuts down.
func (g *Group) shutdown() {
	if !g.gate.drain(drainTimeout) {
		g.cfg.Logger.Warn("proposals were still waiting when the replica stopped")
	}
	if err := g.raft.Shutdown().Error(); err != nil {
		g.cfg.Logger.Warn("raft did not shut down cleanly", "error", err)
	}
	g.leading.end()
	g.leader.notify()
	g.work.Wait()
}

// ID is the group's number.
func (g *Group) ID() cluster.GroupID { return g.cfg.ID }

// Bootstrap makes this replica, which must be new, the only voter of its group, at the transport's
// address.
func (g *Group) Bootstrap(ctx context.Context) error {
	servers := []raft.Server{{
		Suffrage: raft.Voter,
		ID:       raft.ServerID(g.cfg.Node),
		Address:  g.cfg.Transport.LocalAddr(),
	}}
	err := g.await(ctx, func() raft.Future { return g.raft.BootstrapCluster(raft.Configuration{Servers: servers}) })
	if err != nil {
		return fmt.Errorf("bootstrap %v: %w", g.cfg.ID, err)
	}
	return nil
}

// Close hands leadership over, stops the replica and makes its state durable. After ctx's end it
// stops without the handover and without the flush, as a crash would. Whoever runs WhileLeader
// waits for that by itself.
func (g *Group) Close(ctx context.Context) error {
	graceful := ctx.Err() == nil
	if graceful {
		g.handOver(ctx)
	}
	g.fail(nil)
	<-g.stopped
	if !graceful || ctx.Err() != nil {
		return nil
	}
	if err := g.cfg.State.Flush(); err != nil {
		return fmt.Errorf("close group %v: %w", g.cfg.ID, err)
	}
	return nil
}

// handOver makes a clean stop cheap for the others and for the next start: another voter leads,
// and a snapshot leaves nothing to replay.
func (g *Group) handOver(ctx context.Context) {
	if g.raft.State() == raft.Leader && g.hasOtherVoter() {
		if err := g.await(ctx, g.raft.LeadershipTransfer); err != nil {
			g.cfg.Logger.Info("leadership was not handed over", "error", err)
		}
	}
	if _, entries := g.log.Growth(); entries == 0 {
		return
	}
	if err := g.TakeSnapshot(ctx); err != nil && ctx.Err() == nil {
		g.cfg.Logger.Debug("no snapshot at the end", "error", err)
	}
}

// Done is closed when the replica has stopped, by Close, by a failure or because the group removed
// it. Err then tells why.
func (g *Group) Done() <-chan struct{} { return g.stopped }

// Err is why the replica stopped; nil while it runs and after Close, ErrRemoved when the group
// removed it.
func (g *Group) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failure
}
