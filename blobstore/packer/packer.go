// Package packer moves the bodies of a partition into object storage, and home again: staged bodies are
// spooled into a pack, the pack is put into the store, read back and compared, and only then the log is told,
// which drops the staged copies. What a pack's bytes are is blobstore/pack's, which bodies are staged is
// the partition's to say, and what is dead is blobstore/gc's. Nothing of a mail's way in or out waits for
// this package: while the store does not answer, bodies stay staged.
package packer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/blobstore/shelf"
)

// Partition is what the packer asks of a partition, on the node that leads it.
type Partition interface {
	// Group is the partition's number.
	Group() uint16
	// Status tells the mode and what is staged.
	Status(ctx context.Context) (blobstore.Backlog, error)
	// ListUsers notes the users of a bounded number of bodies (blobstore.Listing), and says whether
	// there are more.
	ListUsers(ctx context.Context) (more bool, err error)
	// Arrive ends blobstore.Homing when no body is in a pack, and does nothing else.
	Arrive(ctx context.Context) error

	// Pick gives staged bodies, the oldest, of about so many octets and at most so many bodies, ordered by
	// account, mailbox and UID. Lengths are those of frames, offsets are 0.
	Pick(ctx context.Context, bytes int64, bodies int) (*blobstore.Manifest, error)
	// Describe gives those of the bodies that lie in the pack of that number, or are staged (0).
	Describe(ctx context.Context, pack uint64, ids []uint64) (*blobstore.Manifest, error)
	// Frame gives a chunk of a staged body.
	Frame(ctx context.Context, body uint64, chunk uint32) ([]byte, error)

	// Packs tells of all packs.
	Packs(ctx context.Context) ([]blobstore.PackInfo, error)
	// Begin notes that a pack's object is about to be made.
	Begin(ctx context.Context, p blobstore.Pack) (number uint64, err error)
	// Packed says that bodies lie in a pack, by offset, from one call for a pack to the next. Those that are
	// not in the pack from (0: staged) any more count as dead. whole: these were the last, the object
	// has size octets.
	Packed(ctx context.Context, number uint64, entries []blobstore.Entry, from uint64, whole bool, size uint64) error
	// Abandon ends a pack that stayed open.
	Abandon(ctx context.Context, number uint64) error
	// Unpack brings chunks of a packed body back into the state, in order, from its first.
	Unpack(ctx context.Context, pack uint64, body uint64, first uint32, frames [][]byte) error
}

// Keys gives the keys of the cluster.
type Keys interface {
	// CurrentKey is the key for new packs; its ID is zero where they are not encrypted.
	CurrentKey() (pack.ClusterKey, error)
	// ClusterKey is the key of an id, or blobstore.ErrNoKey.
	ClusterKey(id blobstore.KeyID) (pack.ClusterKey, error)
}

// Config is what a Packer works with.
type Config struct {
	Bucket  object.Bucket
	Keys    Keys
	Cluster string // the cluster's id, for manifests
	Dir     string // for spool files; emptied at the start
	// Target is the octets of frames in a pack. 0 is 32 MiB.
	Target int64
	// Age is how long a body is staged at most while the store answers. 0 is 24 hours.
	Age time.Duration
	// Poll is the time between two looks at a partition. 0 is 10 s.
	Poll time.Duration
	// Timeout bounds one request to the store for a whole pack. 0 is 5 minutes.
	Timeout time.Duration
	// OpenFor is how long a pack that cannot be finished is left open, since an earlier leader may be
	// putting its object. 0 is one hour; less than twice Timeout becomes that.
	OpenFor time.Duration
	Now     func() time.Time
	Logger  *slog.Logger
}

// Packer packs for all partitions that a node leads, at most two packs at once.
type Packer struct {
	Config
	slots chan struct{}
	paced chan struct{} // as slots, of packs that nobody waits for: held while rested too
	store *gate
	shelf shelf.Shelf

	mu      sync.Mutex // guards what follows
	workers []*Worker
}

// maxBodies is how many bodies go into a pack at most: their manifest is in memory.
const maxBodies = 16384

// atOnce is how many packs a node makes at once.
const atOnce = 2

