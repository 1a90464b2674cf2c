package clustertest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/clustertest"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/group"
	"github.com/rookery-mail/rookery/cluster/router"
)

var _ router.Group = (*group.Group)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// load proposes to groups through nodes and remembers what was acknowledged.
type load struct {
	c      *clustertest.Cluster
	groups int
	end    atomic.Bool
	work   sync.WaitGroup

	mu    sync.Mutex // guards what follows
	acked map[cluster.GroupID]map[string]bool
	count int
	fails int
}

// begin starts proposers on every node. A proposer repeats what failed under the same id and, where its
// node is gone, through another one, as a sender would.
func begin(c *clustertest.Cluster, groups, proposers int) *load {
	l := &load{c: c, groups: groups, acked: map[cluster.GroupID]map[string]bool{}}
	for g := range groups {
		l.acked[cluster.GroupID(g+1)] = map[string]bool{}
	}
	for i := range proposers {
		l.work.Go(func() { l.run(i) })
	}
	return l
}

func (l *load) run(proposer int) {
	for n := 0; !l.end.Load(); n++ {
		g := cluster.GroupID(1 + (n+proposer)%l.groups)
		payload := fmt.Sprintf("%d-%d", proposer, n)
		cmd := command.Command{ID: cluster.CommandID{1, byte(proposer), byte(n >> 16), byte(n >> 8), byte(n)},
			Kind: command.Deliver, Payload: []byte(payload)}
		for at := proposer; !l.end.Load(); at++ {
			running := l.c.Running()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			_, _, err := running[at%len(running)].Propose(ctx, g, cmd)
			cancel()
			l.note(g, payload, err)
			if err == nil {
				break
			}
		}
	}
}

func (l *load) note(g cluster.GroupID, payload string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.fails++
		return
	}
	l.acked[g][payload] = true
	l.count++
}

// more waits until n further commands were acknowledged.
func (l *load) more(t *testing.T, n int) {
	t.Helper()
	l.mu.Lock()
	want := l.count + n
	l.mu.Unlock()
	l.c.Eventually(fmt.Sprintf("%d more acknowledgements", n), func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.count < want {
			return fmt.Errorf("%d of %d, %d failures", l.count, want, l.fails)
		}
		return nil
	})
}

// check stops the load and holds every replica against what was acknowledged.
func (l *load) check(t *testing.T) {
	t.Helper()
	l.end.Store(true)
	l.work.Wait()
	for g, acked := range l.acked {
		l.c.WaitEqual(g)
		got := ledgerOf(t, l.c.WaitLeader(g), g)
		for payload := range acked {
			if got[payload] == 0 {
				t.Errorf("%v lost %s", g, payload)
			}
		}
		for payload, count := range got {
			if count != 1 {
				t.Errorf("%v executed %s %d times", g, payload, count)
			}
		}
	}
	t.Logf("%d acknowledged, %d attempts failed", l.count, l.fails)
}

func ledgerOf(t *testing.T, n *clustertest.Node, g cluster.GroupID) map[string]uint64 {
	t.Helper()
	replica, ok := n.Group(g)
	if !ok {
		t.Fatalf("%s has no replica of %v", n.ID, g)
	}
	view := replica.Snapshot()
	defer view.Close()
	got, err := clustertest.ReadLedger(view)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func propose(t *testing.T, n *clustertest.Node, payload string) error {
	t.Helper()
	_, _, err := n.Propose(t.Context(), 1, command.Command{Kind: command.Deliver, Payload: []byte(payload)})
	return err
}

func TestEveryNodeProposesAndReads(t *testing.T) {
	c := clustertest.Start(t, clustertest.Config{Machine: clustertest.Ledger, Groups: 3})
	for _, n := range c.Running() {
		for g := range 3 {
			id := cluster.GroupID(g + 1)
			payload := fmt.Sprintf("from %s", n.ID)
			_, index, err := n.Propose(t.Context(), id, command.Command{Kind: command.Deliver, Payload: []byte(payload)})
			if err != nil {
				t.Fatal(err)
			}
			replica, err := n.Router.Replica(id)
			if err != nil {
				t.Fatal(err)
			}
			if err := replica.WaitApplied(t.Context(), index); err != nil {
				t.Fatal(err)
			}
			if got := ledgerOf(t, n, id); got[payload] != 1 {
				t.Errorf("%s does not read its own write in %v: %v", n.ID, id, got)
			}
			for _, other := range c.Running() {
				if _, err := other.Router.Fresh(t.Context(), id); err != nil {
					t.Fatal(err)
				}
				if got := ledgerOf(t, other, id); got[payload] != 1 {
					t.Errorf("%s is not fresh in %v: %v", other.ID, id, got)
				}
			}
		}
	}
}

func TestOnceThroughLeaderKills(t *testing.T) {
	const groups = 3
	c := clustertest.Start(t, clustertest.Config{Machine: clustertest.Ledger, Groups: groups})
	l := begin(c, groups, 6)
	for round := range 4 {
		l.more(t, 200)
		victim := c.WaitLeader(cluster.GroupID(1 + round%groups)).ID
		c.Crash(victim)
		l.more(t, 200)
		c.Restart(victim)
	}
	l.more(t, 200)
	l.check(t)
}

func TestPowerLossOfAll(t *testing.T) {
	c := clustertest.Start(t, clustertest.Config{Machine: clustertest.Ledger, Groups: 2})
	l := begin(c, 2, 4)
	l.more(t, 300)
	l.end.Store(true)
	for _, id := range c.IDs() {
		c.Crash(id)
	}
	l.work.Wait()
	for _, id := range c.IDs() {
		c.Restart(id)
	}
	l.check(t)
}

func TestGracefulStopsUnderLoad(t *testing.T) {
	c := clustertest.Start(t, clustertest.Config{Machine: clustertest.Ledger, Groups: 2})
	l := begin(c, 2, 4)
	for _, id := range c.IDs() {
		l.more(t, 100)
		c.Stop(id)
		l.more(t, 100)
		c.Restart(id)
	}
	l.check(t)
}

func TestMinoritySaysSoAndDrains(t *testing.T) {
	c := clustertest.Start(t, clustertest.Config{Machine: clustertest.Ledger, Patience: 2 * time.Second})
	old := c.WaitLeader(1)
	if err := propose(t, old, "before"); err != nil {
		t.Fatal(err)
	}
	c.Cut(old.ID)
	if err := propose(t, old, "in the minority"); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a minority answered %v", err)
	}
	if got := ledgerOf(t, old, 1); got["before"] != 1 {
		t.Errorf("the minority does not read what it has: %v", got)
	}
	leader := c.WaitLeader(1)
	if leader.ID == old.ID {
		t.Fatal("the minority leads")
	}
	for _, n := range c.Running() {
		if n.ID == old.ID {
			continue
		}
		if err := propose(t, n, "majority at "+string(n.ID)); err != nil {
			t.Errorf("the majority at %s: %v", n.ID, err)
		}
	}
	c.Heal()
	c.Eventually("the healed node serves", func() error { return propose(t, old, "after") })
	c.WaitEqual(1)
	got := ledgerOf(t, old, 1)
	if len(got) < 4 || got["in the minority"] > 1 {
		t.Errorf("after the cut healed: %v", got)
	}
}

