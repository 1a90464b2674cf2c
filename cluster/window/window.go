// Package window reads the state of groups of which this node has no replica, at a node that has one: a
// Window shows a group as a local replica would, with snapshots, iterators and changes. What is read of one
// group never goes back in time, whichever nodes it comes from, and shows what this node has written.
//
// It changes nothing: commands go through cluster/router. It chooses among a group's members, and decides
// nothing about who should hold what.
package window

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
)

const (
	// defaultPatience is how long the first read of a snapshot looks for a node that answers.
	defaultPatience = 8 * time.Second
	// despair is how long after that failed every read fails at once that no node answers at once: what waits for
	// one out of reach would otherwise wait again and again.
	despair = 5 * time.Second
	// nodeTime is how much of it one node may take.
	nodeTime = behindTime + time.Second
	// exchangeTime bounds every other question.
	exchangeTime = 10 * time.Second
	// firstPause and lastPause are between two rounds through the members of a group.
	firstPause, lastPause = 50 * time.Millisecond, time.Second
	// idleStreams are kept for each node, for idleTime.
	idleStreams = 8
	idleTime    = time.Minute
)

// Config is what Windows are made of. Fields without a default are required.
type Config struct {
	Self cluster.NodeID
	// Local answers for this node itself: a group may come here while it is looked at.
	Local *Server
	// Members gives the nodes that hold a group.
	Members func(g cluster.GroupID) []cluster.NodeID
	// Open opens a stream to the Server of another node. ctx bounds the opening only.
	Open func(ctx context.Context, node cluster.NodeID) (net.Conn, error)
	// Patience is how long the first read of a snapshot looks for a node that answers; zero is 8 s.
	Patience time.Duration
}

// Windows gives a Window for each group. It is safe for concurrent use.
type Windows struct {
	cfg    Config
	life   context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup // watches, and streams to this node itself

	mu     sync.Mutex // guards what follows
	groups map[cluster.GroupID]*Window
	idle   map[cluster.NodeID][]*stream
	closed bool
}

// New makes Windows. ctx bounds all that they do.
func New(ctx context.Context, cfg Config) *Windows {
	if cfg.Patience == 0 {
		cfg.Patience = defaultPatience
	}
	ws := &Windows{cfg: cfg, groups: map[cluster.GroupID]*Window{}, idle: map[cluster.NodeID][]*stream{}}
	ws.life, ws.cancel = context.WithCancel(ctx)
	return ws
}

// Close ends all watches and closes all streams that nobody reads from, and waits for them. Snapshots are
// closed before.
func (ws *Windows) Close() error {
	ws.mu.Lock()
	ws.closed = true
	idle := ws.idle
	ws.idle = nil
	ws.mu.Unlock()
	ws.cancel()
	for _, streams := range idle {
		for _, s := range streams {
			s.close()
		}
	}
	ws.work.Wait()
	return nil
}

// Group gives the window onto a group.
func (ws *Windows) Group(g cluster.GroupID) *Window {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.groups[g]
	if w == nil {
		w = &Window{all: ws, group: g}
		ws.groups[g] = w
	}
	return w
}

// open opens a stream to a node.
func (ws *Windows) open(ctx context.Context, node cluster.NodeID) (*stream, error) {
	if node != ws.cfg.Self {
		conn, err := ws.cfg.Open(ctx, node)
		if err != nil {
			return nil, err
		}
		return newStream(node, conn), nil
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed {
		return nil, cluster.ErrStopped
	}
	here, there := net.Pipe()
	ws.work.Go(func() {
		defer there.Close()
		ws.cfg.Local.Serve(ws.life, there)
	})
	return newStream(node, here), nil
}

// take gives an idle stream to a node, or nil.
func (ws *Windows) take(node cluster.NodeID) *stream {
	ws.mu.Lock()
	idle := ws.idle[node]
	var s *stream
	if n := len(idle); n > 0 && time.Since(idle[n-1].since) < idleTime {
		s, idle = idle[n-1], idle[:n-1]
		ws.idle[node] = idle
		idle = nil
	} else {
		delete(ws.idle, node) // the last is the youngest: all are too old
	}
	ws.mu.Unlock()
	for _, old := range idle {
		old.close()
	}
	return s
}

// give keeps a stream for the next snapshot.
func (ws *Windows) give(s *stream) {
	s.since = time.Now()
	ws.mu.Lock()
	keep := !ws.closed && len(ws.idle[s.node]) < idleStreams
	if keep {
		ws.idle[s.node] = append(ws.idle[s.node], s)
	}
	ws.mu.Unlock()
	if !keep {
		s.close()
	}
}

// Window shows one group. It is safe for concurrent use.
type Window struct {
	all   *Windows
	group cluster.GroupID

	mu     sync.Mutex       // guards what follows
	floor  cluster.LogIndex // what every snapshot from now on shows at least
	last   cluster.NodeID   // the node that answered last
	failed time.Time        // when patience was over; zero since a node answered
}

// Snapshot returns a view of the group's keys at the moment of its first use. Where no node answers, every
// read of it is cluster.ErrUnavailable. Where the node goes away meanwhile, Get and Scan answer kv.ErrRestored,
// and an iterator cluster.ErrUnavailable. It may be used by several goroutines.
func (w *Window) Snapshot() kv.Snapshot { return &snapshot{window: w} }

// WaitApplied has the snapshots that are taken from now on show every command up to an index. It does not
// wait: their first use does.
func (w *Window) WaitApplied(_ context.Context, at cluster.LogIndex) error {
	w.raise(at)
	return nil
}

func (w *Window) raise(at cluster.LogIndex) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.floor = max(w.floor, at)
}

