package router_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/router"
	"github.com/rookery-mail/rookery/cluster/rpc"
)

var (
	_ router.Caller   = (*rpc.Client)(nil)
	_ router.Registry = (*rpc.Mux)(nil)
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is one group over nodes a, b, c, with d outside of it: who leads, what is cut, and how often
// each command was executed.
type world struct {
	mu       sync.Mutex
	leader   cluster.NodeID
	changed  chan struct{}
	cut      map[string]bool // "ab": a cannot call b
	hung     map[cluster.NodeID]bool
	executed map[cluster.CommandID]cluster.LogIndex
	count    int
	calls    []string
	after    func(self cluster.NodeID) error // an error in place of an executed command's result
	nodes    map[cluster.NodeID]*node
}

type node struct {
	id     cluster.NodeID
	w      *world
	mux    *rpc.Mux
	router *router.Router
}

func newWorld(leader cluster.NodeID) *world {
	w := &world{leader: leader, changed: make(chan struct{}), cut: map[string]bool{}, hung: map[cluster.NodeID]bool{},
		executed: map[cluster.CommandID]cluster.LogIndex{}, nodes: map[cluster.NodeID]*node{}}
	for _, id := range []cluster.NodeID{"a", "b", "c", "d"} {
		n := &node{id: id, w: w, mux: rpc.NewMux(rpc.MaxFrame, slog.New(slog.DiscardHandler))}
		n.router = router.New(router.Config{
			Self: id, Caller: n, Clock: time.Now, Random: rand.Reader,
			Local: func(cluster.GroupID) (router.Group, bool) {
				return (*replica)(n), id != "d"
			},
			Members: func(cluster.GroupID) []cluster.NodeID { return []cluster.NodeID{"a", "b", "c"} },
		})
		n.router.Serve(n.mux)
		w.nodes[id] = n
	}
	return w
}

func (w *world) elect(leader cluster.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leader = leader
	close(w.changed)
	w.changed = make(chan struct{})
}

// Call is the network: it answers, refuses, or hangs behind a cut.
func (n *node) Call(ctx context.Context, to cluster.NodeID, method string, request []byte) ([]byte, error) {
	n.w.mu.Lock()
	cut, hung := n.w.cut[string(n.id+to)], n.w.hung[to]
	n.w.calls = append(n.w.calls, string(n.id+">"+to))
	n.w.mu.Unlock()
	if hung {
		<-ctx.Done()
		return nil, fmt.Errorf("call of %s: %w: %w", to, cluster.ErrUnavailable, ctx.Err())
	}
	if cut {
		return nil, fmt.Errorf("call of %s: %w", to, cluster.ErrUnavailable)
	}
	return n.w.nodes[to].mux.Dispatch(ctx, n.id, method, request)
}

// replica is the group at a node.
type replica node

func (r *replica) Propose(_ context.Context, data []byte) ([]byte, cluster.LogIndex, error) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if r.w.leader != r.id {
		return nil, 0, cluster.ErrNotLeader
	}
	c, err := command.Decode(data)
	if err != nil {
		return nil, 0, err
	}
	index, done := r.w.executed[c.ID]
	if !done {
		r.w.count++
		index = cluster.LogIndex(r.w.count)
		r.w.executed[c.ID] = index
	}
	if r.w.after != nil {
		if err := r.w.after(r.id); err != nil {
			return nil, 0, err
		}
	}
	return append([]byte("did "), c.Payload...), index, nil
}

func (r *replica) ReadIndex(context.Context) (cluster.LogIndex, error) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if r.w.leader != r.id {
		return 0, cluster.ErrNotLeader
	}
	return cluster.LogIndex(r.w.count), nil
}

func (r *replica) Leader() (cluster.NodeID, bool) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return r.w.leader, r.w.leader != ""
}

func (r *replica) LeaderChanged() <-chan struct{} {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return r.w.changed
}

func (r *replica) Snapshot() kv.Snapshot                               { return nil }
func (r *replica) Applied() cluster.LogIndex                           { return 0 }
func (r *replica) WaitApplied(context.Context, cluster.LogIndex) error { return nil }

func (w *world) propose(t *testing.T, from cluster.NodeID) error {
	t.Helper()
	result, index, err := w.nodes[from].router.Propose(t.Context(), 1, command.Command{Kind: command.Deliver, Payload: []byte("x")})
	if err == nil && (string(result) != "did x" || int(index) != w.count) {
		t.Errorf("proposal from %s: %q at %d, want index %d", from, result, index, w.count)
	}
	return err
}

func (w *world) takeCalls() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := strings.Join(w.calls, " ")
	w.calls = nil
	return calls
}

func TestEachNodeFindsTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a")
		for _, leader := range []cluster.NodeID{"a", "b", "c"} {
			w.elect(leader)
			for _, from := range []cluster.NodeID{"a", "b", "c"} {
				if err := w.propose(t, from); err != nil {
					t.Fatalf("from %s to %s: %v", from, leader, err)
				}
				want := string(from + ">" + leader)
				if from == leader {
					want = ""
				}
				if calls := w.takeCalls(); calls != want {
					t.Errorf("from %s to %s took calls %q", from, leader, calls)
				}
			}
		}
		// Without a replica: a guess passes it on, the router learns, and then goes straight.
		for range 10 {
			if err := w.propose(t, "d"); err != nil {
				t.Fatal(err)
			}
			if _, err := w.nodes["d"].router.ReadIndex(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		if w.count != 19 {
			t.Errorf("%d commands executed, want 19", w.count)
		}
	})
}

func TestOneExecutionThroughFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a")
		failures := 0
		w.after = func(cluster.NodeID) error { // executed, but the proposer is not told
			if failures++; failures <= 3 {
				return cluster.ErrUnavailable
			}
			return nil
		}
		if err := w.propose(t, "b"); err != nil {
			t.Fatal(err)
		}
		if failures != 4 || w.count != 1 {
			t.Errorf("%d attempts, %d executions", failures, w.count)
		}
	})
}

func TestHungLeaderIsLeftAtAnElection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a")
		w.hung["a"] = true
		start := time.Now()
		go func() {
			time.Sleep(time.Second)
			w.elect("c")
		}()
		if err := w.propose(t, "b"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 1100*time.Millisecond {
			t.Errorf("took %v after an election at 1 s", took)
		}
		start = time.Now() // without a replica there is no one to tell, the attempt's own end helps
		for range 2 {
			if err := w.propose(t, "d"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("from outside took %v", took)
		}
	})
}

func TestCutToTheLeaderIsCrossed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a")
		w.cut["ba"] = true
		if err := w.propose(t, "b"); err != nil {
			t.Fatal(err)
		}
		if calls := w.takeCalls(); calls != "b>a b>c c>a" {
			t.Errorf("calls %q", calls)
		}
	})
}

func TestNoLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("")
		for _, from := range []cluster.NodeID{"a", "d"} {
			start := time.Now()
			if err := w.propose(t, from); !errors.Is(err, cluster.ErrUnavailable) {
				t.Errorf("from %s: %v, want ErrUnavailable", from, err)
			}
			if took := time.Since(start); took != router.DefaultPatience {
				t.Errorf("from %s: gave up after %v", from, took)
			}
			// A pause is at least half of 250 ms, after five that grow from 10 ms, and up to three
			// hints are followed at once.
			if n := strings.Count(w.takeCalls(), ">"); n > 90 {
				t.Errorf("from %s: %d calls in ten seconds", from, n)
			}
		}
		go func() {
			time.Sleep(3*time.Second + time.Millisecond)
			w.elect("a")
		}()
		start := time.Now()
		if err := w.propose(t, "b"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 3*time.Second+2*time.Millisecond {
			t.Errorf("woke %v after start, the election was at 3.001 s", took)
		}
	})
}

func TestErrorsThatStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a")
		w.after = func(cluster.NodeID) error { return fmt.Errorf("append: %w", cluster.ErrStorageFull) }
		for _, from := range []cluster.NodeID{"a", "b"} {
			start := time.Now()
			if err := w.propose(t, from); err == nil || time.Since(start) > 0 {
				t.Errorf("from %s: %v after %v", from, err, time.Since(start))
			}
		}
		big := command.Command{Kind: command.Deliver, Payload: make([]byte, cluster.MaxEntrySize)}
		if _, _, err := w.nodes["b"].router.Propose(t.Context(), 1, big); !errors.Is(err, cluster.ErrTooLarge) {
			t.Errorf("above the limit: %v", err)
		}
		if _, err := w.nodes["d"].router.Replica(1); !errors.Is(err, cluster.ErrNoReplica) {
			t.Errorf("replica where there is none: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.nodes["b"].router.ReadIndex(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

func TestCallLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("c")
		for _, n := range w.nodes {
			n.mux.Register("count", func(context.Context, cluster.NodeID, []byte) ([]byte, error) {
				if leader, _ := (*replica)(n).Leader(); leader != n.id {
					return nil, cluster.ErrNotLeader
				}
				return []byte("counted by " + n.id), nil
			})
		}
		for _, from := range []cluster.NodeID{"a", "c", "d"} {
			got, err := w.nodes[from].router.CallLeader(t.Context(), 1, "count", nil)
			if err != nil || string(got) != "counted by c" {
				t.Errorf("from %s: %q, %v", from, got, err)
			}
		}
		if _, err := w.nodes["a"].router.Fresh(t.Context(), 1); err != nil {
			t.Errorf("fresh replica: %v", err)
		}
	})
}

// FuzzServe holds the parser of forwarded requests against arbitrary bytes.
func FuzzServe(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 2, 3})
	f.Add([]byte{0, 1, 1})
	w := newWorld("a")
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, method := range []string{"router.propose", "router.readindex"} {
			answer, err := w.nodes["b"].mux.Dispatch(t.Context(), "a", method, data)
			if err != nil && strings.Contains(err.Error(), "panicked") {
				t.Fatal(err)
			}
			if err == nil && len(answer) == 0 {
				t.Error("an empty answer")
			}
		}
	})
}

// TestTooEarly: what some member could not execute is not proposed, and the caller may try later.
func TestTooEarly(t *testing.T) {
	level := command.LevelFirst
	w := newWorld("a")
	r := router.New(router.Config{
		Self: "a", Caller: w.nodes["a"], Clock: time.Now, Random: rand.Reader,
		Local:   func(cluster.GroupID) (router.Group, bool) { return (*replica)(w.nodes["a"]), true },
		Members: func(cluster.GroupID) []cluster.NodeID { return []cluster.NodeID{"a"} },
		Level:   func() command.Level { return level },
	})
	later := command.Command{Kind: command.DrainGraveyard + 1}
	if _, _, err := r.Propose(t.Context(), 1, later); !errors.Is(err, command.ErrTooEarly) || !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a kind of a later level: %v", err)
	}
	if _, _, err := r.Propose(t.Context(), 1, command.Command{Kind: command.Deliver}); err != nil {
		t.Errorf("a kind of the first level: %v", err)
	}
	if w.count != 1 {
		t.Errorf("%d commands were executed", w.count)
	}
	level = command.LevelSecond
	if _, _, err := r.Propose(t.Context(), 1, later); err != nil || w.count != 2 {
		t.Errorf("once the level is reached: %v, %d executed", err, w.count)
	}
}