func TestCutBetweenTwo(t *testing.T) {
	c := clustertest.Start(t, clustertest.Config{Machine: clustertest.Ledger})
	leader, other := c.WaitLeader(1), c.Follower(1)
	c.Cut(leader.ID, other.ID)
	for i := range 3 { // the third node passes it on, or leads by now
		if err := propose(t, other, fmt.Sprint(i)); err != nil {
			t.Errorf("behind a cut to the leader: %v", err)
		}
	}
	c.Heal()
	c.WaitEqual(1)
}

func TestDelayIsNoFailure(t *testing.T) {
	c := clustertest.Start(t, clustertest.Config{Machine: clustertest.Ledger, Timing: group.WAN()})
	leader := c.WaitLeader(1)
	for _, n := range c.Running() {
		if n.ID != leader.ID {
			c.Delay(leader.ID, n.ID, 30*time.Millisecond)
		}
	}
	l := begin(c, 1, 4)
	l.more(t, 50)
	if now := c.WaitLeader(1); now.ID != leader.ID {
		t.Errorf("a delay moved the leader from %s to %s", leader.ID, now.ID)
	}
	l.check(t)
}

func TestFollowerFarBehindGetsASnapshot(t *testing.T) {
	c := clustertest.Start(t, clustertest.Config{Machine: clustertest.Ledger,
		Limits: group.Limits{SnapshotBytes: 16 << 10, TrailingBytes: 4 << 10}})
	behind := c.Follower(1).ID
	c.Crash(behind)
	l := begin(c, 1, 8)
	for {
		l.more(t, 200)
		leader, _ := c.WaitLeader(1).Group(1)
		if leader.Status().SnapshotIndex > 400 {
			break
		}
	}
	c.Restart(behind) // while more is proposed: the stream is newer than the snapshot's index
	l.more(t, 200)
	l.check(t)
	replica, _ := c.Node(behind).Group(1)
	if at := replica.Status().SnapshotIndex; at <= 400 {
		t.Errorf("the follower caught up with a snapshot at %d", at)
	}
}

func TestOneBecomesThreeUnderLoad(t *testing.T) {
	c := clustertest.Start(t, clustertest.Config{Machine: clustertest.Ledger, Groups: 2, Voters: []cluster.NodeID{"a"}})
	l := begin(c, 2, 4)
	l.more(t, 100)
	for g := range 2 {
		if err := c.Move(t.Context(), cluster.GroupID(g+1), c.IDs()...); err != nil {
			t.Fatal(err)
		}
	}
	l.more(t, 100)
	c.Crash("a")
	l.more(t, 100)
	c.Restart("a")
	l.check(t)
}

func TestVotersMoveUnderLoad(t *testing.T) {
	c := clustertest.Start(t, clustertest.Config{Machine: clustertest.Ledger,
		Nodes: []cluster.NodeID{"a", "b", "c", "d", "e"}, Voters: []cluster.NodeID{"a", "b", "c"}})
	l := begin(c, 1, 4)
	for _, voters := range [][]cluster.NodeID{{"b", "c", "d"}, {"c", "d", "e"}, {"a", "e", "d"}} {
		l.more(t, 50)
		if err := c.Move(t.Context(), 1, voters...); err != nil {
			t.Fatal(err)
		}
	}
	l.more(t, 50)
	l.check(t)
}

func TestFullDisk(t *testing.T) {
	c := clustertest.Start(t, clustertest.Config{Machine: clustertest.Ledger})
	leader := c.WaitLeader(1)
	leader.SetFree(0)
	c.Eventually("the full disk is noticed", func() error {
		if err := propose(t, leader, "too much"); !errors.Is(err, cluster.ErrStorageFull) {
			return fmt.Errorf("a full disk answered %v", err)
		}
		return nil
	})
	leader.SetFree(1 << 40)
	c.Eventually("there is room again", func() error { return propose(t, leader, "fits") })
	c.WaitEqual(1)
}