// nodes are the members of the group in the order in which they are asked: this node, the one that answered
// last, the others.
func (w *Window) nodes() []cluster.NodeID {
	members := w.all.cfg.Members(w.group)
	w.mu.Lock()
	defer w.mu.Unlock()
	rank := func(id cluster.NodeID) int {
		switch id {
		case w.all.cfg.Self:
			return 0
		case w.last:
			return 1
		}
		return 2
	}
	var out []cluster.NodeID
	for r := range 3 {
		for _, id := range members {
			if rank(id) == r {
				out = append(out, id)
			}
		}
	}
	return out
}

// begin takes a snapshot at a node, trying one after the other until patience is over.
func (w *Window) begin() (*stream, error) {
	ctx, cancel := context.WithTimeout(w.all.life, w.all.cfg.Patience)
	defer cancel()
	w.mu.Lock()
	hopeless := time.Since(w.failed) < despair
	w.mu.Unlock()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		var errs []error
		for _, node := range w.nodes() {
			s, err := w.beginAt(ctx, node)
			if err == nil {
				return s, nil
			}
			errs = append(errs, fmt.Errorf("node %s: %w", node, err))
		}
		if hopeless {
			cancel()
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			w.fail(hopeless)
			// The sentinel is ErrUnavailable alone: ErrNoReplica of another node is not this one's.
			return nil, fmt.Errorf("read %v at another node: %w: %v", w.group, cluster.ErrUnavailable, errors.Join(errs...))
		}
	}
}

// beginAt takes a snapshot at a node, over a stream that there is or a new one.
func (w *Window) beginAt(ctx context.Context, node cluster.NodeID) (s *stream, err error) {
	ctx, cancel := context.WithTimeout(ctx, nodeTime)
	defer cancel()
	defer func() {
		if err != nil {
			w.answered(node, false)
		}
	}()
	if s := w.all.take(node); s != nil {
		err := w.beginOn(ctx, s)
		if err == nil {
			return s, nil
		}
		if _, answered := errors.AsType[*answerError](err); answered {
			return nil, err
		}
	}
	if s, err = w.all.open(ctx, node); err != nil {
		return nil, err
	}
	if err := w.beginOn(ctx, s); err != nil {
		return nil, err
	}
	return s, nil
}

// fail notes that no node answered, at the end of patience.
func (w *Window) fail(hopeless bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !hopeless {
		w.failed = time.Now()
	}
}

// answered remembers the node that answered last, or forgets one that did not.
func (w *Window) answered(node cluster.NodeID, yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if yes {
		w.last, w.failed = node, time.Time{}
	} else if w.last == node {
		w.last = ""
	}
}

// beginOn takes a snapshot over a stream, or closes that.
func (w *Window) beginOn(ctx context.Context, s *stream) error {
	w.mu.Lock()
	floor := w.floor
	w.mu.Unlock()
	stop := context.AfterFunc(ctx, s.close)
	body, err := s.ask(opBegin, appendBegin(nil, w.group, floor))
	if err == nil && !stop() {
		err = ctx.Err() // it was closed at the very end
	}
	var applied cluster.LogIndex
	if err == nil {
		applied, err = parseIndex(body)
	}
	if err != nil {
		stop()
		s.close()
		return err
	}
	w.raise(applied)
	w.answered(s.node, true)
	return nil
}
