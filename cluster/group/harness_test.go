package group

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/raftlog"
	"github.com/rookery-mail/rookery/cluster/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal is a state machine that counts its entries, under 0x10, and keeps each under 0x11 and
// its count. Two executions of one entry, or one left out, change its state.
type journal struct{ restored int }

var _ cluster.StateMachine = (*journal)(nil)

var countKey = []byte{0x10}

func entryKey(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{0x11}, n) }

func (j *journal) Apply(b kv.Batch, entries []cluster.Entry) ([][]byte, error) {
	var results [][]byte
	for _, e := range entries {
		n, err := readCount(b)
		if err != nil {
			return nil, err
		}
		n++
		if err := b.Set(countKey, binary.BigEndian.AppendUint64(nil, n)); err != nil {
			return nil, err
		}
		if err := b.Set(entryKey(n), e.Data); err != nil {
			return nil, err
		}
		if string(e.Data) == "poison" {
			return nil, fmt.Errorf("entry %d is poison", e.Index)
		}
		results = append(results, fmt.Appendf(nil, "%d", n))
	}
	return results, nil
}

func readCount(r kv.Reader) (uint64, error) {
	value, ok, err := r.Get(countKey)
	if err != nil || !ok {
		return 0, err
	}
	return binary.BigEndian.Uint64(value), nil
}

func (j *journal) Committed(cluster.LogIndex) {}

func (j *journal) Restored(kv.Reader) error { j.restored++; return nil }

// node is one machine: its disk outlives its process.
type node struct {
	t     testing.TB
	id    cluster.NodeID
	fs    vfs.FS
	trans *raft.InmemTransport
	logs  *raftlog.DB
	state *state.DB
	group *Group
	limit Limits
	times Timing
	logc  raftlog.Config
}

func fastTiming() Timing {
	return Timing{Heartbeat: 150 * time.Millisecond, Election: 150 * time.Millisecond,
		Lease: 100 * time.Millisecond, Commit: 5 * time.Millisecond}
}

func newNode(t testing.TB, id string, fs vfs.FS) *node {
	return &node{t: t, id: cluster.NodeID(id), fs: fs, times: fastTiming()}
}

// open starts databases and replica.
func (n *node) open() error {
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	if os.Getenv("GROUP_TEST_LOG") != "" {
		logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", n.id)
	}
	n.logc.FS, n.logc.Logger = n.fs, logger
	var err error
	if n.logs, err = raftlog.Open("/data/log", n.logc); err != nil {
		return err
	}
	if n.state, err = state.Open("/data/state", state.Config{FS: n.fs, Logger: logger, CacheBytes: 1 << 20}); err != nil {
		return err
	}
	_, n.trans = raft.NewInmemTransportWithTimeout(raft.ServerAddress(n.id), time.Second)
	n.group, err = Open(context.Background(), Config{
		ID: 3, Node: n.id, Logs: n.logs, State: n.state, Machine: new(journal), Transport: n.trans,
		Timing: n.times, Limits: n.limit, Dir: "/data/snapshots", FS: n.fs, Logger: logger,
	})
	return err
}

func (n *node) mustOpen() {
	n.t.Helper()
	if err := n.open(); err != nil {
		n.t.Fatalf("open %s: %v", n.id, err)
	}
}

// slowTiming is for groups of three: two cores may be shared with other tests.
func slowTiming() Timing {
	return Timing{Heartbeat: 400 * time.Millisecond, Election: 400 * time.Millisecond,
		Lease: 350 * time.Millisecond, Commit: 5 * time.Millisecond}
}

// close ends the process: with a context that is over, as a crash would.
func (n *node) close(ctx context.Context) {
	n.t.Helper()
	if n.group != nil {
		if err := n.group.Close(ctx); err != nil {
			n.t.Errorf("close group of %s: %v", n.id, err)
		}
		n.group = nil
	}
	if n.state != nil {
		if err := n.state.Close(); err != nil {
			n.t.Errorf("close state of %s: %v", n.id, err)
		}
		n.state = nil
	}
	if n.logs != nil {
		if err := n.logs.Close(); err != nil {
			n.t.Errorf("close logs of %s: %v", n.id, err)
		}
		n.logs = nil
	}
}

