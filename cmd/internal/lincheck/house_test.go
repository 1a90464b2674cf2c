package lincheck

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/clustertest"
	"github.com/rookery-mail/rookery/cluster/group"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
)

// partitions is how many groups hold accounts.
const partitions = 2

// patience bounds an operation; what has no answer by then has none.
const patience = 1500 * time.Millisecond

// house is a cluster with a mail store on each node that runs.
type house struct {
	*clustertest.Cluster
	t       *testing.T
	witness *witness
	wrap    func(mailstore.Proposer) mailstore.Proposer // nil: proposals go through as they are

	mu    sync.Mutex // guards doors
	doors map[cluster.NodeID]*door
}

func open(t *testing.T, wrap func(mailstore.Proposer) mailstore.Proposer) *house {
	t.Helper()
	w := &witness{changed: map[cluster.CommandID]bool{}}
	h := &house{t: t, witness: w, wrap: wrap, doors: map[cluster.NodeID]*door{}}
	h.Cluster = clustertest.Start(t, clustertest.Config{
		Groups: partitions, Patience: time.Second,
		// Little is kept of the log, so that nodes that come back are sent snapshots.
		Limits:  group.Limits{SnapshotBytes: 64 << 10, TrailingBytes: 16 << 10},
		Machine: w.machine,
	})
	for _, id := range h.IDs() {
		h.enter(id)
	}
	return h
}

func locate(a index.AccountID) (cluster.GroupID, error) {
	return 1 + cluster.GroupID(a%partitions), nil
}

// door is the mail store of one run of a node.
type door struct {
	node  *clustertest.Node
	store *mailstore.Store
	life  context.Context
	end   context.CancelFunc

	mu   sync.RWMutex // held for reading while a snapshot is open
	gone bool         // guarded by mu
}

// enter opens the door of a node that runs, once its replicas have caught up, as cmd/internal/node
// does.
func (h *house) enter(id cluster.NodeID) {
	h.t.Helper()
	d := &door{node: h.Node(id)}
	d.life, d.end = context.WithCancel(h.t.Context())
	var proposer mailstore.Proposer = noted{d.node}
	if h.wrap != nil {
		proposer = h.wrap(proposer)
	}
	d.store = mailstore.New(mailstore.Config{
		Proposer: proposer, Locate: locate,
		Replica: func(g cluster.GroupID) (mailstore.Replica, error) {
			r, ok := d.node.Group(g)
			if !ok {
				return nil, cluster.ErrNoReplica
			}
			return replica{Group: r, door: d}, nil
		},
		Feed: func(cluster.GroupID) (mailstore.Feed, error) { return nil, cluster.ErrNoReplica },
	})
	for g := cluster.GroupID(1); g <= partitions; g++ {
		h.Eventually("a node catches up", func() error { return d.catchUp(d.life, g) })
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.doors[id] = d
}

// leave shuts the door of a node, which is then stopped or crashed. Who reads is waited for; who
// writes gets no answer any more.
func (h *house) leave(id cluster.NodeID) {
	h.mu.Lock()
	d := h.doors[id]
	delete(h.doors, id)
	h.mu.Unlock()
	d.mu.Lock()
	d.gone = true
	d.mu.Unlock()
	d.end()
}

// open lists the doors that are open.
func (h *house) open() []*door {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*door
	for _, id := range h.IDs() {
		if d := h.doors[id]; d != nil {
			out = append(out, d)
		}
	}
	return out
}

// catchUp waits until the node's replica shows all that was acknowledged before the call.
func (d *door) catchUp(ctx context.Context, g cluster.GroupID) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := d.node.Router.Fresh(ctx, g)
	return err
}

// replica is a replica that is not read once its node is gone.
type replica struct {
	*group.Group
	door *door
}

// Snapshot implements mailstore.Replica.
func (r replica) Snapshot() kv.Snapshot {
	r.door.mu.RLock()
	if r.door.gone {
		r.door.mu.RUnlock()
		return nothing{}
	}
	return held{Snapshot: r.Group.Snapshot(), door: r.door}
}

// held keeps the door from being left while it is read through.
type held struct {
	kv.Snapshot
	door *door
}

// Close implements kv.Snapshot.
func (s held) Close() error {
	defer s.door.mu.RUnlock()
	return s.Snapshot.Close()
}

// nothing is what a node shows that is gone.
type nothing struct{}

func (nothing) Get([]byte) ([]byte, bool, error)         { return nil, false, cluster.ErrStopped }
func (nothing) Scan([]byte, []byte) (kv.Iterator, error) { return nil, cluster.ErrStopped }
func (nothing) Close() error                             { return nil }
