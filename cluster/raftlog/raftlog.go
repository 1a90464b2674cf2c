// Package raftlog keeps the Raft logs, the stable values (term, vote) and the snapshot records of
// all groups of a node in one synced Pebble, so that concurrent commits of the groups share fsyncs
// through Pebble's commit pipeline.
//
// It does not decide when a log is truncated; it counts the bytes held so that cluster/group can.
// It never opens a log with a hole: see CorruptError.
package raftlog

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	dto "github.com/prometheus/client_model/go"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/pebblelog"
)

// Config says where and how the log database works. Zero values mean the defaults.
type Config struct {
	FS     vfs.FS       // nil means the operating system's files
	Logger *slog.Logger // nil means no log
	// ReserveBytes is the free space below which Full refuses proposals; below half of it entries
	// are refused too. The room left is what both databases need to flush what they hold in memory
	// (up to 64 MiB at a time) and to recover: a failed write of theirs would stop the process. Default 256 MiB.
	ReserveBytes uint64
	// SpaceEvery is how long a look at the free space is good for. Default 100 ms.
	SpaceEvery time.Duration
	// CacheBytes bounds the newest entries of each group that are kept in memory. Default 4 MiB.
	CacheBytes int64
}

func (c *Config) setDefaults() {
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.ReserveBytes == 0 {
		c.ReserveBytes = 256 << 20
	}
	if c.SpaceEvery == 0 {
		c.SpaceEvery = 100 * time.Millisecond
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 4 << 20
	}
}

// separateAbove is the size in bytes from which entries live in blob files, so that opening a log
// walks its keys without reading its entries, and compactions do not move them.
const separateAbove = 1 << 10

// DB holds the logs of all groups of a node. It is safe for concurrent use.
type DB struct {
	db     *pebble.DB
	cfg    Config
	space  space
	gather *gather

	mu   sync.Mutex
	logs map[cluster.GroupID]*Log // guarded by mu
}

// Open opens or creates the database in dir. Damage that is not one group's alone is a
// *CorruptError with All set.
func Open(dir string, c Config) (*DB, error) {
	c.setDefaults()
	g := &gather{clock: time.Now}
	db, err := pebble.Open(dir, options(c, g))
	if pebble.IsCorruptionError(err) || errors.Is(err, os.ErrNotExist) {
		return nil, &CorruptError{All: true, What: "the log database cannot be read", Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("open log database %s: %w", dir, full(err))
	}
	return &DB{
		db: db, cfg: c, gather: g, logs: make(map[cluster.GroupID]*Log),
		space: space{fs: c.FS, dir: dir, reserve: c.ReserveBytes, every: c.SpaceEvery},
	}, nil
}

func options(c Config, g *gather) *pebble.Options {
	logger := pebblelog.New(c.Logger, "log")
	o := &pebble.Options{
		FS:                          c.FS,
		Logger:                      logger,
		EventListener:               logger.Listener(),
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                64 << 20,
		MemTableStopWritesThreshold: 4,
		L0StopWritesThreshold:       64,
		LBaseMaxBytes:               64 << 20,
		WALMinSyncInterval:          g.next,
	}
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled:               true,
			MinimumSize:           separateAbove,
			MaxBlobReferenceDepth: 10,
			RewriteMinimumAge:     5 * time.Minute,
			TargetGarbageRatio:    1, // the log is deleted in the order it was written
		}
	}
	return o
}

// Full returns cluster.ErrStorageFull while the disk has less room than the reserve.
func (d *DB) Full() error { return d.space.check(d.cfg.ReserveBytes) }

// Group opens the log of group g, always the same one. A hole in it is a *CorruptError.
func (d *DB) Group(g cluster.GroupID) (*Log, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.logs[g]; l != nil {
		return l, nil
	}
	l := newLog(d, g)
	if err := l.load(); err != nil {
		return nil, err
	}
	d.logs[g] = l
	return l, nil
}

// Drop removes everything of group g, durably. No replica of it may run.
func (d *DB) Drop(g cluster.GroupID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	lower, upper := groupBounds(g)
	if err := d.db.DeleteRange(lower, upper, pebble.Sync); err != nil {
		return fmt.Errorf("drop log of %v: %w", g, full(err))
	}
	delete(d.logs, g)
	return nil
}

// Fsyncs returns how often the log was synced since Open.
func (d *DB) Fsyncs() (uint64, error) {
	h := d.db.Metrics().LogWriter.FsyncLatency
	if h == nil {
		return 0, errors.New("no fsync metric")
	}
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		return 0, fmt.Errorf("read fsync metric: %w", err)
	}
	return m.GetHistogram().GetSampleCount(), nil
}

// Metrics are Pebble's own.
func (d *DB) Metrics() *pebble.Metrics { return d.db.Metrics() }

// Close closes the database. No replica may run.
func (d *DB) Close() error {
	if err := d.db.Close(); err != nil {
		return fmt.Errorf("close log database: %w", err)
	}
	return nil
}
