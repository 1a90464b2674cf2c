package window

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node has a replica of group 1.
type node struct {
	group *state.Group

	mu      sync.Mutex // guards what follows
	applied cluster.LogIndex
	wake    chan struct{} // closed and replaced when applied rises
	changed chan struct{} // of the one who watches
	gone    bool          // the replica is on other nodes
	conns   []net.Conn
}

func (n *node) Snapshot() kv.Snapshot { return n.group.Snapshot() }

func (n *node) Applied() cluster.LogIndex {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.applied
}

func (n *node) WaitApplied(ctx context.Context, at cluster.LogIndex) error {
	for {
		n.mu.Lock()
		done, wake := n.applied >= at, n.wake
		n.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *node) Watch(cluster.AccountID) (<-chan struct{}, func()) { return n.changed, func() {} }

// write sets keys of one letter each to a value.
func (n *node) write(t testing.TB, at cluster.LogIndex, value string, names ...string) {
	t.Helper()
	b := n.group.NewBatch()
	var errs []error
	for _, k := range names {
		errs = append(errs, b.Set([]byte(k), []byte(value)))
	}
	if err := errors.Join(append(errs, b.Commit(at), b.Close())...); err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.applied = at
	close(n.wake)
	n.wake = make(chan struct{})
}

// cut ends all connections to the node; with gone it says from then on that it has no replica.
func (n *node) cut(gone bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone = gone
	for _, c := range n.conns {
		_ = c.Close()
	}
	n.conns = nil
}

// house is two nodes with a replica, and Windows of a third one.
type house struct {
	nodes   map[cluster.NodeID]*node
	windows *Windows
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{nodes: map[cluster.NodeID]*node{}}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	for _, id := range []cluster.NodeID{"a", "b"} {
		db, err := state.Open("state", state.Config{FS: vfs.NewMem(), CacheBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		h.nodes[id] = &node{group: db.Group(1), wake: make(chan struct{}), changed: make(chan struct{}, 1)}
	}
	find := func(n *node) func(cluster.GroupID) (Source, error) {
		return func(g cluster.GroupID) (Source, error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			if g != 1 || n.gone {
				return nil, fmt.Errorf("%v: %w", g, cluster.ErrNoReplica)
			}
			return n, nil
		}
	}
	h.windows = New(ctx, Config{Self: "c",
		Local:   &Server{Find: find(&node{gone: true}), Logger: slog.New(slog.DiscardHandler)},
		Members: func(cluster.GroupID) []cluster.NodeID { return []cluster.NodeID{"a", "b"} },
		Open: func(_ context.Context, id cluster.NodeID) (net.Conn, error) {
			n := h.nodes[id]
			here, there := net.Pipe()
			n.mu.Lock()
			n.conns = append(n.conns, there)
			n.mu.Unlock()
			serving.Go(func() {
				defer there.Close()
				(&Server{Find: find(n), Logger: slog.New(slog.DiscardHandler)}).Serve(ctx, there)
			})
			return here, nil
		}})
	t.Cleanup(func() {
		cancel()
		if err := h.windows.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return h
}

// read is the value of a key now.
func (h *house) read(t *testing.T, key string) string {
	t.Helper()
	snap := h.windows.Group(1).Snapshot()
	defer snap.Close()
	value, ok, err := snap.Get([]byte(key))
	switch {
	case err != nil:
		t.Errorf("read %s: %v", key, err)
	case !ok:
		return "none"
	}
	return string(value)
}

// TestIteratesAsAReplica: an iterator goes where one of the replica goes, whatever the way.
func TestIteratesAsAReplica(t *testing.T) {
	h := newHouse(t)
	a := h.nodes["a"]
	var names []string
	for i := range 400 {
		names = append(names, fmt.Sprintf("%03d", i*2))
	}
	a.write(t, 1, string(make([]byte, 100)), names...)
	a.write(t, 2, string(make([]byte, 300<<10)), "100", "102", "400")
	rapid.Check(t, func(t *rapid.T) {
		draw := func(what string) []byte {
			return []byte(rapid.SampledFrom([]string{"", "0", "050", "099", "100", "101", "102", "399", "400", "5", "798", "799", "9"}).Draw(t, what))
		}
		near, far := a.Snapshot(), h.windows.Group(1).Snapshot()
		defer near.Close()
		defer far.Close()
		lower, upper := draw("lower"), draw("upper")
		if len(upper) > 0 && bytes.Compare(lower, upper) > 0 {
			lower, upper = upper, lower
		}
		want, err := near.Scan(lower, upper)
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		got, err := far.Scan(lower, upper)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		for n := range rapid.IntRange(1, 40).Draw(t, "steps") {
			step := rapid.SampledFrom([]string{"first", "last", "ge", "lt", "walk", "next", "next", "prev", "prev"}[:cmp.Or(min(n, 1)*9, 5)]).Draw(t, "step")
			key := draw("key")
			if move(got, step, key) != move(want, step, key) || got.Valid() != want.Valid() {
				t.Fatalf("%s %q: valid is %v, want %v; %v", step, key, got.Valid(), want.Valid(), got.Error())
			}
			if !want.Valid() {
				continue
			}
			value, err := got.Value()
			expected, problem := want.Value()
			if err != nil || problem != nil || !bytes.Equal(got.Key(), want.Key()) || !bytes.Equal(value, expected) {
				t.Fatalf("%s %q: at %q with %d octets, want %q with %d; %v, %v", step, key, got.Key(), len(value), want.Key(), len(expected), err, problem)
			}
		}
	})
}

func move(it kv.Iterator, step string, key []byte) bool {
	switch step {
	case "next":
		return it.Next()
	case "prev":
		return it.Prev()
	case "first":
		return it.First()
	case "last":
		return it.Last()
	case "ge":
		return it.SeekGE(key)
	case "lt":
		return it.SeekLT(key)
	}
	ok := it.First()
	for n := 0; ok && n < 150; n++ {
		ok = it.Next()
	}
	return ok
}

// TestNeverBackInTime: what was read, or written, is shown by the next node too, or that one is not read from.
func TestNeverBackInTime(t *testing.T) {
	h := newHouse(t)
	a, b := h.nodes["a"], h.nodes["b"]
	a.write(t, 1, "old", "k")
	b.write(t, 1, "old", "k")
	a.write(t, 2, "new", "k")
	if got := h.read(t, "k"); got != "new" {
		t.Fatalf("a shows %s", got)
	}
	a.cut(true)
	caught := make(chan string)
	go func() { caught <- h.read(t, "k") }()
	b.write(t, 2, "new", "k")
	if got := <-caught; got != "new" {
		t.Errorf("b shows %s after a did new", got)
	}
	if err := h.windows.Group(1).WaitApplied(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	go func() { caught <- h.read(t, "k") }()
	b.write(t, 3, "mine", "k")
	if got := <-caught; got != "mine" {
		t.Errorf("a write is read as %s", got)
	}
}

// TestNodeGoes: a snapshot that loses its node says that the reader has to begin anew, an iterator that it cannot
// go on, and the next snapshot is another node's.
func TestNodeGoes(t *testing.T) {
	h := newHouse(t)
	for _, n := range h.nodes {
		n.write(t, 1, string(make([]byte, 3<<10)), "k", "l", "m", "n")
	}
	w := h.windows.Group(1)
	snap := w.Snapshot()
	defer snap.Close()
	it, err := snap.Scan([]byte("k"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	if !it.First() || !it.Next() || string(it.Key()) != "l" {
		t.Fatalf("at %q, %v", it.Key(), it.Error())
	}
	h.nodes["a"].cut(true)
	for it.Next() {
	}
	if err := it.Error(); !errors.Is(err, cluster.ErrUnavailable) || errors.Is(err, kv.ErrRestored) {
		t.Errorf("an iterator without its node: %v", err)
	}
	if _, _, err := snap.Get([]byte("k")); !errors.Is(err, kv.ErrRestored) {
		t.Errorf("a snapshot without its node: %v", err)
	}
	if got := h.read(t, "n"); len(got) != 3<<10 {
		t.Errorf("the other node shows %d octets", len(got))
	}
	h.nodes["b"].cut(true)
	h.windows.cfg.Patience = 100 * time.Millisecond
	for range 2 { // the second time without patience
		again := w.Snapshot()
		if _, _, err := again.Get([]byte("k")); !errors.Is(err, cluster.ErrUnavailable) || errors.Is(err, cluster.ErrNoReplica) {
			t.Errorf("without any node: %v", err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
	h.nodes["a"].cut(false)
	h.windows.cfg.Patience = time.Minute
	if got := h.read(t, "n"); len(got) != 3<<10 {
		t.Errorf("the node that is back shows %d octets", len(got))
	}
}

// TestStreamsAreUsedAgain: one snapshot after the other needs one stream, also after that was cut in between.
func TestStreamsAreUsedAgain(t *testing.T) {
	h := newHouse(t)
	a := h.nodes["a"]
	a.write(t, 1, "v", "k")
	opened := func() int {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.conns)
	}
	for range 10 {
		if got := h.read(t, "k") + h.read(t, "x"); got != "vnone" {
			t.Fatalf("k and x are %s", got)
		}
	}
	if n := opened(); n != 1 {
		t.Errorf("%d streams were opened", n)
	}
	a.cut(false)
	if got := h.read(t, "k"); got != "v" || opened() != 1 {
		t.Errorf("k is %s, over %d new streams", got, opened())
	}
}

// TestWatch: a token comes at the beginning, and for what is read after it; then from the other node.
func TestWatch(t *testing.T) {
	h := newHouse(t)
	a, b := h.nodes["a"], h.nodes["b"]
	changed, stop := h.windows.Group(1).Watch(7)
	defer stop()
	heard := func(what string) {
		t.Helper()
		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatalf("no token %s", what)
		}
	}
	heard("at the beginning")
	a.write(t, 5, "five", "k")
	b.write(t, 4, "four", "k")
	a.changed <- struct{}{}
	heard("of a change")
	for h.windows.Group(1).at() < 5 { // the token of the beginning may have been another
		heard("of a change")
	}
	a.cut(true)
	read := make(chan string)
	go func() { read <- h.read(t, "k") }()
	b.write(t, 5, "five", "k")
	if got := <-read; got != "five" {
		t.Errorf("after the token k is %s", got)
	}
	b.write(t, 6, "six", "k")
	b.changed <- struct{}{}
	for h.windows.Group(1).at() < 6 {
		heard("of the other node")
	}
}

// at is the floor.
func (w *Window) at() cluster.LogIndex {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.floor
}

// TestHere: a group that came to this node is read here.
func TestHere(t *testing.T) {
	h := newHouse(t)
	a := h.nodes["a"]
	a.write(t, 1, "v", "k")
	h.windows.cfg.Members = func(cluster.GroupID) []cluster.NodeID { return []cluster.NodeID{"b", "c"} }
	h.windows.cfg.Local = &Server{Find: func(cluster.GroupID) (Source, error) { return a, nil }, Logger: slog.New(slog.DiscardHandler)}
	changed, stop := h.windows.Group(1).Watch(7)
	defer stop()
	<-changed
	if got := h.read(t, "k"); got != "v" {
		t.Errorf("k is %s", got)
	}
}

// FuzzServe: whatever a stream says, the server comes to an end with it, and keeps no snapshot open: Pebble would
// not close then.
func FuzzServe(f *testing.F) {
	begin := appendFrame(nil, opBegin, appendBegin(nil, 1, 0))
	f.Add(begin)
	f.Add(append(appendFrame(begin, opGet, []byte("k")), appendFrame(appendFrame(nil, opScan, scan{want: 10, upper: []byte("x")}.append(nil)), opEnd, nil)...))
	f.Add(appendFrame(nil, opScan, scan{backward: true}.append(nil)))
	f.Add([]byte{0, 0, 0, 0, 1})
	f.Add([]byte{255, 255, 255, 255, 1})
	h := newHouse(f)
	a := h.nodes["a"]
	a.write(f, 1, "v", "k", "l")
	f.Fuzz(func(t *testing.T, data []byte) {
		server := &Server{Find: func(g cluster.GroupID) (Source, error) {
			if g != 1 {
				return nil, cluster.ErrNoReplica
			}
			return a, nil
		}, Logger: slog.New(slog.DiscardHandler)}
		here, there := net.Pipe()
		var served sync.WaitGroup
		served.Go(func() {
			defer there.Close()
			server.Serve(t.Context(), there)
		})
		served.Go(func() {
			defer here.Close()
			_, _ = here.Write(data) // the server may end before
		})
		s := newStream("a", here)
		for {
			if _, _, err := s.hear(); err != nil {
				if _, answered := errors.AsType[*answerError](err); !answered {
					break
				}
			}
		}
		served.Wait()
	})
}

// FuzzPage: a page that is read is what its entries are written as.
func FuzzPage(f *testing.F) {
	f.Add(entry{[]byte("k"), []byte("v")}.append([]byte{1}))
	f.Add([]byte{0, 0, 0, 0, 200})
	f.Fuzz(func(t *testing.T, data []byte) {
		if page, _, err := parsePage(data); err == nil {
			out := data[:1:1]
			for _, e := range page {
				out = e.append(out)
			}
			if !bytes.Equal(out, data) {
				t.Errorf("% x became % x", data, out)
			}
		}
		if s, err := parseScan(data); err == nil && !bytes.Equal(s.append(nil), data) {
			t.Errorf("% x is read as %+v", data, s)
		}
	})
}
