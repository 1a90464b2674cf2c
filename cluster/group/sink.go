package group

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster/raftlog"
	"github.com/rookery-mail/rookery/cluster/state"
)

// sink ends either as the record of a snapshot taken here, to which nothing is written, or as a
// stream received from another replica.
type sink struct {
	store  *snapshots
	record raftlog.Snapshot
	taken  bool     // the state of this node is the snapshot
	file   vfs.File // of a received stream; nil before the first byte
	ended  bool
}

var _ raft.SnapshotSink = (*sink)(nil)

// ID implements raft.SnapshotSink.
func (k *sink) ID() string { return snapshotID(k.record) }

// Write implements io.Writer for a received stream.
func (k *sink) Write(p []byte) (int, error) {
	if k.file == nil {
		f, err := k.store.fs.Create(k.store.arriving(), vfs.WriteCategoryUnspecified)
		if err != nil {
			return 0, fmt.Errorf("receive snapshot of %v: %w", k.store.id, err)
		}
		k.file = f
	}
	n, err := k.file.Write(p)
	if err != nil {
		return n, fmt.Errorf("receive snapshot of %v: %w", k.store.id, err)
	}
	return n, nil
}

// Close implements raft.SnapshotSink: the record is durable when it returns nil, and a received
// stream is whole.
func (k *sink) Close() error {
	if k.ended {
		return nil
	}
	k.ended = true
	if k.file != nil {
		if err := k.keep(); err != nil {
			return errors.Join(fmt.Errorf("receive snapshot of %v: %w", k.store.id, err), k.store.fs.RemoveAll(k.store.arriving()))
		}
		k.record.Pending = true
	} else if !k.taken {
		return fmt.Errorf("receive snapshot of %v: no stream came", k.store.id)
	}
	return k.store.put(k.record)
}

// keep syncs, checks and renames the received file.
func (k *sink) keep() error {
	s := k.store
	if err := errors.Join(k.file.Sync(), k.file.Close()); err != nil {
		return err
	}
	if err := s.check(s.arriving(), k.record); err != nil {
		return err
	}
	if err := s.fs.Rename(s.arriving(), s.received()); err != nil {
		return err
	}
	return syncDir(s.fs, s.dir)
}

// check reads a received file as a whole.
func (s *snapshots) check(path string, record raftlog.Snapshot) error {
	f, err := s.fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	defer f.Close()
	header, err := state.Verify(f)
	if err != nil {
		return err
	}
	if header.Group != s.id || header.Applied < record.Index {
		return fmt.Errorf("a stream of %v at %d for a snapshot of %v at %d", header.Group, header.Applied, s.id, record.Index)
	}
	return nil
}

// Cancel implements raft.SnapshotSink.
func (k *sink) Cancel() error {
	if k.ended {
		return nil
	}
	k.ended = true
	if k.file == nil {
		return nil
	}
	return errors.Join(k.file.Close(), k.store.fs.RemoveAll(k.store.arriving()))
}
