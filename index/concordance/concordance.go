// Package concordance keeps, for mailboxes that are searched, which messages may hold a text (index/search/trigram), so
// that SEARCH opens those alone. It has a Pebble of its own on each node, without a write-ahead log and outside
// the replicated state: all of it can be made again from the mailboxes, and is whenever it cannot be trusted. It decides
// no SEARCH, and no message waits for it: a mailbox is taken in after its first search, by one goroutine that rests as
// long as it works, and what is not in it yet is searched without it.
//
// A mailbox is kept in segments of up to 4,096 messages, each written once, whole or not at all. New messages make
// small segments, which are merged like with like; what was expunged leaves a segment when that is written
// anew.
package concordance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/search/trigram"
	"github.com/rookery-mail/rookery/index/uidset"
)

// Mailbox is what is read of a mailbox; index/mailstore says what the methods promise.
type Mailbox interface {
	View(ctx context.Context) (access.View, error)
	Messages(ctx context.Context, uids *uidset.Set, fn func(access.Message) error) error
	Sift(ctx context.Context, uids *uidset.Set, passed func() error, sieve func() func(*access.Message, access.Body) error) error
}

// Config says how an Index works. Open is required.
type Config struct {
	// Open opens a mailbox. index.ErrGone and index.ErrNoAccount say that what is kept of it can go; with other errors
	// it is tried again when something of the account changes or is searched.
	Open func(ctx context.Context, a index.AccountID, m index.MailboxID) (Mailbox, error)
	// Identity is whose mail it is, as the cluster's id: an index of another is thrown away.
	Identity string
	// Full returns why nothing must be written now, as when the disk is full. Nil: never.
	Full   func() error
	Logger *slog.Logger // nil: none
	FS     vfs.FS       // nil: the operating system's

	CacheBytes int64 // block cache; default 8 MiB
	Least      int   // messages from which a mailbox, or what is new in it, is taken in; default 64
	// Every is how often what has changed is looked at; default 5 s.
	Every time.Duration
	// Rest is how long is rested for each second of reading messages; negative is not at all, default 1 s.
	Rest time.Duration
	// Updated hears of each update that Run has done. Nil: nobody.
	Updated func(a index.AccountID, m index.MailboxID, err error)
}

// The defaults of Config.
const (
	defaultCache = 8 << 20
	defaultLeast = 64
	defaultEvery = 5 * time.Second
	defaultRest  = time.Second
)

// Index is the index of a node. Narrow, Touched and Stats are for any goroutine; Run and Update are for one at a time.
type Index struct {
	c   Config
	db  *pebble.DB
	log *slog.Logger

	wake chan struct{} // of capacity one: there is something in queue

	life   sync.RWMutex // held for reading by who reads the database beside Run
	closed bool         // guarded by life

	mu       sync.Mutex // guards what follows
	accounts map[index.AccountID]map[index.MailboxID]*entry
	queue    []place
	dirty    map[index.AccountID]struct{} // changed since they were last looked at
	counts   Stats
}

// place names a mailbox.
type place struct {
	account index.AccountID
	mailbox index.MailboxID
}

// entry is a mailbox that was searched.
type entry struct {
	trusted bool // its segments were held against the mailbox since Open
	damaged bool // its segments cannot be read
	queued  bool

	// Of the mailbox when it was brought up to date; uidNext is 0 where it was not.
	uidNext  index.UID
	messages int
}

// Stats are figures of an Index since it was opened, but Bytes and Mailboxes, which are of now.
type Stats struct {
	Bytes     uint64 // on disk
	Mailboxes int    // that are kept
	Searches  uint64 // that were narrowed
	Opened    uint64 // messages that those left to be opened
	Spared    uint64 // messages that those did not
	Messages  uint64 // that were taken in
	Discarded uint64 // mailboxes whose index was thrown away since it could not be trusted
}

// Open opens or makes the index in dir. One that is damaged, or of another version or identity, is made anew.
func Open(dir string, c Config) (*Index, error) {
	c.defaults()
	x := &Index{c: c, log: c.Logger, wake: make(chan struct{}, 1),
		accounts: make(map[index.AccountID]map[index.MailboxID]*entry), dirty: make(map[index.AccountID]struct{})}
	err := x.open(dir)
	if pebble.IsCorruptionError(err) || errors.Is(err, trigram.ErrFormat) || errors.Is(err, os.ErrNotExist) {
		x.log.Warn("the search index is made anew", "dir", dir, "reason", err)
		if err = c.FS.RemoveAll(dir); err == nil {
			err = x.open(dir)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open search index %s: %w", dir, err)
	}
	return x, nil
}

func (c *Config) defaults() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Full == nil {
		c.Full = func() error { return nil }
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = defaultCache
	}
	if c.Least == 0 {
		c.Least = defaultLeast
	}
	if c.Every == 0 {
		c.Every = defaultEvery
	}
	if c.Rest == 0 {
		c.Rest = defaultRest
	}
	if c.Updated == nil {
		c.Updated = func(index.AccountID, index.MailboxID, error) {}
	}
}

// Close closes the index. Run and Update have ended before; Narrow narrows nothing any more.
func (x *Index) Close() error {
	x.life.Lock()
	defer x.life.Unlock()
	if x.closed {
		return nil
	}
	x.closed = true
	err := x.db.Flush()
	if err := errors.Join(err, x.db.Close()); err != nil {
		return fmt.Errorf("close search index: %w", err)
	}
	return nil
}

// Stats returns the figures.
func (x *Index) Stats() Stats {
	x.life.RLock()
	defer x.life.RUnlock()
	bytes := uint64(0)
	if !x.closed {
		bytes = x.db.Metrics().DiskSpaceUsage()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.counts
	s.Bytes = bytes
	for _, boxes := range x.accounts {
		s.Mailboxes += len(boxes)
	}
	return s
}
