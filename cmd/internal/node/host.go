package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/exactlyonce"
	"github.com/rookery-mail/rookery/cluster/group"
	"github.com/rookery-mail/rookery/cluster/raftlog"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/partition"
	"github.com/rookery-mail/rookery/mta/bayes/training"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/runner"
	"github.com/rookery-mail/rookery/mta/script"
)

// hostConfig is what a host works with.
type hostConfig struct {
	node      cluster.NodeID
	logs      *raftlog.DB
	state     *state.DB
	snapshots string
	timing    group.Timing
	logger    *slog.Logger
	// dial gives the Raft transport of a group.
	dial func(cluster.GroupID) (raft.Transport, error)
	// directory is the machine of group 0.
	directory exactlyonce.Machine
	// touched hears of accounts that changed, as partition.Config.Touched. Nil: nobody does.
	touched func(index.AccountID)
	// opened runs beside each replica, with a context that ends when the replica closes. Nil: nothing.
	opened func(ctx context.Context, r *replica)
}

// host holds the replicas of this node: it opens, closes and drops them. What should be here is
// decided elsewhere (assign.go).
type host struct {
	hostConfig

	opening sync.Mutex // one replica at a time is opened; readers of the maps do not wait for it

	mu       sync.Mutex // guards what follows
	replicas map[cluster.GroupID]*replica
	failed   map[cluster.GroupID]error // replicas that could not be opened
	closed   bool
}

func newHost(c hostConfig) *host {
	return &host{hostConfig: c, replicas: map[cluster.GroupID]*replica{}, failed: map[cluster.GroupID]error{}}
}

// replica is one open group with what belongs to it.
type replica struct {
	*group.Group
	partition  *partition.Partition // nil for the directory
	queue      *queue.Queue         // as above
	scripts    *script.Machine      // as above
	gate       runner.Gate          // of the attempts at other hosts
	cancel     context.CancelFunc
	running    sync.WaitGroup                    // what opened started
	fresh      chan struct{}                     // closed when it has caught up (fresh.go)
	scriptless moment[index.AccountID, struct{}] // accounts without an active script, by the version of scripts
}

// open opens the replica of g, or returns the one that is open.
func (h *host) open(ctx context.Context, g cluster.GroupID) (*replica, error) {
	h.opening.Lock()
	defer h.opening.Unlock()
	h.mu.Lock()
	r, closed := h.replicas[g], h.closed
	h.mu.Unlock()
	if r != nil {
		return r, nil
	}
	if closed {
		return nil, cluster.ErrStopped
	}
	r, err := h.start(ctx, g)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.failed[g] = err
		return nil, err
	}
	delete(h.failed, g)
	h.replicas[g] = r
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.cancel = cancel
	if h.opened != nil {
		r.running.Go(func() { h.opened(life, r) })
	}
	return r, nil
}

func (h *host) start(ctx context.Context, g cluster.GroupID) (*replica, error) {
	transport, err := h.dial(g)
	if err != nil {
		return nil, fmt.Errorf("open %v: %w", g, err)
	}
	r := &replica{fresh: make(chan struct{}), scriptless: moment[index.AccountID, struct{}]{most: maxScriptless}}
	machine := h.directory
	if g != cluster.DirectoryGroup {
		r.queue, r.scripts = queue.New(), script.New()
		r.partition = partition.New(partition.Config{Touched: h.touched, More: []partition.Extension{r.queue, r.scripts, training.New()}})
		machine = r.partition
	}
	r.Group, err = group.Open(ctx, group.Config{
		ID: g, Node: h.node, Logs: h.logs, State: h.state, Machine: exactlyonce.New(machine),
		Transport: transport, Timing: h.timing, Dir: h.snapshots, Logger: h.logger,
	})
	if err != nil {
		if closer, ok := transport.(raft.WithClose); ok {
			_ = closer.Close() // the error that matters is err
		}
		return nil, fmt.Errorf("open %v: %w", g, err)
	}
	return r, nil
}

// get returns the open replica of g.
func (h *host) get(g cluster.GroupID) (*replica, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.replicas[g]; r != nil {
		return r, nil
	}
	if err := h.failed[g]; err != nil {
		return nil, fmt.Errorf("%v: %w: %w", g, cluster.ErrNoReplica, err)
	}
	return nil, fmt.Errorf("%v: %w", g, cluster.ErrNoReplica)
}

// all returns the open replicas by group.
func (h *host) all() []*replica {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*replica, 0, len(h.replicas))
	for _, r := range h.replicas {
		out = append(out, r)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID() < out[j].ID() })
	return out
}

// failures returns why replicas that should be here are not.
func (h *host) failures() map[cluster.GroupID]error {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[cluster.GroupID]error, len(h.failed))
	for g, err := range h.failed {
		out[g] = err
	}
	return out
}

// drop closes the replica of g and deletes what this node holds of it. The caller has marked it: after
// a crash between the two deletions the replica would be found damaged.
func (h *host) drop(ctx context.Context, g cluster.GroupID) error {
	h.mu.Lock()
	r := h.replicas[g]
	delete(h.replicas, g)
	delete(h.failed, g)
	h.mu.Unlock()
	if r != nil {
		if err := h.stop(ctx, r); err != nil {
			return err
		}
	}
	if err := h.logs.Drop(g); err != nil {
		return err
	}
	return h.state.Group(g).Drop(ctx)
}

func (h *host) stop(ctx context.Context, r *replica) error {
	r.rest(ctx)
	r.cancel()
	err := r.Close(ctx)
	r.running.Wait()
	return err
}

// restPatience is how long attempts at other hosts may take to end before leadership goes. What takes longer
// is broken off.
const restPatience = 3 * time.Second

// rest lets no attempt at another host begin, and waits for those under way.
func (r *replica) rest(ctx context.Context) (open func()) {
	ctx, cancel := context.WithTimeout(ctx, restPatience)
	defer cancel()
	open, _ = r.gate.Rest(ctx)
	return open
}

// close stops all replicas, the directory last, since the others' leaders hand over by its map.
func (h *host) close(ctx context.Context) error {
	h.opening.Lock() // what is being opened is closed below
	defer h.opening.Unlock()
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	var wg sync.WaitGroup
	replicas := h.all()
	errs := make([]error, len(replicas))
	for i, r := range replicas {
		if r.ID() == cluster.DirectoryGroup {
			continue
		}
		wg.Go(func() { errs[i] = h.stop(ctx, r) })
	}
	wg.Wait()
	for i, r := range replicas {
		if r.ID() == cluster.DirectoryGroup {
			errs[i] = h.stop(ctx, r)
		}
	}
	return errors.Join(errs...)
}
