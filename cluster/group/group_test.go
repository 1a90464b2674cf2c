package group

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
)

func TestProposeAndRead(t *testing.T) {
	n := single(t, vfs.NewMem())
	result, index, err := n.group.Propose(within(t), []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	if string(result) != "1" {
		t.Errorf("result %q, want 1", result)
	}
	if n.group.Applied() < index {
		t.Errorf("applied %d after a proposal at %d", n.group.Applied(), index)
	}
	read, err := n.group.ReadIndex(within(t))
	if err != nil || read < index {
		t.Errorf("read index %d, %v after a proposal at %d", read, err, index)
	}
	if got := count(t, n.group); got != 1 {
		t.Errorf("count %d, want 1", got)
	}
}

func TestProposeRefuses(t *testing.T) {
	n := single(t, vfs.NewMem())
	if _, _, err := n.group.Propose(within(t), make([]byte, cluster.MaxEntrySize+1)); !errors.Is(err, cluster.ErrTooLarge) {
		t.Errorf("an entry above the limit: %v", err)
	}
	if _, _, err := n.group.Propose(over(), []byte("a")); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a proposal whose time is over: %v", err)
	}
	if err := n.group.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.group.Propose(within(t), []byte("a")); err == nil {
		t.Error("a stopped replica accepted a proposal")
	}
	if err := n.group.Err(); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

func TestFollowerRefusesAndReplicates(t *testing.T) {
	nodes := three(t, Limits{})
	var last cluster.LogIndex
	for i := range 20 {
		last = propose(t, fmt.Sprint("entry ", i), nodes...)
	}
	sameState(t, last, nodes...)
	if _, _, err := nodes[1].group.Propose(within(t), []byte("x")); !errors.Is(err, cluster.ErrNotLeader) {
		t.Errorf("a follower's answer: %v", err)
	}
	if _, err := nodes[1].group.ReadIndex(within(t)); !errors.Is(err, cluster.ErrNotLeader) {
		t.Errorf("a follower's read index: %v", err)
	}
}

// TestReadAtRest has a leader whose snapshot counts an entry that no state machine ever sees, and
// followers that must not wait for it.
func TestReadAtRest(t *testing.T) {
	nodes := three(t, Limits{})
	propose(t, "a", nodes...)
	leader := leaderOf(t, nodes...)
	if err := leader.group.Barrier(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := leader.group.TakeSnapshot(within(t)); err != nil {
		t.Fatal(err)
	}
	index, err := leader.group.ReadIndex(within(t))
	if err != nil {
		t.Fatal(err)
	}
	behind := 0
	for _, n := range nodes {
		if n.group.Applied() < index {
			behind++
		}
		if err := n.group.WaitApplied(within(t), index); err != nil {
			t.Errorf("%s: %v", n.id, err)
		}
		if got := count(t, n.group); got != 1 {
			t.Errorf("%s shows %d commands, want 1", n.id, got)
		}
	}
	if behind == 0 {
		t.Error("every replica has applied the barrier: the test shows nothing")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*showsEvery)
	defer cancel()
	if err := nodes[1].group.WaitApplied(ctx, index+1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an index that nobody has: %v", err)
	}
}

// TestFollowersLearnOfCommitsAtOnce has Raft repeat the commit index every minute only.
func TestFollowersLearnOfCommitsAtOnce(t *testing.T) {
	timing := fastTiming()
	timing.Commit = time.Minute
	nodes := threeTimed(t, Limits{}, timing)
	for i := range 20 {
		index := propose(t, fmt.Sprint("entry ", i), nodes...)
		for _, n := range nodes[1:] {
			if err := n.group.WaitApplied(within(t), index); err != nil {
				t.Fatalf("%s: %v", n.id, err)
			}
		}
	}
}

func TestMinorityIsUnavailable(t *testing.T) {
	nodes := three(t, Limits{})
	propose(t, "before", nodes...)
	nodes[0].trans.DisconnectAll()
	nodes[1].trans.Disconnect("n1")
	nodes[2].trans.Disconnect("n1")
	_, _, err := nodes[0].group.Propose(within(t), []byte("cut off"))
	if !errors.Is(err, cluster.ErrUnavailable) && !errors.Is(err, cluster.ErrNotLeader) {
		t.Fatalf("a proposal without a majority: %v", err)
	}
	last := propose(t, "after", nodes[1:]...)
	connect(nodes...)
	sameState(t, last, nodes...)
}

func TestTransferLeadershipAndWork(t *testing.T) {
	nodes := three(t, Limits{})
	last := propose(t, "a", nodes...)
	sameState(t, last, nodes...)

	began, ended := make(chan uint64, 10), make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		_ = nodes[1].group.WhileLeader(ctx, func(ctx context.Context, term uint64) {
			began <- term
			<-ctx.Done()
			ended <- struct{}{}
		})
	})
	defer work.Wait()
	defer cancel()

	if err := nodes[0].group.TransferLeadership(within(t), "n2"); err != nil {
		t.Fatal(err)
	}
	if term := <-began; term < 2 {
		t.Errorf("work began in term %d", term)
	}
	if !nodes[1].group.IsLeader() {
		t.Error("work began on a replica that does not lead")
	}
	propose(t, "b", nodes[1])
	if err := nodes[1].group.TransferLeadership(within(t), "n3"); err != nil {
		t.Fatal(err)
	}
	<-ended
}

func TestRemoveSelf(t *testing.T) {
	nodes := three(t, Limits{})
	if err := nodes[0].group.Remove(within(t), "n1"); err != nil {
		t.Fatal(err)
	}
	<-nodes[0].group.Done()
	if err := nodes[0].group.Err(); !errors.Is(err, ErrRemoved) {
		t.Errorf("a removed leader stopped with %v", err)
	}
}

func TestPoisonStopsTheReplica(t *testing.T) {
	n := single(t, vfs.NewMem())
	propose(t, "fine", n)
	if _, _, err := n.group.Propose(within(t), []byte("poison")); !errors.Is(err, cluster.ErrStopped) {
		t.Errorf("a failing state machine: %v", err)
	}
	<-n.group.Done()
	if err := n.group.Err(); err == nil || !strings.Contains(err.Error(), "poison") {
		t.Errorf("the replica stopped with %v", err)
	}
	if got := n.group.Status(); got.State != "stopped" || got.Failure == "" {
		t.Errorf("status %+v", got)
	}
	if got := count(t, n.group); got != 1 {
		t.Errorf("count %d: a failed batch became visible", got)
	}
}
