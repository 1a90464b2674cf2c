package state

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// Batch is a kv.Batch of one group. It belongs to one goroutine. An iterator shows the writes that
// came before its Scan.
type Batch struct {
	group *Group
	b     *pebble.Batch
}

var _ kv.Batch = (*Batch)(nil)

// NewBatch begins a batch. The caller ends it with Close, after Commit or without.
func (g *Group) NewBatch() *Batch {
	return &Batch{group: g, b: g.db.db.NewIndexedBatch()}
}

// Get implements kv.Reader.
func (b *Batch) Get(key []byte) ([]byte, bool, error) { return get(b.b, b.group, key) }

// Scan implements kv.Reader.
func (b *Batch) Scan(lower, upper []byte) (kv.Iterator, error) {
	return scan(b.b, b.group, lower, upper)
}

// Set implements kv.Writer.
func (b *Batch) Set(key, value []byte) error {
	op := b.b.SetDeferred(prefixSize+len(key), len(value))
	copy(op.Key, b.group.prefix[:])
	copy(op.Key[prefixSize:], key)
	copy(op.Value, value)
	return op.Finish()
}

// Delete implements kv.Writer.
func (b *Batch) Delete(key []byte) error {
	op := b.b.DeleteDeferred(prefixSize + len(key))
	copy(op.Key, b.group.prefix[:])
	copy(op.Key[prefixSize:], key)
	return op.Finish()
}

// DeleteRange implements kv.Writer. As in Scan, an empty upper is the end of the group's keys.
func (b *Batch) DeleteRange(lower, upper []byte) error {
	lo, hi := b.group.bounds(lower, upper)
	return b.b.DeleteRange(lo, hi, nil)
}

// Commit makes the batch visible together with the applied index it leads to. It is durable after
// the next DB.Flush.
func (b *Batch) Commit(applied cluster.LogIndex) error {
	if err := b.Set([]byte{appliedKey}, binary.BigEndian.AppendUint64(nil, uint64(applied))); err != nil {
		return fmt.Errorf("commit batch of %v at %d: %w", b.group.id, applied, err)
	}
	if err := b.b.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("commit batch of %v at %d: %w", b.group.id, applied, err)
	}
	return nil
}

// Close releases the batch.
func (b *Batch) Close() error { return b.b.Close() }
