package clustertest_test

import (
	"errors"
	"io"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/clustertest"
	"github.com/rookery-mail/rookery/cluster/group"
	"github.com/rookery-mail/rookery/cluster/raftlog"
)

// rewrite changes the content of each file in dir whose name ends so.
func rewrite(t *testing.T, fs vfs.FS, dir, suffix string, change func([]byte) []byte) (files int) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		file := path.Join(dir, name)
		in, err := fs.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		_ = in.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(data) == 0 {
			continue
		}
		out, err := fs.Create(file, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = out.Write(change(data)); err == nil {
			err = errors.Join(out.Sync(), out.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		files++
	}
	return files
}

// TestDamagedLogIsRefusedAndRebuilt follows what the error tells the operator to do.
func TestDamagedLogIsRefusedAndRebuilt(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"bytes": func(data []byte) []byte {
			for i := len(data) / 4; i < len(data)/2; i++ {
				data[i] ^= 0x55
			}
			return data
		},
		"tail": func(data []byte) []byte { return data[:len(data)/2] },
	} {
		t.Run(name, func(t *testing.T) {
			c := clustertest.Start(t, clustertest.Config{Machine: clustertest.Ledger})
			l := begin(c, 1, 4)
			l.more(t, 200)
			victim := c.Follower(1).ID
			replica, _ := c.Node(victim).Group(1)
			if err := replica.TakeSnapshot(t.Context()); err != nil { // the state is on disk: the log has to reach it
				t.Fatal(err)
			}
			l.more(t, 200)
			if err := c.Node(victim).State.Flush(); err != nil {
				t.Fatal(err)
			}
			c.Crash(victim)
			if n := rewrite(t, c.Disk(victim), "log", ".log", change); n == 0 {
				t.Fatal("there was no log to damage")
			}
			err := c.TryRestart(victim)
			var damage *raftlog.CorruptError
			if !errors.As(err, &damage) || !strings.Contains(err.Error(), "rookery node rebuild") {
				t.Fatalf("a damaged log: %v", err)
			}
			t.Log(err)
			var rest []cluster.NodeID
			for _, id := range c.IDs() {
				if id != victim {
					rest = append(rest, id)
				}
			}
			// A replica that forgot its votes must not vote before it has caught up: out, and in again.
			if err := c.Move(t.Context(), 1, rest...); err != nil {
				t.Fatal(err)
			}
			c.Wipe(victim)
			c.Restart(victim)
			if err := c.Move(t.Context(), 1, c.IDs()...); err != nil {
				t.Fatal(err)
			}
			l.more(t, 50)
			l.check(t)
		})
	}
}

// TestFollowerWithAFullDisk holds that one full disk costs nothing but that replica's vote, and that
// it follows again once there is room.
func TestFollowerWithAFullDisk(t *testing.T) {
	c := clustertest.Start(t, clustertest.Config{Machine: clustertest.Ledger})
	l := begin(c, 1, 6)
	l.more(t, 100)
	follower := c.Follower(1)
	for range 3 {
		follower.SetFree(0)
		l.more(t, 100)
		follower.SetFree(1 << 40)
		l.more(t, 100)
	}
	l.check(t)
}

// TestFailoverGap measures from the crash of a leader to the next acknowledgement, with the timing of
// package group for nodes on one network.
func TestFailoverGap(t *testing.T) {
	c := clustertest.Start(t, clustertest.Config{Machine: clustertest.Ledger, Timing: group.LAN()})
	leader, other := c.WaitLeader(1), c.Follower(1)
	if err := propose(t, other, "before"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	c.Crash(leader.ID)
	if err := propose(t, other, "after"); err != nil {
		t.Fatal(err)
	}
	gap := time.Since(start)
	t.Logf("gap of %v", gap)
	if gap > 8*time.Second {
		t.Errorf("no acknowledgement for %v after the leader's death", gap)
	}
}