// spoolName is the pattern of spool files.
const spoolName = "*.spool"

// New returns a Packer. It deletes the spool files that a crash left in c.Dir, which it makes.
func New(c Config) (*Packer, error) {
	c = c.withDefaults()
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of packs: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(c.Dir, spoolName))
	if err != nil {
		return nil, fmt.Errorf("look for spooled packs: %w", err)
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil {
			return nil, fmt.Errorf("delete a spooled pack: %w", err)
		}
	}
	return &Packer{
		Config: c, slots: make(chan struct{}, atOnce), paced: make(chan struct{}, atOnce), store: &gate{now: c.Now},
		shelf: shelf.Shelf{Bucket: c.Bucket, Keys: c.Keys.ClusterKey, Timeout: c.Timeout},
	}, nil
}

func (c Config) withDefaults() Config {
	if c.Target == 0 {
		c.Target = 32 << 20
	}
	if c.Age == 0 {
		c.Age = 24 * time.Hour
	}
	if c.Poll == 0 {
		c.Poll = 10 * time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Minute
	}
	if c.OpenFor == 0 {
		c.OpenFor = time.Hour
	}
	c.OpenFor = max(c.OpenFor, 2*c.Timeout)
	return c
}

// Worker returns the packer of one partition. It is listed by Status while it runs.
func (p *Packer) Worker(part Partition) *Worker {
	return &Worker{
		p: p, part: part, flushes: make(chan *flush), ended: make(chan struct{}), turn: make(chan struct{}, 1),
		stuck: map[uint64]time.Time{}, making: map[blobstore.PackID]bool{}, speed: meter{now: p.Now},
	}
}

// Flush packs all that is staged in the partitions that run here, and returns when it is packed, when
// one could not, or with ctx.
func (p *Packer) Flush(ctx context.Context) error {
	var wg sync.WaitGroup
	workers := p.running()
	errs := make([]error, len(workers))
	for i, w := range workers {
		wg.Go(func() { errs[i] = w.Flush(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Status tells of the partitions that run here, by number.
func (p *Packer) Status() []Status {
	workers := p.running()
	out := make([]Status, len(workers))
	for i, w := range workers {
		out[i] = w.Status()
	}
	slices.SortFunc(out, func(a, b Status) int { return int(a.Group) - int(b.Group) })
	return out
}

func (p *Packer) running() []*Worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.workers)
}

func (p *Packer) enlist(w *Worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.workers = append(p.workers, w)
}

func (p *Packer) dismiss(w *Worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.workers = slices.DeleteFunc(p.workers, func(o *Worker) bool { return o == w })
}

// rests is how long is rested behind a pack that nobody waits for, in terms of the time that it took: mail comes in
// meanwhile as if there were no packs, and what is staged can wait.
const rests = 3

// longestRest bounds that: a pack may have waited for a store that did not answer.
const longestRest = 10 * time.Second

// pacedSlot is slot for a pack that nobody waits for. Who gives it back rests: other such packs wait.
func (p *Packer) pacedSlot(ctx context.Context) (back func(), err error) {
	select {
	case p.paced <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	release := func() { <-p.paced }
	slot, err := p.slot(ctx)
	if err != nil {
		release()
		return nil, err
	}
	began := p.Now()
	return func() {
		slot()
		time.AfterFunc(min(rests*p.Now().Sub(began), longestRest), release)
	}, nil
}

// slot waits for the right to make a pack. The caller gives it back.
func (p *Packer) slot(ctx context.Context) (back func(), err error) {
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// newPack gives the words of a pack that does not exist yet, and its key.
func (p *Packer) newPack(group uint16) (blobstore.Pack, *pack.Key, error) {
	out := blobstore.Pack{Group: group}
	rand.Read(out.ID[:]) // never fails
	current, err := p.Keys.CurrentKey()
	if err != nil {
		return out, nil, fmt.Errorf("key for a pack: %w", err)
	}
	if current.ID == (blobstore.KeyID{}) {
		return out, nil, nil
	}
	var key pack.Key
	rand.Read(key[:])
	out.Key, out.SealedKey = current.ID, pack.Seal(current, out.ID, key)
	return out, &key, nil
}
