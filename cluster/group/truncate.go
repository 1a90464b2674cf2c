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
		if !g.snapshotDue() {
			continue
		}
		if err := g.TakeSnapshot(g.life); err != nil && g.life.Err() == nil {
			g.cfg.Logger.Warn("the log cannot be truncated yet", "error", err)
		}
		if g.snapshotDue() && !g.pause(snapshotRetry) {
			return
		}
	}
}

func (g *Group) snapshotDue() bool {
	bytes, entries := g.log.Growth()
	return bytes >= g.cfg.Limits.SnapshotBytes || entries >= g.cfg.Limits.SnapshotEntries
}

// pause waits and reports whether the replica still runs.
func (g *Group) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-g.life.Done():
		return false
	}
}

// trail tells Raft how many entries to keep behind the next snapshot: those that fit into
// TrailingBytes.
func (g *Group) trail() error {
	c := g.raft.ReloadableConfig()
	c.TrailingLogs = min(g.log.Newest(g.cfg.Limits.TrailingBytes), maxTrailing)
	return g.raft.ReloadConfig(c)
}
