package group

import "time"

// snapshotRetry is how long a snapshot that was due and did not come about waits for its next try.
const snapshotRetry = 5 * time.Second

// truncate takes a snapshot whenever the log has grown by the limits, until the replica stops.
func (g *Group) truncate() {
	grown := g.log.Watch(g.cfg.Limits.SnapshotBytes, g.cfg.Limits.SnapshotEntries)
	for {
		select {
		case <-grown:
		case <-g.life.Done():
			return
		}
		for g.snapshotDue() && g.life.Err() == nil {
			if !g.advanceSnapshot() {
				g.pause(snapshotRetry)
			}
		}
	}
}

func (g *Group) snapshotDue() bool {
	bytes, entries := g.log.Growth()
	return bytes >= g.cfg.Limits.SnapshotBytes || entries >= g.cfg.Limits.SnapshotEntries
}

// advanceSnapshot takes a snapshot and reports whether there is a newer one now. There is none
// while nothing is committed, as on a node that is cut off.
func (g *Group) advanceSnapshot() bool {
	before, _ := g.log.Snapshot()
	if err := g.TakeSnapshot(g.life); err != nil && g.life.Err() == nil {
		g.cfg.Logger.Warn("the log cannot be truncated yet", "error", err)
	}
	after, _ := g.log.Snapshot()
	return after.Index > before.Index
}

// pause waits, or less if the replica stops.
func (g *Group) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.life.Done():
	}
}

// trail tells Raft how many entries to keep behind the next snapshot: those that fit into
// TrailingBytes.
func (g *Group) trail() error {
	c := g.raft.ReloadableConfig()
	c.TrailingLogs = min(g.log.Newest(g.cfg.Limits.TrailingBytes), maxTrailing)
	return g.raft.ReloadConfig(c)
}
