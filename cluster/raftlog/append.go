package raftlog

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"
)

// StoreLog implements raft.LogStore.
func (l *Log) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore: one synced batch. Entries that would leave a hole or replace
// others are refused, and on a disk that is nearly full all are, with cluster.ErrStorageFull.
func (l *Log) StoreLogs(entries []*raft.Log) error {
	if len(entries) == 0 {
		return nil
	}
	if err := l.db.space.check(l.db.cfg.ReserveBytes / 2); err != nil {
		return fmt.Errorf("append to log of %v: %w", l.id, err)
	}
	if err := l.checkNext(entries); err != nil {
		return err
	}
	sizes, err := l.write(entries)
	if err != nil {
		return fmt.Errorf("append to log of %v: %w", l.id, full(err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == 0 {
		l.first = entries[0].Index
	}
	var added int64
	for _, n := range sizes {
		added += int64(n)
	}
	l.sizes = append(l.sizes, sizes...)
	l.bytes += added
	l.recent.append(entries)
	l.grow(added, int64(len(sizes)))
	return nil
}

// checkNext holds the invariant. Only Raft's main loop appends, so the answer stays true.
func (l *Log) checkNext(entries []*raft.Log) error {
	l.mu.RLock()
	last := l.last()
	l.mu.RUnlock()
	for _, e := range entries {
		if last != 0 && e.Index != last+1 {
			return fmt.Errorf("append entry %d to log of %v, whose last is %d: it would leave a hole", e.Index, l.id, last)
		}
		last = e.Index
	}
	return nil
}

// write commits the entries in one synced batch and returns the length of each value.
func (l *Log) write(entries []*raft.Log) ([]uint32, error) {
	total := 0
	for _, e := range entries {
		total += entryKeySize + maxEntryHead + len(e.Extensions) + len(e.Data) + 16
	}
	b := l.db.db.NewBatchWithSize(total)
	defer b.Close()
	sizes := make([]uint32, len(entries))
	var buf [maxEntryHead]byte
	for i, e := range entries {
		head := entryHead(buf[:0], e)
		n := len(head) + len(e.Extensions) + len(e.Data)
		op := b.SetDeferred(entryKeySize, n)
		binary.BigEndian.PutUint16(op.Key, uint16(l.id))
		op.Key[2] = entryKind
		binary.BigEndian.PutUint64(op.Key[3:], e.Index)
		at := copy(op.Value, head)
		at += copy(op.Value[at:], e.Extensions)
		copy(op.Value[at:], e.Data)
		if err := op.Finish(); err != nil {
			return nil, err
		}
		sizes[i] = uint32(n)
	}
	l.db.gather.begin()
	return sizes, b.Commit(pebble.Sync)
}

// DeleteRange implements raft.LogStore for the two cases there are: the oldest entries after a
// snapshot, and the newest after a conflict. It is not synced: whatever is appended next is, and it
// comes later in the same write-ahead log.
func (l *Log) DeleteRange(min, max uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.last()
	if l.first == 0 || max < l.first || min > last {
		return nil
	}
	if min > l.first && max < last {
		return fmt.Errorf("delete entries %d to %d of %v from the middle of %d to %d: it would leave a hole",
			min, max, l.id, l.first, last)
	}
	if err := l.db.db.DeleteRange(entryKey(l.id, min), entryKey(l.id, max+1), pebble.NoSync); err != nil {
		return fmt.Errorf("delete entries %d to %d of %v: %w", min, max, l.id, full(err))
	}
	switch {
	case min <= l.first && max >= last:
		l.first, l.sizes = 0, nil
	case min <= l.first:
		l.sizes = append([]uint32(nil), l.sizes[max+1-l.first:]...)
		l.first = max + 1
	default:
		l.sizes = l.sizes[:min-l.first]
	}
	l.bytes = 0
	for _, n := range l.sizes {
		l.bytes += int64(n)
	}
	l.recent.keep(l.first, l.last())
	l.resetGrowth()
	return nil
}
