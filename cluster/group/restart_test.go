package group

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/raftlog"
)

// TestRestartReplaysOnce crashes at each of several points: before any flush, after one, and after
// a snapshot. The state machine counts entries, so a lost or repeated one shows.
func TestRestartReplaysOnce(t *testing.T) {
	n := single(t, vfs.NewCrashableMem())
	want := uint64(0)
	some := func() {
		for range 50 {
			propose(t, fmt.Sprint("entry ", want), n)
			want++
		}
	}
	steps := []func(){
		func() {},
		func() {
			if err := n.state.Flush(); err != nil {
				t.Fatal(err)
			}
			some()
		},
		func() {
			if err := n.group.TakeSnapshot(within(t)); err != nil {
				t.Fatal(err)
			}
		},
		some,
	}
	for i, step := range steps {
		some()
		step()
		n.crash()
		n.mustOpen()
		eventually(t, "n1 leads again", n.group.IsLeader)
		if got := count(t, n.group); got != want {
			t.Errorf("after crash %d the count is %d, want %d", i, got, want)
		}
	}
	n.close(within(t))
	n.mustOpen()
	if got := count(t, n.group); got != want {
		t.Errorf("after a clean stop the count is %d before Raft runs, want %d", got, want)
	}
	if bytes, _ := n.group.log.Growth(); bytes != 0 {
		t.Errorf("a clean stop left %d bytes to replay", bytes)
	}
}

// TestThreeCrashTogether loses the unsynced bytes of all replicas at once.
func TestThreeCrashTogether(t *testing.T) {
	nodes := three(t, Limits{})
	last := cluster.LogIndex(0)
	for i := range 100 {
		last = propose(t, fmt.Sprint("entry ", i), nodes...)
	}
	for _, n := range nodes {
		n.crash()
	}
	for _, n := range nodes {
		n.mustOpen()
	}
	connect(nodes...)
	sameState(t, last, nodes...)
	if got := count(t, nodes[2].group); got != 100 {
		t.Errorf("count %d, want 100", got)
	}
}

// damage opens the log database of a stopped node, without the checks of raftlog.
func damage(t *testing.T, n *node, do func(*pebble.DB) error) {
	t.Helper()
	db, err := pebble.Open("/data/log", &pebble.Options{FS: n.fs, FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(do(db), db.Close()); err != nil {
		t.Fatal(err)
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(f string, a ...any) {
	panic(fmt.Sprintf(f, a...))
}

func logKey(index byte) []byte { return []byte{0, 3, 1, 0, 0, 0, 0, 0, 0, 0, index} }

// wantCorrupt expects the typed error, with what was found and what to do.
func wantCorrupt(t *testing.T, err error, what string) {
	t.Helper()
	var c *raftlog.CorruptError
	if !errors.As(err, &c) {
		t.Fatalf("a damaged log was opened: %v", err)
	}
	if c.Group != 3 || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), "rookery node rebuild --group 3") {
		t.Errorf("the error does not tell what it should (%s): %v", what, err)
	}
}

func TestDamagedLogIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, what string
		do         func(*pebble.DB) error
	}{
		{"hole", "entries 10 to 12 are missing", func(db *pebble.DB) error {
			return db.DeleteRange(logKey(10), logKey(13), pebble.Sync)
		}},
		{"lost beginning", "entries 1 to 4 are missing", func(db *pebble.DB) error {
			return db.DeleteRange(logKey(1), logKey(5), pebble.Sync)
		}},
		{"lost tail", "which the state shows, are missing", func(db *pebble.DB) error {
			return db.DeleteRange(logKey(20), logKey(255), pebble.Sync)
		}},
		{"lost whole", "which the state shows, are missing", func(db *pebble.DB) error {
			return db.DeleteRange(logKey(0), logKey(255), pebble.Sync)
		}},
		{"unreadable entry", "not a log entry", func(db *pebble.DB) error {
			return db.Set(logKey(30), []byte{99}, pebble.Sync)
		}},
		{"unreadable snapshot record", "the snapshot record cannot be read", func(db *pebble.DB) error {
			return db.Set([]byte{0, 3, 3}, []byte{99}, pebble.Sync)
		}},
		{"snapshot record ahead of the state", "its snapshot at", func(db *pebble.DB) error {
			return db.Set([]byte{0, 3, 3}, []byte{1, 0, 200, 1, 1, 1, 0, 0x81, 0xa7, 'S', 'e', 'r', 'v', 'e', 'r', 's', 0xc0}, pebble.Sync)
		}},
		{"received snapshot is gone", "that was received is gone", func(db *pebble.DB) error {
			return db.Set([]byte{0, 3, 3}, []byte{1, 1, 200, 1, 1, 1, 0, 0x81, 0xa7, 'S', 'e', 'r', 'v', 'e', 'r', 's', 0xc0}, pebble.Sync)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := single(t, vfs.NewMem())
			for range 50 {
				propose(t, "x", n)
			}
			if err := n.state.Flush(); err != nil {
				t.Fatal(err)
			}
			n.close(over())
			damage(t, n, c.do)
			wantCorrupt(t, n.open(), c.what)
		})
	}
}

// TestUndamagedLogOpens shows that an undamaged node opens after the same handling that
// the cases above give it.
func TestUndamagedLogOpens(t *testing.T) {
	n := single(t, vfs.NewMem())
	for range 50 {
		propose(t, "x", n)
	}
	n.close(over())
	damage(t, n, func(*pebble.DB) error { return nil })
	n.mustOpen()
	eventually(t, "n1 leads again", n.group.IsLeader)
	if got := count(t, n.group); got != 50 {
		t.Errorf("count %d, want 50", got)
	}
}
