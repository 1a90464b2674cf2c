package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// Snapshot is the record of a group's latest snapshot. There are no other bytes to it: the state
// database holds the state at Index or later.
type Snapshot struct {
	Index              cluster.LogIndex
	Term               uint64
	Configuration      raft.Configuration
	ConfigurationIndex cluster.LogIndex
	// Pending says that the snapshot came from another replica and its stream may not be imported
	// yet.
	Pending bool
	// Reach is the applied index in the stream that was last imported; the state may be that far
	// ahead of the log. 0 if none was.
	Reach cluster.LogIndex
}

// snapshotFormat is the version of a snapshot record, its first byte:
//
//	format (1), pending (1), index, term, configuration index, reach (uvarints),
//	configuration (as hashicorp/raft encodes it)
const snapshotFormat byte = 1

var errSnapshot = errors.New("not a snapshot record this version understands")

func (s Snapshot) encode() []byte {
	b := []byte{snapshotFormat, 0}
	if s.Pending {
		b[1] = 1
	}
	b = binary.AppendUvarint(b, uint64(s.Index))
	b = binary.AppendUvarint(b, s.Term)
	b = binary.AppendUvarint(b, uint64(s.ConfigurationIndex))
	b = binary.AppendUvarint(b, uint64(s.Reach))
	return append(b, raft.EncodeConfiguration(s.Configuration)...)
}

func decodeSnapshot(b []byte) (s Snapshot, err error) {
	if len(b) < 2 || b[0] != snapshotFormat {
		return s, errSnapshot
	}
	s.Pending = b[1] == 1
	b = b[2:]
	var numbers [4]uint64
	for i := range numbers {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return s, errSnapshot
		}
		numbers[i], b = v, b[n:]
	}
	s.Index, s.Term = cluster.LogIndex(numbers[0]), numbers[1]
	s.ConfigurationIndex, s.Reach = cluster.LogIndex(numbers[2]), cluster.LogIndex(numbers[3])
	defer func() {
		if recover() != nil { // raft.DecodeConfiguration panics on bytes it cannot read
			err = errSnapshot
		}
	}()
	s.Configuration = raft.DecodeConfiguration(b)
	return s, nil
}

// Snapshot returns the latest snapshot record, or ok false where there is none.
func (l *Log) Snapshot() (s Snapshot, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.snapshot == nil {
		return Snapshot{}, false
	}
	return *l.snapshot, true
}

// PutSnapshot replaces the snapshot record, durably.
func (l *Log) PutSnapshot(s Snapshot) error {
	if err := l.db.db.Set(key(l.id, snapshotKind), s.encode(), pebble.Sync); err != nil {
		return fmt.Errorf("record snapshot of %v at %d: %w", l.id, s.Index, full(err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.snapshot = &s
	l.resetGrowth()
	return nil
}
