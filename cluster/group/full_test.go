package group

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/raftlog"
)

// roomFS tells how much room there is, and refuses nothing: the room is the reserve's.
type roomFS struct {
	vfs.FS
	mu   sync.Mutex
	free uint64
}

func (r *roomFS) set(free uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free = free
}

func (r *roomFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return vfs.DiskUsage{AvailBytes: r.free}, nil
}

// TestFullDiskRefusesAndRecovers fills the only node's disk in two steps, and makes room again.
func TestFullDiskRefusesAndRecovers(t *testing.T) {
	fs := &roomFS{FS: vfs.NewMem(), free: 1 << 30}
	n := newNode(t, "n1", fs)
	n.logc = raftlog.Config{ReserveBytes: 1 << 20, SpaceEvery: time.Nanosecond}
	n.mustOpen()
	t.Cleanup(func() { n.close(over()) })
	if err := n.group.Bootstrap(within(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "n1 leads", n.group.IsLeader)
	propose(t, "a", n)

	fs.set(900 << 10) // below the reserve: mail is refused, Raft goes on
	if _, _, err := n.group.Propose(within(t), []byte("b")); !errors.Is(err, cluster.ErrStorageFull) {
		t.Errorf("with a full disk: %v", err)
	}
	if err := n.group.Barrier(within(t)); err != nil {
		t.Errorf("a barrier with a full disk: %v", err)
	}
	fs.set(0) // below half of it: the log refuses too, and the leader steps down
	if err := n.group.Barrier(within(t)); !errors.Is(err, cluster.ErrStorageFull) {
		t.Errorf("a barrier with no room at all: %v", err)
	}
	fs.set(1 << 30)
	eventually(t, "n1 leads again", n.group.IsLeader)
	propose(t, "c", n)
	if got := count(t, n.group); got != 2 {
		t.Errorf("count %d, want 2", got)
	}
}

// TestFullFollowerDoesNotStopTheGroup lets the others commit, and catches up when there is room.
func TestFullFollowerDoesNotStopTheGroup(t *testing.T) {
	rooms := make([]*roomFS, 3)
	var nodes []*node
	for i, id := range []string{"n1", "n2", "n3"} {
		rooms[i] = &roomFS{FS: vfs.NewMem(), free: 1 << 30}
		n := newNode(t, id, rooms[i])
		n.logc = raftlog.Config{ReserveBytes: 1 << 20, SpaceEvery: time.Nanosecond}
		n.mustOpen()
		t.Cleanup(func() { n.close(over()) })
		nodes = append(nodes, n)
	}
	connect(nodes...)
	form(t, nodes)
	rooms[2].set(0)
	var last cluster.LogIndex
	for range 10 {
		last = propose(t, "x", nodes...)
	}
	sameState(t, last, nodes[:2]...)
	if nodes[2].group.Applied() >= last {
		t.Errorf("a follower without room applied %d", nodes[2].group.Applied())
	}
	rooms[2].set(1 << 30)
	sameState(t, last, nodes...)
}
