package group

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/raftlog"
	"github.com/rookery-mail/rookery/cluster/state"
)

// leaveBehind cuts n3 off, writes until the log behind it is truncated, and returns who leads
// and the last index.
func leaveBehind(t *testing.T, nodes []*node) (leader *node, last cluster.LogIndex) {
	t.Helper()
	sameState(t, propose(t, "first", nodes...), nodes...)
	cut := nodes[2]
	cut.trans.DisconnectAll()
	nodes[0].trans.Disconnect(cut.trans.LocalAddr())
	nodes[1].trans.Disconnect(cut.trans.LocalAddr())
	for i := range 100 {
		last = propose(t, strings.Repeat(fmt.Sprint(i), 1000), nodes[:2]...)
	}
	leader = leaderOf(t, nodes[:2]...)
	for _, n := range nodes[:2] { // both, since either may lead later
		if err := n.group.WaitApplied(within(t), last); err != nil {
			t.Fatal(err)
		}
		if err := n.group.TakeSnapshot(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if first, _ := leader.group.log.FirstIndex(); first < 50 {
		t.Fatalf("the log was not truncated, it begins at %d", first)
	}
	return leader, last
}

func small() Limits { return Limits{TrailingBytes: 10_000} }

func TestFollowerFarBehindGetsTheState(t *testing.T) {
	nodes := three(t, small())
	leader, _ := leaveBehind(t, nodes)
	record, _ := leader.group.log.Snapshot()
	last := propose(t, "newer than the snapshot", nodes[:2]...)
	connect(nodes...)
	sameState(t, last, nodes...)

	got, ok := nodes[2].group.log.Snapshot()
	if !ok || got.Pending || got.Index > record.Index || got.Reach <= got.Index {
		t.Errorf("snapshot record %+v, want at most index %d, a later reach, nothing pending", got, record.Index)
	}
	if names, _ := nodes[2].fs.List("/data/snapshots"); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
	// What was imported survives a crash, and the log goes on after it.
	nodes[2].crash()
	nodes[2].mustOpen()
	connect(nodes...)
	sameState(t, propose(t, "and on", nodes...), nodes...)
}

// crashAt begins to receive a snapshot on a node and stops at one step of it.
func crashAt(t *testing.T, from, to *node, step string) {
	t.Helper()
	meta, stream, err := from.group.fsm.snaps.Open(mustList(t, from))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	sink, err := to.group.fsm.snaps.Create(1, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, meta.Size)
	if _, err := readFull(stream, b); err != nil {
		t.Fatal(err)
	}
	if step == "during the stream" {
		b = b[:len(b)/2]
	}
	if _, err := sink.Write(b); err != nil {
		t.Fatal(err)
	}
	if step == "during the stream" {
		return
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if step == "after the record" {
		return
	}
	_, pending, err := to.group.fsm.snaps.Open(sink.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer pending.Close()
	if err := to.state.Group(3).Import(within(t), pending); err != nil {
		t.Fatal(err)
	}
}

func mustList(t *testing.T, n *node) string {
	t.Helper()
	list, err := n.group.fsm.snaps.List()
	if err != nil || len(list) != 1 {
		t.Fatalf("list: %v, %v", list, err)
	}
	return list[0].ID
}

func TestCrashWhileReceiving(t *testing.T) {
	for _, step := range []string{"during the stream", "after the record", "after the import"} {
		t.Run(step, func(t *testing.T) {
			nodes := three(t, small())
			leader, last := leaveBehind(t, nodes)
			crashAt(t, leader, nodes[2], step)
			nodes[2].crash()
			nodes[2].mustOpen()
			if step != "during the stream" && nodes[2].group.Applied() < last {
				t.Errorf("the import was not finished at start: applied %d", nodes[2].group.Applied())
			}
			if names, _ := nodes[2].fs.List("/data/snapshots"); len(names) != 0 {
				t.Errorf("left behind: %v", names)
			}
			connect(nodes...)
			sameState(t, propose(t, "on", nodes...), nodes...)
			if got, want := count(t, nodes[2].group), count(t, leader.group); got != want {
				t.Errorf("count %d, want %d", got, want)
			}
		})
	}
}

func TestReceivedFileLostIsRefused(t *testing.T) {
	nodes := three(t, small())
	leader, _ := leaveBehind(t, nodes)
	crashAt(t, leader, nodes[2], "after the record")
	nodes[2].crash()
	if err := nodes[2].fs.Remove("/data/snapshots/snapshot-3"); err != nil {
		t.Fatal(err)
	}
	wantCorrupt(t, nodes[2].open(), "is gone")
}

func TestTruncatedStreamIsRefused(t *testing.T) {
	nodes := three(t, small())
	leader, _ := leaveBehind(t, nodes)
	meta, stream, err := leader.group.fsm.snaps.Open(mustList(t, leader))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	b := make([]byte, meta.Size-1)
	if _, err := readFull(stream, b); err != nil {
		t.Fatal(err)
	}
	before, had := nodes[2].group.log.Snapshot()
	sink, err := nodes[2].group.fsm.snaps.Create(1, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sink.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); !errors.Is(err, state.ErrStream) {
		t.Errorf("a truncated stream was taken: %v", err)
	}
	if after, has := nodes[2].group.log.Snapshot(); has != had || after.Index != before.Index {
		t.Errorf("the record changed to %+v", after)
	}
	connect(nodes...)
	sameState(t, propose(t, "on", nodes...), nodes...)
}

// TestOldLogAfterImport is the crash between the import and the removal of the log it replaces.
func TestOldLogAfterImport(t *testing.T) {
	for _, c := range []struct {
		name  string
		index cluster.LogIndex
		term  uint64
		last  uint64 // of the log after the start
	}{
		{"the log ends before the snapshot", 100, 5, 0},
		{"the log disagrees with the snapshot", 20, 5, 0},
		{"the log goes on after the snapshot", 20, 2, 52},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := single(t, vfs.NewMem())
			for range 50 {
				propose(t, "x", n)
			}
			last, _ := n.group.log.LastIndex()
			record := raftlog.Snapshot{Index: c.index, Term: c.term, Configuration: configuration(n), ConfigurationIndex: 1,
				Reach: max(c.index, n.group.Applied())}
			log := n.group.log
			if err := n.group.fsm.reach(c.index); err != nil {
				t.Fatal(err)
			}
			if err := n.state.Flush(); err != nil {
				t.Fatal(err)
			}
			if err := log.PutSnapshot(record); err != nil {
				t.Fatal(err)
			}
			n.close(over())
			n.mustOpen()
			eventually(t, "n1 leads", n.group.IsLeader)
			if first, _ := n.group.log.FirstIndex(); c.last == 0 && first != uint64(c.index)+1 {
				t.Errorf("the log begins at %d, want it to go on after the snapshot", first)
			} else if c.last != 0 && first != 1 {
				t.Errorf("the log begins at %d, want all of 1 to %d", first, last)
			}
		})
	}
}

func TestSnapshotsByBytes(t *testing.T) {
	fs := vfs.NewCrashableMem()
	n := newNode(t, "n1", fs)
	n.limit = Limits{SnapshotBytes: 100_000, TrailingBytes: 20_000}
	n.mustOpen()
	t.Cleanup(func() { n.close(over()) })
	if err := n.group.Bootstrap(within(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "n1 leads", n.group.IsLeader)
	for range 300 {
		propose(t, strings.Repeat("x", 4000), n)
	}
	eventually(t, "the log is truncated", func() bool { return n.group.Status().LogBytes < 200_000 })
	eventually(t, "the snapshot follows", func() bool { return n.group.Status().SnapshotIndex > 250 })
	if n.group.Status().LogBytes < 10_000 {
		t.Errorf("%d bytes trail, want about 20,000", n.group.Status().LogBytes)
	}
	n.crash()
	n.mustOpen()
	eventually(t, "n1 leads again", n.group.IsLeader)
	if got := count(t, n.group); got != 300 {
		t.Errorf("count %d, want 300", got)
	}
}

// TestSnapshotCostIsFlat compares what a snapshot of a small and of a large state writes.
func TestSnapshotCostIsFlat(t *testing.T) {
	written := func(entries int) (bytes uint64) {
		n := single(t, vfs.NewMem())
		for range entries {
			propose(t, strings.Repeat("x", 8000), n)
		}
		if err := n.state.Flush(); err != nil {
			t.Fatal(err)
		}
		before := diskBytes(n)
		propose(t, "x", n)
		start := time.Now()
		if err := n.group.TakeSnapshot(within(t)); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d entries: %v", entries, time.Since(start))
		defer n.close(over())
		return diskBytes(n) - before
	}
	few, many := written(10), written(2000)
	if many > 4*few+100_000 {
		t.Errorf("a snapshot wrote %d bytes over 10 entries and %d over 2000", few, many)
	}
}

func diskBytes(n *node) uint64 {
	total := n.state.Metrics().Total()
	return total.TableBytesFlushed + total.BlobBytesFlushed
}
