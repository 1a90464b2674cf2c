package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// Log is the log of one group, with its stable values and its snapshot record.
//
// Invariant: the entries first..last are all there.
type Log struct {
	db *DB
	id cluster.GroupID

	mu       sync.RWMutex
	sizes    []uint32  // guarded by mu: bytes of each entry, from first on
	first    uint64    // guarded by mu: 0 if there are no entries
	bytes    int64     // guarded by mu: the sum of sizes
	recent   recent    // guarded by mu
	snapshot *Snapshot // guarded by mu
	growth   growth    // guarded by mu
}

var (
	_ raft.LogStore          = (*Log)(nil)
	_ raft.MonotonicLogStore = (*Log)(nil)
	_ raft.StableStore       = (*Log)(nil)
)

func newLog(d *DB, id cluster.GroupID) *Log {
	return &Log{db: d, id: id, recent: recent{max: d.cfg.CacheBytes}, growth: growth{grown: make(chan struct{}, 1)}}
}

// load reads the keys of the log and its snapshot record, and checks the invariant.
func (l *Log) load() error {
	if err := l.loadSnapshot(); err != nil {
		return err
	}
	lower, upper := key(l.id, entryKind), key(l.id, entryKind+1)
	it, err := l.db.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return l.corrupt("the log cannot be read", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if len(it.Key()) != entryKeySize {
			return l.corrupt(fmt.Sprintf("a key of %d bytes among the entries", len(it.Key())), nil)
		}
		index := binary.BigEndian.Uint64(it.Key()[3:])
		if l.first == 0 {
			l.first = index
		}
		if want := l.first + uint64(len(l.sizes)); index != want {
			return l.corrupt(fmt.Sprintf("entries %d to %d are missing", want, index-1), nil)
		}
		value := it.LazyValue()
		l.sizes = append(l.sizes, uint32(value.Len()))
		l.bytes += int64(value.Len())
	}
	if err := it.Error(); err != nil {
		return l.corrupt("the log cannot be read", err)
	}
	l.resetGrowth()
	return l.checkStart()
}

func (l *Log) loadSnapshot() error {
	value, closer, err := l.db.db.Get(key(l.id, snapshotKind))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return l.corrupt("the snapshot record cannot be read", err)
	}
	defer closer.Close()
	s, err := decodeSnapshot(value)
	if err != nil {
		return l.corrupt("the snapshot record cannot be read", err)
	}
	l.snapshot = &s
	return nil
}

// checkStart refuses a log that does not begin where the snapshot ends, or at 1 without one.
func (l *Log) checkStart() error {
	var after uint64
	if l.snapshot != nil {
		after = uint64(l.snapshot.Index)
	}
	if l.first > after+1 {
		return l.corrupt(fmt.Sprintf("entries %d to %d are missing", after+1, l.first-1), nil)
	}
	return nil
}

func (l *Log) corrupt(what string, err error) error {
	return &CorruptError{Group: l.id, What: what, Err: err}
}

// last is the highest index, 0 if there are no entries. The caller holds mu.
func (l *Log) last() uint64 {
	if l.first == 0 {
		return 0
	}
	return l.first + uint64(len(l.sizes)) - 1
}

// FirstIndex implements raft.LogStore.
func (l *Log) FirstIndex() (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.first, nil
}

// LastIndex implements raft.LogStore.
func (l *Log) LastIndex() (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.last(), nil
}

// IsMonotonic implements raft.MonotonicLogStore: a gap is refused.
func (l *Log) IsMonotonic() bool { return true }

// GetLog implements raft.LogStore.
func (l *Log) GetLog(index uint64, out *raft.Log) error {
	l.mu.RLock()
	cached := l.recent.get(index, out)
	missing := l.first == 0 || index < l.first || index > l.last()
	l.mu.RUnlock()
	if cached {
		return nil
	}
	if missing {
		return raft.ErrLogNotFound // Raft compares, so it is not wrapped
	}
	value, closer, err := l.db.db.Get(entryKey(l.id, index))
	if errors.Is(err, pebble.ErrNotFound) {
		return raft.ErrLogNotFound
	}
	if err != nil {
		return fmt.Errorf("read entry %d of %v: %w", index, l.id, err)
	}
	defer closer.Close()
	out.Index = index
	if err := decodeEntry(append([]byte(nil), value...), out); err != nil {
		return fmt.Errorf("read entry %d of %v: %w", index, l.id, err)
	}
	return nil
}
