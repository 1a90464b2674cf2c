package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Set implements raft.StableStore, durably.
func (l *Log) Set(name, value []byte) error {
	if err := l.db.db.Set(key(l.id, stableKind, name...), value, pebble.Sync); err != nil {
		return fmt.Errorf("store %s of %v: %w", name, l.id, full(err))
	}
	return nil
}

// Get implements raft.StableStore; a value that was never set is nil.
func (l *Log) Get(name []byte) ([]byte, error) {
	value, closer, err := l.db.db.Get(key(l.id, stableKind, name...))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of %v: %w", name, l.id, err)
	}
	defer closer.Close()
	return bytes.Clone(value), nil
}

// SetUint64 implements raft.StableStore, durably.
func (l *Log) SetUint64(name []byte, value uint64) error {
	return l.Set(name, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 implements raft.StableStore; a value that was never set is 0.
func (l *Log) GetUint64(name []byte) (uint64, error) {
	value, err := l.Get(name)
	if err != nil || value == nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("read %s of %v: %d bytes, want 8", name, l.id, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}
