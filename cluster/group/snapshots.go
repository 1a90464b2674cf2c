package group

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/raftlog"
	"github.com/rookery-mail/rookery/cluster/state"
)

// snapshots is Raft's view of snapshots that cost nothing to take. A snapshot is a record (index,
// term, configuration) in the log database, and the promise that the state on disk is at that
// index or later. Only when a follower needs one, the state of that moment is streamed to it; it
// may be newer than the record, and the applied index in it makes the replay idempotent.
//
// A stream that comes in goes to a file first, is checked as a whole, then recorded as pending,
// then imported. A crash between these steps is finished by recover.
type snapshots struct {
	id    cluster.GroupID
	log   *raftlog.Log
	state *state.Group
	fs    vfs.FS
	dir   string

	mu sync.Mutex // held from reading the record to replacing it
}

var _ raft.SnapshotStore = (*snapshots)(nil)

func snapshotID(s raftlog.Snapshot) string { return fmt.Sprintf("%d-%d", s.Term, s.Index) }

func meta(s raftlog.Snapshot) *raft.SnapshotMeta {
	return &raft.SnapshotMeta{
		Version:            1,
		ID:                 snapshotID(s),
		Index:              uint64(s.Index),
		Term:               s.Term,
		Configuration:      s.Configuration,
		ConfigurationIndex: uint64(s.ConfigurationIndex),
	}
}

// received is the file in which a whole stream waits for its import; arriving is the one in which
// it is collected.
func (s *snapshots) received() string {
	return s.fs.PathJoin(s.dir, fmt.Sprintf("snapshot-%d", s.id))
}

func (s *snapshots) arriving() string { return s.received() + ".part" }

// List implements raft.SnapshotStore.
func (s *snapshots) List() ([]*raft.SnapshotMeta, error) {
	record, ok := s.log.Snapshot()
	if !ok {
		return nil, nil
	}
	return []*raft.SnapshotMeta{meta(record)}, nil
}

// Create implements raft.SnapshotStore.
func (s *snapshots) Create(_ raft.SnapshotVersion, index, term uint64, c raft.Configuration, at uint64,
	_ raft.Transport) (raft.SnapshotSink, error) {
	record := raftlog.Snapshot{
		Index: cluster.LogIndex(index), Term: term,
		Configuration: c.Clone(), ConfigurationIndex: cluster.LogIndex(at),
	}
	return &sink{store: s, record: record}, nil
}

// Open implements raft.SnapshotStore. The stream of a pending snapshot is its file; that of any
// other is the state of this moment.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	record, ok := s.log.Snapshot()
	if !ok || snapshotID(record) != id {
		return nil, nil, fmt.Errorf("open snapshot %s of %v: there is a newer one", id, s.id)
	}
	m := meta(record)
	if record.Pending {
		f, err := s.fs.Open(s.received(), vfs.SequentialReadsOption)
		if err != nil {
			return nil, nil, fmt.Errorf("open received snapshot of %v: %w", s.id, err)
		}
		return m, f, nil
	}
	export, err := s.state.Export()
	if err != nil {
		return nil, nil, err
	}
	if export.Applied < record.Index {
		return nil, nil, errors.Join(export.Close(), fmt.Errorf("snapshot %s of %v: the state is at %d only", id, s.id, export.Applied))
	}
	m.Size = export.Size
	return m, export, nil
}

// install imports a stream and notes that nothing is pending any more. State that is already newer
// than the stream stays.
func (s *snapshots) install(ctx context.Context, stream io.Reader, applied cluster.LogIndex) (cluster.LogIndex, error) {
	header, rest, err := state.PeekHeader(stream)
	if err != nil {
		return 0, err
	}
	if header.Applied >= applied {
		if err := s.state.Import(ctx, rest); err != nil {
			return 0, err
		}
		applied = header.Applied
	}
	return applied, s.settle(applied)
}

// settle notes that the pending snapshot is in the state, and removes its file.
func (s *snapshots) settle(applied cluster.LogIndex) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	record, ok := s.log.Snapshot()
	if ok && record.Pending {
		record.Pending = false
		record.Reach = max(record.Reach, applied)
		if err := s.log.PutSnapshot(record); err != nil {
			return err
		}
	}
	return s.discard()
}

// put replaces the record, but never by an older one: a snapshot that was being taken here while a
// newer one came in is given up.
func (s *snapshots) put(record raftlog.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.log.Snapshot()
	if ok && old.Index > record.Index {
		return fmt.Errorf("record snapshot of %v at %d: there is one at %d", s.id, record.Index, old.Index)
	}
	record.Reach = old.Reach
	return s.log.PutSnapshot(record)
}

// discard removes the files of streams.
func (s *snapshots) discard() error {
	for _, name := range []string{s.received(), s.arriving()} {
		if err := s.fs.RemoveAll(name); err != nil {
			return fmt.Errorf("remove received snapshot of %v: %w", s.id, err)
		}
	}
	return nil
}
