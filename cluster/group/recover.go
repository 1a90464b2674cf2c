package group

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/raftlog"
)

// recover finishes what a crash interrupted and checks that log, snapshot record and state belong
// together. It returns the applied index.
//
// Invariant, when it returns: snapshot index <= applied <= max(last index, snapshot index, reach),
// and the log begins at most one after the snapshot.
func (s *snapshots) recover(ctx context.Context) (cluster.LogIndex, error) {
	applied, err := s.state.Applied()
	if err != nil {
		return 0, s.corrupt("the state cannot be read", err)
	}
	record, ok := s.log.Snapshot()
	switch {
	case ok && record.Pending && applied < record.Index:
		applied, err = s.resume(ctx, record, applied)
	case ok && record.Pending:
		err = s.settle(applied)
	case ok && applied < record.Index:
		err = s.corrupt(fmt.Sprintf("its state is at %d, its snapshot at %d", applied, record.Index), nil)
	default:
		err = s.discard()
	}
	if err != nil {
		return 0, err
	}
	if err := s.trim(record); err != nil {
		return 0, err
	}
	return applied, s.checkReach(applied)
}

// resume imports the stream that a crash left behind.
func (s *snapshots) resume(ctx context.Context, record raftlog.Snapshot, applied cluster.LogIndex) (cluster.LogIndex, error) {
	f, err := s.fs.Open(s.received(), vfs.SequentialReadsOption)
	if err != nil {
		what := fmt.Sprintf("its state is at %d, and the snapshot at %d that was received is gone", applied, record.Index)
		return 0, s.corrupt(what, err)
	}
	defer f.Close()
	applied, err = s.install(ctx, f, applied)
	if err != nil {
		return 0, s.corrupt(fmt.Sprintf("the snapshot at %d that was received cannot be imported", record.Index), err)
	}
	return applied, nil
}

// trim drops a log that an imported snapshot replaced, where Raft did not come to it: one that ends
// before the snapshot, or does not agree with it.
func (s *snapshots) trim(record raftlog.Snapshot) error {
	first, _ := s.log.FirstIndex()
	last, _ := s.log.LastIndex()
	at := uint64(record.Index)
	if first == 0 || at == 0 || first > at {
		return nil
	}
	if last >= at {
		var entry raft.Log
		err := s.log.GetLog(at, &entry)
		if err != nil {
			return s.corrupt(fmt.Sprintf("entry %d cannot be read", at), err)
		}
		if entry.Term == record.Term {
			return nil
		}
	}
	return s.log.DeleteRange(first, last)
}

// checkReach refuses a state that is ahead of the log: entries that were synced are gone.
func (s *snapshots) checkReach(applied cluster.LogIndex) error {
	last, _ := s.log.LastIndex()
	record, _ := s.log.Snapshot()
	reach := max(cluster.LogIndex(last), record.Index, record.Reach)
	if applied > reach {
		return s.corrupt(fmt.Sprintf("entries %d to %d, which the state shows, are missing", reach+1, applied), nil)
	}
	return nil
}

func (s *snapshots) corrupt(what string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, cluster.ErrStorageFull) {
		return err // nothing is damaged
	}
	return &raftlog.CorruptError{Group: s.id, What: what, Err: err}
}
