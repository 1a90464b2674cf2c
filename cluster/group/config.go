package group

import (
	"errors"
	"log/slog"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/raftlog"
	"github.com/rookery-mail/rookery/cluster/state"
)

// Config says what a replica of a group is made of. Logs, State, Machine, Transport and Dir are
// required. The group closes Transport (if it is a raft.WithClose) and nothing else of these.
type Config struct {
	ID        cluster.GroupID
	Node      cluster.NodeID
	Logs      *raftlog.DB
	State     *state.DB
	Machine   cluster.StateMachine
	Transport raft.Transport
	Timing    Timing // the zero value means LAN
	Limits    Limits
	Dir       string       // where a received snapshot waits for its import; shared by all groups of a node
	FS        vfs.FS       // of Dir; nil means the operating system's files
	Logger    *slog.Logger // nil means no log
}

// Timing is a profile of Raft's timeouts.
type Timing struct {
	Heartbeat time.Duration // a follower without contact for this long (up to twice) starts a pre-vote
	Election  time.Duration // a candidate without an answer for this long starts again
	Lease     time.Duration // a leader without a majority for this long steps down; at most Heartbeat
	Commit    time.Duration // an idle leader repeats the commit index this often (up to half as often)
}

// LAN suits nodes with round trips up to some 10 ms: a failover takes about a second.
func LAN() Timing {
	return Timing{Heartbeat: 700 * time.Millisecond, Election: 700 * time.Millisecond,
		Lease: 500 * time.Millisecond, Commit: time.Second}
}

// WAN suits regions with round trips up to some 300 ms: a failover takes a few seconds.
func WAN() Timing {
	return Timing{Heartbeat: 2500 * time.Millisecond, Election: 2500 * time.Millisecond,
		Lease: 2000 * time.Millisecond, Commit: 1500 * time.Millisecond}
}

// Limits bound what a replica holds. Zero values mean the defaults.
type Limits struct {
	SnapshotBytes   int64 // log bytes since the last snapshot that cause the next one; default 64 MiB
	SnapshotEntries int64 // the same in entries; default 500,000
	TrailingBytes   int64 // log bytes kept behind a snapshot for slow followers; default 16 MiB
	InFlightBytes   int64 // proposals waiting for their commit; default 8 MiB, at least MaxEntrySize
}

// batchEntries is how many entries one append, one fsync and one batch of the state machine take
// at most.
const batchEntries = 64

// maxTrailing bounds what TrailingBytes comes to in entries.
const maxTrailing = 100_000

func (c *Config) complete() error {
	if c.Logs == nil || c.State == nil || c.Machine == nil || c.Transport == nil || c.Dir == "" || c.Node == "" {
		return errors.New("logs, state, machine, transport, directory and node are required")
	}
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("group", c.ID.String())
	if c.Timing == (Timing{}) {
		c.Timing = LAN()
	}
	c.Limits.complete()
	return nil
}

func (l *Limits) complete() {
	orDefault := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	orDefault(&l.SnapshotBytes, 64<<20)
	orDefault(&l.SnapshotEntries, 500_000)
	orDefault(&l.TrailingBytes, 16<<20)
	orDefault(&l.InFlightBytes, 8<<20)
	l.InFlightBytes = max(l.InFlightBytes, cluster.MaxEntrySize)
}

// raftConfig turns off what this package does itself: snapshots by entry count, restoring at start
// and shutting down when removed.
func raftConfig(c Config, notify chan<- bool) *raft.Config {
	r := raft.DefaultConfig()
	r.LocalID = raft.ServerID(c.Node)
	r.HeartbeatTimeout = c.Timing.Heartbeat
	r.ElectionTimeout = c.Timing.Election
	r.LeaderLeaseTimeout = c.Timing.Lease
	r.CommitTimeout = c.Timing.Commit
	r.MaxAppendEntries = batchEntries
	r.BatchApplyCh = true
	r.ShutdownOnRemove = false
	r.NoSnapshotRestoreOnStart = true
	r.NoLegacyTelemetry = true
	r.SnapshotThreshold = math.MaxUint64
	r.SnapshotInterval = 24 * time.Hour
	r.TrailingLogs = maxTrailing
	r.NotifyCh = notify
	r.Logger = bridge{log: c.Logger}
	return r
}
