// Package state keeps the replicated state of all groups of a node in one Pebble without a
// write-ahead log: the Raft log is the log. Each key is prefixed by its group (2 bytes, big
// endian), and every batch carries the group's applied index, so that what survives a crash is
// always the state after some exact log position, from which Raft replays.
//
// It knows neither Raft nor the meaning of any key above cluster.Reserved.
package state

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/pebblelog"
)

// Config says where and how the state database works. FS and Logger may be nil: the operating
// system's files, and no log.
type Config struct {
	FS         vfs.FS
	Logger     *slog.Logger
	CacheBytes int64 // block cache; 0 means 64 MiB
}

// ErrDamaged says that the state database of this node cannot be read. Its text tells the operator
// what to do.
var ErrDamaged = errors.New("the state database is damaged: stop this node and run \"rookery node rebuild --group all\", " +
	"which drops this node's replicas and fetches them again from the other nodes")

// importPrefix begins the names of the directories in which an import builds its tables.
const importPrefix = "import-"

// memTable is what is held in memory before it is flushed, in bytes. A larger one has more keys to pass at each
// look-up and insertion, most of them in no processor cache; a smaller one is flushed and compacted more often.
const memTable = 16 << 20

// separateAbove is the size in bytes from which values live in blob files, so that compactions
// move keys and not message bodies.
const separateAbove = 1 << 10

// DB is the state database of a node. It is safe for concurrent use.
type DB struct {
	db    *pebble.DB
	fs    vfs.FS
	dir   string
	flush flusher

	mu     sync.Mutex
	groups map[cluster.GroupID]*Group // guarded by mu
}

// Open opens or creates the database in dir.
func Open(dir string, c Config) (*DB, error) {
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 64 << 20
	}
	if err := removeImports(c.FS, dir); err != nil {
		return nil, fmt.Errorf("open state database %s: %w", dir, err)
	}
	cache := pebble.NewCache(c.CacheBytes)
	defer cache.Unref()
	db, err := pebble.Open(dir, options(c, cache))
	if pebble.IsCorruptionError(err) || errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open state database %s: %w: %w", dir, ErrDamaged, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open state database %s: %w", dir, err)
	}
	d := &DB{db: db, fs: c.FS, dir: dir, groups: make(map[cluster.GroupID]*Group)}
	d.flush.init(db.Flush)
	return d, nil
}

func options(c Config, cache *pebble.Cache) *pebble.Options {
	logger := pebblelog.New(c.Logger, "state")
	o := &pebble.Options{
		FS:                          c.FS,
		Logger:                      logger,
		EventListener:               logger.Listener(),
		Cache:                       cache,
		DisableWAL:                  true,
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                memTable,
		MemTableStopWritesThreshold: 8,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       64,
		LBaseMaxBytes:               64 << 20,
	}
	for i := range o.Levels {
		// Nearly each command looks for a key that is not there: it was not delivered before.
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled:               true,
			MinimumSize:           separateAbove,
			MaxBlobReferenceDepth: 10,
			RewriteMinimumAge:     5 * time.Minute,
			TargetGarbageRatio:    0.3,
		}
	}
	return o
}

// removeImports deletes what an import left behind that a crash interrupted.
func removeImports(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return nil // not there yet: nothing was left behind
	}
	for _, name := range names {
		if !strings.HasPrefix(name, importPrefix) {
			continue
		}
		if err := fs.RemoveAll(fs.PathJoin(dir, name)); err != nil {
			return fmt.Errorf("remove unfinished import %s: %w", name, err)
		}
	}
	return nil
}

// Flush makes everything applied so far durable. Callers that come while a flush runs share the
// next one, since one flush serves all groups.
func (d *DB) Flush() error {
	if err := d.flush.run(); err != nil {
		return fmt.Errorf("flush state: %w", err)
	}
	return nil
}

// Close flushes and closes the database. Every snapshot, batch and export must be closed before.
func (d *DB) Close() error {
	if err := d.Flush(); err != nil {
		return err
	}
	if err := d.db.Close(); err != nil {
		return fmt.Errorf("close state database: %w", err)
	}
	return nil
}

// Metrics are Pebble's own.
func (d *DB) Metrics() *pebble.Metrics { return d.db.Metrics() }

// Group returns the part of the database that belongs to group g, always the same one.
func (d *DB) Group(g cluster.GroupID) *Group {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.groups[g] == nil {
		d.groups[g] = newGroup(d, g)
	}
	return d.groups[g]
}
