// Package pebblelog carries Pebble's messages to slog. It is not a log format or a policy of its
// own: it says which of them an operator sees, and how a storage engine that must not go on stops.
package pebblelog

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Logger is a pebble.Logger over slog.
type Logger struct{ log *slog.Logger }

var _ pebble.Logger = Logger{}

// New returns a Logger that writes to log, or nowhere if log is nil. database names the database
// in each line.
func New(log *slog.Logger, database string) Logger {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return Logger{log.With("database", database)}
}

// Infof is for developers of the storage engine, so it is written at debug level.
func (l Logger) Infof(format string, args ...any) {
	l.log.Debug(fmt.Sprintf(format, args...))
}

// Errorf is written as a warning: Pebble tries again by itself.
func (l Logger) Errorf(format string, args ...any) {
	l.log.Warn(fmt.Sprintf(format, args...))
}

// Fatalf is called by Pebble when going on would lose data: a failed write of the write-ahead log
// or the manifest. It panics, since Pebble relies on not coming back; the process restarts from
// what is synced. Invariant: a disk that merely fills up does not lead here (see cluster/raftlog).
func (l Logger) Fatalf(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	l.log.Error("the storage engine cannot go on", "error", msg)
	panic(fmt.Sprintf("storage engine: %s", msg))
}

// Listener returns an event listener that reports background errors, damage and slow disks. Damage
// is an error to whoever reads it; Pebble's own listener would end the process.
func (l Logger) Listener() *pebble.EventListener {
	var failed limit
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if failed.pass(time.Now()) {
				l.log.Warn("background work of the storage engine failed, it is tried again and again", "error", err)
			}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			l.log.Error("a file of the storage engine is damaged", "file", info.Path, "error", info.Details)
		},
		DiskSlow: func(info pebble.DiskSlowInfo) {
			l.log.Warn("the disk is slow", "info", info.String())
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			l.log.Warn("writes wait for the disk", "reason", info.Reason)
		},
	}
}

// quiet is how long a failure that repeats is not said again: Pebble retries without a pause.
const quiet = 10 * time.Second

// limit lets one of a kind pass in each time of quiet.
type limit struct{ last atomic.Int64 }

func (l *limit) pass(now time.Time) bool {
	last := l.last.Load()
	if last != 0 && now.UnixNano()-last < int64(quiet) {
		return false
	}
	return l.last.CompareAndSwap(last, now.UnixNano())
}
