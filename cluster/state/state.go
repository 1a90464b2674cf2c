// Package state keeps the replicated state of all groups of a node in one Pebble without a
// write-ahead log: the Raft log is the log. Each key is prefixed by its group (2 bytes, big
// endian), and every batch carries the group's applied index, so that what survives a crash is
// always the state after some exact log position, from which Raft replays.
//
// It knows neither Raft nor the meaning of any key above cluster.Reserved.
package state

import (
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
)

// Config says where and how the state database works. FS and Logger may be nil: the operating
// system's files, and no log.
type Config struct {
	FS         vfs.FS
	Logger     *slog.Logger
	CacheBytes int64 // block cache; 0 means 64 MiB
}

// DB is the state database of a node. It is safe for concurrent use.
type DB struct {
	db  *pebble.DB
	fs  vfs.FS
	dir string
	log *slog.Logger
}

// Group is the part of the database that belongs to one group.
type Group struct {
	db *DB
	id cluster.GroupID
}

// Open opens or creates the database in dir.
func Open(dir string, c Config) (*DB, error) { panic("not written yet") }

// Close flushes and closes the database.
func (d *DB) Close() error { panic("not written yet") }

// Group returns the part of the database that belongs to group g.
func (d *DB) Group(g cluster.GroupID) *Group { return &Group{db: d, id: g} }
