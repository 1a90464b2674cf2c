package floor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"
)

// memTable is what either database holds before it flushes.
const memTable = 64 << 20

// separateAbove is the size in bytes from which values live in files of their own, so that compactions move
// keys only. Without that most of what a bare commit costs would be moving messages again and again, and the floor
// too high.
const separateAbove = 1 << 10

func openPebble(dir, name string, withoutWAL bool) (*pebble.DB, error) {
	o := &pebble.Options{
		FormatMajorVersion: pebble.FormatNewest, MemTableSize: memTable, MemTableStopWritesThreshold: 4,
		DisableWAL: withoutWAL, Logger: silent{},
	}
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled: true, MinimumSize: separateAbove, MaxBlobReferenceDepth: 10,
			RewriteMinimumAge: 5 * time.Minute, TargetGarbageRatio: 1,
		}
	}
	db, err := pebble.Open(filepath.Join(dir, name), o)
	if err != nil {
		return nil, fmt.Errorf("open the %s database in %s: %w", name, dir, err)
	}
	return db, nil
}

// silent drops Pebble's messages, but does not go on where it cannot.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic("storage engine: " + fmt.Sprintf(format, args...))
}

// log keeps entries and stable values, synced. An entry's key is 'e' and its index; its value the term,
// the type and the data. A stable value's key is 's' and its name.
type log struct{ db *pebble.DB }

var (
	_ raft.LogStore    = (*log)(nil)
	_ raft.StableStore = (*log)(nil)
)

func openLog(dir string) (*log, error) {
	db, err := openPebble(dir, "log", false)
	if err != nil {
		return nil, err
	}
	return &log{db}, nil
}

func entryKey(index uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'e'}, index) }

// FirstIndex is 0 of an empty log.
func (l *log) FirstIndex() (uint64, error) { return l.edge((*pebble.Iterator).First) }

// LastIndex is 0 of an empty log.
func (l *log) LastIndex() (uint64, error) { return l.edge((*pebble.Iterator).Last) }

func (l *log) edge(move func(*pebble.Iterator) bool) (uint64, error) {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'e'}, UpperBound: []byte{'e' + 1}})
	if err != nil {
		return 0, fmt.Errorf("look into the log: %w", err)
	}
	index := uint64(0)
	if move(it) {
		index = binary.BigEndian.Uint64(it.Key()[1:])
	}
	return index, it.Close()
}

// GetLog reads one entry; raft.ErrLogNotFound where there is none.
func (l *log) GetLog(index uint64, out *raft.Log) error {
	value, closer, err := l.db.Get(entryKey(index))
	if errors.Is(err, pebble.ErrNotFound) {
		return raft.ErrLogNotFound
	}
	if err != nil {
		return fmt.Errorf("read entry %d: %w", index, err)
	}
	defer closer.Close()
	*out = raft.Log{Index: index, Term: binary.BigEndian.Uint64(value), Type: raft.LogType(value[8]), Data: append([]byte(nil), value[9:]...)}
	return nil
}

// StoreLog stores one entry.
func (l *log) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs stores entries with one sync.
func (l *log) StoreLogs(entries []*raft.Log) error {
	b := l.db.NewBatch()
	defer b.Close()
	var value []byte
	for _, e := range entries {
		value = append(binary.BigEndian.AppendUint64(value[:0], e.Term), byte(e.Type))
		value = append(value, e.Data...)
		if err := b.Set(entryKey(e.Index), value, nil); err != nil {
			return fmt.Errorf("store entry %d: %w", e.Index, err)
		}
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("store %d entries: %w", len(entries), err)
	}
	return nil
}

// DeleteRange removes entries, both ends included.
func (l *log) DeleteRange(low, high uint64) error {
	return l.db.DeleteRange(entryKey(low), entryKey(high+1), pebble.Sync)
}

// Set keeps a stable value.
func (l *log) Set(key, value []byte) error {
	return l.db.Set(append([]byte{'s'}, key...), value, pebble.Sync)
}

// errNoValue has the text that hashicorp/raft looks for.
var errNoValue = errors.New("not found")

// Get reads a stable value.
func (l *log) Get(key []byte) ([]byte, error) {
	value, closer, err := l.db.Get(append([]byte{'s'}, key...))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, errNoValue
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	defer closer.Close()
	return append([]byte(nil), value...), nil
}

// SetUint64 keeps a stable number.
func (l *log) SetUint64(key []byte, n uint64) error {
	return l.Set(key, binary.BigEndian.AppendUint64(nil, n))
}

// GetUint64 reads a stable number.
func (l *log) GetUint64(key []byte) (uint64, error) {
	value, err := l.Get(key)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(value), nil
}
