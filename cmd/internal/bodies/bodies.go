// Package bodies joins what one node does for bodies in object storage: it follows the cluster's setting,
// opens the store that it names, gives the mail store its reader, and packs and collects for the
// partitions that this node leads. What goes into a pack, what is dead, and which blocks are worth
// keeping is decided elsewhere: blobstore/packer, blobstore/gc, blobstore/reader.
package bodies

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cluster/directory"
)

// Config is what a Service works with. All but Again are required.
type Config struct {
	Node    string // this node
	Cluster string // the cluster's id, which its objects are marked with
	// CacheDir is for blocks of packs that were read, up to CacheBytes of them. Nothing else is in it.
	CacheDir   string
	CacheBytes int64
	// SpoolDir is for packs that are being made. Nothing else is in it.
	SpoolDir string
	// View reads this node's copy of the directory.
	View func(func(directory.View) error) error
	// Watch gives a channel that receives after changes of the directory, until stop is called.
	Watch func() (changed <-chan struct{}, stop func())
	// Open opens the store of a setting, and asks it nothing.
	Open func(setting.Setting) (object.Bucket, error)
	// Again is how long a store that could not be opened, or that failed, is left alone. 0 is 10 seconds.
	Again  time.Duration
	Logger *slog.Logger
}

// Service is object storage on one node. Run has to go on for it to do anything.
type Service struct {
	c     Config
	began time.Time

	mu      sync.Mutex // guards what follows
	station *station   // nil: there is no setting, or it is just changing
	changed chan struct{}
	leads   map[uint16]*lead
	before  counts // of stations that were closed
}

// New makes a Service.
func New(c Config) *Service {
	if c.Again == 0 {
		c.Again = defaultAgain
	}
	return &Service{c: c, began: time.Now(), changed: make(chan struct{}), leads: map[uint16]*lead{}}
}

// errNoStore is what a packed body gives while no store is known.
var errNoStore = fmt.Errorf("%w: this node does not know of one", blobstore.ErrUnavailable)

// Chunk reads a chunk of a packed body; see reader.Reader.
func (s *Service) Chunk(ctx context.Context, ref blobstore.Ref) ([]byte, error) {
	st := s.borrow()
	if st == nil {
		return nil, errNoStore
	}
	defer st.users.Done()
	return st.reader.Chunk(ctx, ref)
}

// Ahead says what will be read soon; see reader.Reader.
func (s *Service) Ahead(refs []blobstore.Ref) {
	if st := s.borrow(); st != nil {
		defer st.users.Done()
		st.reader.Ahead(refs)
	}
}

// borrow gives the station of this moment, or nil. It is not closed before users is told that the caller
// is done.
func (s *Service) borrow() *station {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.station != nil {
		s.station.users.Add(1)
	}
	return s.station
}

// await is borrow once there is a station; nil when ctx has ended.
func (s *Service) await(ctx context.Context) *station {
	for ctx.Err() == nil {
		s.mu.Lock()
		st, changed := s.station, s.changed
		if st != nil {
			st.users.Add(1)
		}
		s.mu.Unlock()
		if st != nil {
			return st
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil
}

// replace closes the station of before, if there is one, and then opens the next, if there is one: they
// share their folders.
func (s *Service) replace(ctx context.Context, next *setting.Setting) {
	s.mu.Lock()
	old := s.station
	s.station = nil
	s.mu.Unlock()
	if old != nil {
		old.close()
		s.mu.Lock()
		s.before = s.before.plus(old.counts())
		s.mu.Unlock()
	}
	if next == nil {
		return
	}
	st := s.open(ctx, *next)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.station = st
	close(s.changed)
	s.changed = make(chan struct{})
}
