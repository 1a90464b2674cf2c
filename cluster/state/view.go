package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/rookery-mail/rookery/cluster/kv"
)

// source is what Pebble's snapshots, batches and databases have in common.
type source interface {
	Get(key []byte) ([]byte, io.Closer, error)
	NewIter(o *pebble.IterOptions) (*pebble.Iterator, error)
}

// Snapshot is a kv.Snapshot of one group. It may be used by several goroutines.
type Snapshot struct {
	group *Group
	snap  *pebble.Snapshot
	epoch uint64
}

var _ kv.Snapshot = (*Snapshot)(nil)

// Snapshot returns a view of the group's keys at this moment.
func (g *Group) Snapshot() *Snapshot {
	epoch := g.epoch.Load() // before the snapshot: one that is too old only fails early
	return &Snapshot{group: g, snap: g.db.db.NewSnapshot(), epoch: epoch}
}

// Get implements kv.Reader. After an import it returns ErrRestored.
func (s *Snapshot) Get(key []byte) ([]byte, bool, error) {
	value, ok, err := get(s.snap, s.group, key)
	if err == nil && s.epoch != s.group.epoch.Load() {
		return nil, false, ErrRestored
	}
	return value, ok, err
}

// Scan implements kv.Reader. After an import it returns ErrRestored; an iterator that was open
// before stays valid.
func (s *Snapshot) Scan(lower, upper []byte) (kv.Iterator, error) {
	it, err := scan(s.snap, s.group, lower, upper)
	if err == nil && s.epoch != s.group.epoch.Load() {
		return nil, errors.Join(ErrRestored, it.Close())
	}
	return it, err
}

// Close implements io.Closer.
func (s *Snapshot) Close() error { return s.snap.Close() }

func get(src source, g *Group, key []byte) ([]byte, bool, error) {
	var buf [64]byte
	value, closer, err := src.Get(g.key(buf[:], key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read key %x of %v: %w", key, g.id, err)
	}
	out := bytes.Clone(value)
	if out == nil {
		out = []byte{}
	}
	return out, true, closer.Close()
}

func scan(src source, g *Group, lower, upper []byte) (kv.Iterator, error) {
	lo, hi := g.bounds(lower, upper)
	it, err := src.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return nil, fmt.Errorf("scan %v: %w", g.id, err)
	}
	return &iterator{Iterator: it, group: g}, nil
}

// iterator is a kv.Iterator: a Pebble iterator whose keys lack the group's prefix.
type iterator struct {
	*pebble.Iterator
	group *Group
	buf   []byte
}

var _ kv.Iterator = (*iterator)(nil)

// Key implements kv.Iterator.
func (i *iterator) Key() []byte { return i.Iterator.Key()[prefixSize:] }

// Value implements kv.Iterator.
func (i *iterator) Value() ([]byte, error) { return i.Iterator.ValueAndErr() }

// SeekGE implements kv.Iterator.
func (i *iterator) SeekGE(key []byte) bool {
	i.buf = i.group.key(i.buf, key)
	return i.Iterator.SeekGE(i.buf)
}

// SeekLT implements kv.Iterator.
func (i *iterator) SeekLT(key []byte) bool {
	i.buf = i.group.key(i.buf, key)
	return i.Iterator.SeekLT(i.buf)
}
