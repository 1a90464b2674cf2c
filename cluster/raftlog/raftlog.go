// Package raftlog keeps the Raft logs, the stable values (term, vote) and the snapshot records of
// all groups of a node in one synced Pebble, so that concurrent commits of the groups share fsyncs.
//
// It does not decide when a log is truncated; it counts the bytes held so that cluster/group can.
package raftlog

import (
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
)

// Config says where and how the log database works. FS and Logger may be nil: the operating
// system's files, and no log.
type Config struct {
	FS           vfs.FS
	Logger       *slog.Logger
	ReserveBytes uint64 // below this much free space proposals are refused; 0 means 64 MiB
}

// DB holds the logs of all groups of a node. It is safe for concurrent use.
type DB struct {
	db *pebble.DB
}

// Log is the log of one group: a raft.LogStore, a raft.StableStore and its snapshot record.
type Log struct {
	db *DB
	id cluster.GroupID
}

// Open opens or creates the database in dir.
func Open(dir string, c Config) (*DB, error) { panic("not written yet") }

// Close closes the database.
func (d *DB) Close() error { panic("not written yet") }

// Group opens the log of group g.
func (d *DB) Group(g cluster.GroupID) (*Log, error) { panic("not written yet") }
