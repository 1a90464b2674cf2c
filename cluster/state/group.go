package state

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// appliedKey holds the index of the last entry whose effect the group's keys show, 8 bytes big
// endian. It is written in the batch of that effect.
const appliedKey byte = 0x01

// prefixSize is the length of the group number before each key.
const prefixSize = 2

// ErrRestored is kv.ErrRestored.
var ErrRestored = kv.ErrRestored

// Group is the part of the database that belongs to one group. Snapshots may be taken from any
// goroutine; batches, Import and Drop are one at a time.
type Group struct {
	db     *DB
	id     cluster.GroupID
	prefix [prefixSize]byte
	end    [prefixSize]byte

	// epoch counts imports and drops. A snapshot of an earlier epoch would read holes.
	epoch atomic.Uint64
}

func newGroup(d *DB, id cluster.GroupID) *Group {
	g := &Group{db: d, id: id}
	binary.BigEndian.PutUint16(g.prefix[:], uint16(id))
	binary.BigEndian.PutUint16(g.end[:], uint16(id)+1)
	return g
}

// key returns k with the group's prefix, in buf if it has room.
func (g *Group) key(buf, k []byte) []byte {
	return append(append(buf[:0], g.prefix[:]...), k...)
}

// bounds returns the prefixed form of lower <= key < upper, where a missing upper is the group's
// end.
func (g *Group) bounds(lower, upper []byte) (lo, hi []byte) {
	lo = g.key(nil, lower)
	if len(upper) == 0 {
		return lo, append([]byte(nil), g.end[:]...)
	}
	return lo, g.key(nil, upper)
}

func (g *Group) span() pebble.KeyRange {
	return pebble.KeyRange{Start: append([]byte(nil), g.prefix[:]...), End: append([]byte(nil), g.end[:]...)}
}

// Applied reads the applied index; 0 where the group has no state.
func (g *Group) Applied() (cluster.LogIndex, error) {
	s := g.Snapshot()
	defer s.Close()
	value, ok, err := s.Get([]byte{appliedKey})
	if err != nil || !ok {
		return 0, err
	}
	return decodeApplied(value)
}

func decodeApplied(value []byte) (cluster.LogIndex, error) {
	if len(value) != 8 {
		return 0, fmt.Errorf("applied index of %d bytes, want 8", len(value))
	}
	return cluster.LogIndex(binary.BigEndian.Uint64(value)), nil
}

// Drop removes all keys of the group, durably.
func (g *Group) Drop(ctx context.Context) error {
	g.epoch.Add(1)
	if err := g.db.db.Excise(ctx, g.span()); err != nil {
		return fmt.Errorf("drop state of %v: %w", g.id, err)
	}
	return g.db.Flush()
}
