package floor

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"
)

// state keeps each committed entry under its index. It has no write-ahead log: the Raft log is one.
type state struct{ db *pebble.DB }

var _ raft.BatchingFSM = (*state)(nil)

func openState(dir string) (*state, error) {
	db, err := openPebble(dir, "state", true)
	if err != nil {
		return nil, err
	}
	return &state{db}, nil
}

// Apply keeps one entry.
func (s *state) Apply(entry *raft.Log) any { return s.ApplyBatch([]*raft.Log{entry})[0] }

// ApplyBatch keeps entries with one write. A replica that cannot write must not go on.
func (s *state) ApplyBatch(entries []*raft.Log) []any {
	b := s.db.NewBatch()
	defer b.Close()
	for _, e := range entries {
		if e.Type != raft.LogCommand {
			continue
		}
		if err := b.Set(entryKey(e.Index), e.Data, nil); err != nil {
			panic(fmt.Sprintf("apply entry %d: %v", e.Index, err))
		}
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		panic(fmt.Sprintf("apply %d entries: %v", len(entries), err))
	}
	return make([]any, len(entries))
}

// errNoSnapshots is returned where Raft would take or read one: a run is too short to need them.
var errNoSnapshots = errors.New("the floor has no snapshots")

// Snapshot is never asked for.
func (s *state) Snapshot() (raft.FSMSnapshot, error) { return nil, errNoSnapshots }

// Restore is never asked for.
func (s *state) Restore(r io.ReadCloser) error { return errors.Join(errNoSnapshots, r.Close()) }