// crash loses whatever was not synced; the node's disk is a vfs.NewCrashableMem.
func (n *node) crash() {
	n.t.Helper()
	survived := n.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})
	n.close(over())
	n.fs = survived
}

func over() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for a condition that has no channel to wait on.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// single starts a group of one and waits until it leads.
func single(t testing.TB, fs vfs.FS) *node {
	n := newNode(t, "n1", fs)
	n.mustOpen()
	t.Cleanup(func() { n.close(over()) })
	if err := n.group.Bootstrap(within(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "n1 leads", n.group.IsLeader)
	return n
}

// connect lets all transports reach each other.
func connect(nodes ...*node) {
	for _, a := range nodes {
		for _, b := range nodes {
			if a != b && a.trans != nil && b.trans != nil {
				a.trans.Connect(b.trans.LocalAddr(), b.trans)
			}
		}
	}
}

// three starts a group of three voters, led by the first.
func three(t testing.TB, limit Limits) []*node { return threeTimed(t, limit, slowTiming()) }

func threeTimed(t testing.TB, limit Limits, times Timing) []*node {
	var nodes []*node
	for _, id := range []string{"n1", "n2", "n3"} {
		n := newNode(t, id, vfs.NewCrashableMem())
		n.limit, n.times = limit, times
		n.mustOpen()
		t.Cleanup(func() { n.close(over()) })
		nodes = append(nodes, n)
	}
	connect(nodes...)
	form(t, nodes)
	return nodes
}

// form makes connected nodes voters of one group, led by the first.
func form(t testing.TB, nodes []*node) {
	t.Helper()
	first := nodes[0].group
	if err := first.Bootstrap(within(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "n1 leads", first.IsLeader)
	for _, n := range nodes[1:] {
		eventually(t, string(n.id)+" is a voter", func() bool {
			return leaderOf(t, nodes...).group.AddVoter(within(t), n.id, string(n.id)) == nil
		})
	}
	// hashicorp/raft refuses the vote of a candidate that the voter does not know as a member yet.
	eventually(t, "every voter knows all of them", func() bool {
		index, err := leaderOf(t, nodes...).group.ReadIndex(within(t))
		if err != nil {
			return false
		}
		for _, n := range nodes {
			if err := n.group.WaitApplied(within(t), index); err != nil {
				t.Fatalf("%s: %v", n.id, err)
			}
		}
		return true
	})
}

// propose retries while nobody leads, which a busy machine brings about: what was refused was not
// executed. Any other error fails the test.
func propose(t testing.TB, data string, nodes ...*node) cluster.LogIndex {
	t.Helper()
	ctx := within(t)
	for {
		for _, n := range nodes {
			_, index, err := n.group.Propose(ctx, []byte(data))
			if err == nil {
				return index
			}
			if !errors.Is(err, cluster.ErrNotLeader) || ctx.Err() != nil {
				t.Fatalf("propose %.20q: %v", data, err)
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// leaderOf waits until one of the nodes leads.
func leaderOf(t testing.TB, nodes ...*node) (leader *node) {
	t.Helper()
	eventually(t, "a leader", func() bool {
		for _, n := range nodes {
			if n.group.IsLeader() {
				leader = n
			}
		}
		return leader != nil
	})
	return leader
}

func count(t testing.TB, g *Group) uint64 {
	t.Helper()
	s := g.Snapshot()
	defer s.Close()
	n, err := readCount(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sameState waits until all replicas applied index and compares their hashes.
func sameState(t testing.TB, index cluster.LogIndex, nodes ...*node) {
	t.Helper()
	var first [32]byte
	for i, n := range nodes {
		if err := n.group.WaitApplied(within(t), index); err != nil {
			t.Fatalf("%s: %v", n.id, err)
		}
		sum, _, err := n.state.Group(3).Hash()
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = sum
		} else if sum != first {
			t.Errorf("the state of %s differs from that of %s", n.id, nodes[0].id)
		}
	}
}

func readFull(r io.Reader, b []byte) (int, error) { return io.ReadFull(r, b) }

func configuration(n *node) raft.Configuration {
	return raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: raft.ServerID(n.id), Address: n.trans.LocalAddr()}}}
}
