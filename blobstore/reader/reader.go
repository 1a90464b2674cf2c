// Package reader reads chunks of bodies out of packs: what it got from the object store it keeps in
// blocks on the disk, bounded in octets, so that a body is fetched seldom, neighbours come together, and
// what is read often is there while the store is not. It checks every chunk that it gives. It knows
// neither messages nor where their bodies lie, and writes nothing to the store.
package reader

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
)

// The defaults of Config.
const (
	DefaultBytes   = 1 << 30
	DefaultTimeout = 10 * time.Second
	DefaultAgain   = time.Minute
	DefaultProbe   = 3 * time.Second
	DefaultGets    = 8
)

// Config is what a Reader is made of.
type Config struct {
	Bucket object.Bucket // required
	// Keys gives the keys that packs are sealed under. Nil: none is there.
	Keys pack.Keys
	// Dir is where blocks are kept. It is made where missing, and nothing else is in it. Empty, or where it
	// cannot be used: a few blocks are kept in memory.
	Dir   string
	Bytes int64 // of blocks in Dir, at most; default 1 GiB
	// Timeout is how long a Chunk may wait, which asks again where the store fails at once, and a little more than a GET may take; default 10 s.
	Timeout time.Duration
	// Again is how much later a block has to be read once more to count as one that is read often, which
	// those that are read once do not push out; default one minute. It is longer than a scan stays in a block.
	Again time.Duration
	// Probe is how long a store that failed is left alone between two attempts; default 3 s.
	Probe  time.Duration
	Gets   int              // how many GETs go on at a time; default 8
	Clock  func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: none
}

func (c *Config) defaults() {
	c.Bytes = cmp.Or(c.Bytes, DefaultBytes)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.Again = cmp.Or(c.Again, DefaultAgain)
	c.Probe = cmp.Or(c.Probe, DefaultProbe)
	c.Gets = cmp.Or(c.Gets, DefaultGets)
	if c.Keys == nil {
		c.Keys = func(blobstore.KeyID) (pack.ClusterKey, error) { return pack.ClusterKey{}, blobstore.ErrNoKey }
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Reader reads out of the packs of one bucket. It is for any number of goroutines.
type Reader struct {
	c       Config
	shelf   *shelf
	keys    *keyring
	breaker breaker
	counts  counters

	ctx     context.Context // of what goes on beyond a call
	end     context.CancelFunc
	working sync.WaitGroup
	turns   chan struct{} // one for each GET at a time

	mu      sync.Mutex
	flights map[block]*flight // guarded by mu
	waiting int               // guarded by mu: GETs that were asked for and are not over
}

// New returns a Reader, which finds the blocks again that an earlier one kept in c.Dir. It goes on until
// ctx ends or Close.
func New(ctx context.Context, c Config) *Reader {
	c.defaults()
	r := &Reader{c: c, shelf: newShelf(&c), keys: newKeyring(c.Keys), turns: make(chan struct{}, c.Gets)}
	r.flights = make(map[block]*flight)
	r.ctx, r.end = context.WithCancel(ctx)
	return r
}

// Close ends what goes on and waits for it. Calls that wait for the store get blobstore.ErrUnavailable.
func (r *Reader) Close() {
	r.end()
	r.mu.Lock() // whoever starts something holds mu and has looked at ctx
	r.mu.Unlock()
	r.working.Wait()
}

// Chunk returns the frame of a chunk, which is the caller's. Its errors are blobstore.ErrUnavailable,
// blobstore.ErrDamaged, blobstore.ErrNoKey and those of ctx. What does not have its checksum is read once
// more from the store, then reported.
func (r *Reader) Chunk(ctx context.Context, ref blobstore.Ref) ([]byte, error) {
	if ref.Pack == nil || ref.Offset < 0 || ref.Length <= 0 || ref.Length > pack.MaxChunk+maxOverhead {
		return nil, fmt.Errorf("chunk of %d octets at %d: %w", ref.Length, ref.Offset, blobstore.ErrDamaged)
	}
	key, err := r.keys.of(ref.Pack)
	if err != nil {
		return nil, fmt.Errorf("key of pack %v: %w", ref.Pack.ID, err)
	}
	frame, err := r.open(ctx, ref, key)
	if err == nil || !errors.Is(err, blobstore.ErrDamaged) {
		return frame, err
	}
	r.counts.damaged.Add(1)
	r.c.Logger.Warn("a chunk of a pack is damaged, it is read once more", "pack", ref.Pack.ID.String(), "group", ref.Pack.Group,
		"offset", ref.Offset, "length", ref.Length, "error", err.Error())
	r.forget(ref)
	if frame, err = r.open(ctx, ref, key); err == nil || !errors.Is(err, blobstore.ErrDamaged) {
		return frame, err
	}
	r.forget(ref)
	return nil, r.lost(ctx, ref, err)
}

// maxOverhead is the most that a chunk is longer in a pack than its frame, in octets.
const maxOverhead = 64

// open gives the frame of a chunk.
func (r *Reader) open(ctx context.Context, ref blobstore.Ref, key *pack.Key) ([]byte, error) {
	octets, err := r.octets(ctx, ref)
	if err != nil {
		return nil, err
	}
	return pack.Open(octets, ref, key)
}

// lost reports a chunk that the store gave damaged twice. An answer that was cut short is no damage where
// the object is long enough.
func (r *Reader) lost(ctx context.Context, ref blobstore.Ref, err error) error {
	if errors.Is(err, errShort) {
		ctx, cancel := context.WithTimeout(ctx, r.c.Timeout)
		defer cancel()
		info, statErr := r.c.Bucket.Stat(ctx, ref.Pack.Object())
		r.counts.stats.Add(1)
		if statErr != nil && !errors.Is(statErr, object.ErrNotFound) || statErr == nil && info.Size >= ref.Offset+int64(ref.Length) {
			return fmt.Errorf("read %s: answers are cut short: %w", ref.Pack.Object(), blobstore.ErrUnavailable)
		}
	}
	r.counts.lost.Add(1)
	r.c.Logger.Error("a chunk of a pack is damaged in the object store", "pack", ref.Pack.ID.String(), "group", ref.Pack.Group,
		"object", ref.Pack.Object(), "offset", ref.Offset, "length", ref.Length, "error", err.Error())
	return err
}

// octets reads the octets of a chunk as they lie in the pack.
func (r *Reader) octets(ctx context.Context, ref blobstore.Ref) ([]byte, error) {
	octets := make([]byte, ref.Length)
	blocks := spanOf(ref)
	hit := true
	for b := range blocks.all() {
		if to, from := b.part(ref, octets); !r.shelf.read(b, to, from) {
			hit = false
			break
		}
	}
	if hit {
		r.counts.hits.Add(1)
		return octets, nil
	}
	r.counts.misses.Add(1)
	ctx, cancel := context.WithTimeoutCause(ctx, r.c.Timeout, errSlow)
	defer cancel()
	var failed error
	for n := range attempts {
		again, err := r.fetch(ctx, ref, octets)
		if !again {
			return octets, err
		}
		if failed = err; err != nil && !r.pause(ctx, firstPause<<n) {
			break
		}
	}
	if failed == nil {
		failed = fmt.Errorf("read %s: blocks vanish again and again: %w", ref.Pack.Object(), blobstore.ErrUnavailable)
	}
	return nil, failed
}

// How often a Chunk asks for its blocks, and how long it waits after an answer that the store gave none.
const (
	attempts   = 4
	firstPause = 50 * time.Millisecond
)

// pause waits, and reports whether asking again makes sense then.
func (r *Reader) pause(ctx context.Context, d time.Duration) bool {
	if r.breaker.allows() != nil {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-r.ctx.Done():
	}
	return false
}

// fetch fills octets from blocks that are there or on their way. Again says that it may go better another time:
// a block was there and vanished, which is no error, or the store failed.
func (r *Reader) fetch(ctx context.Context, ref blobstore.Ref, octets []byte) (again bool, err error) {
	blocks := spanOf(ref)
	flights, err := r.launch([]span{blocks}, true)
	if err != nil {
		return false, err
	}
	for b := range blocks.all() {
		to, from := b.part(ref, octets)
		f := flights[b]
		if f == nil {
			if !r.shelf.read(b, to, from) {
				return true, nil
			}
			continue
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return false, r.ended(ctx, ref)
		}
		if f.err != nil {
			return errors.Is(f.err, blobstore.ErrUnavailable), f.err
		}
		if from+len(to) > len(f.octets) {
			return false, fmt.Errorf("%s ends before octet %d: %w", ref.Pack.Object(), ref.Offset+int64(ref.Length), errShort)
		}
		copy(to, f.octets[from:])
	}
	return false, nil
}

// ended is the error of a Chunk that does not wait any longer.
func (r *Reader) ended(ctx context.Context, ref blobstore.Ref) error {
	if err := context.Cause(ctx); !errors.Is(err, errSlow) {
		return fmt.Errorf("read %s: %w", ref.Pack.Object(), err)
	}
	return fmt.Errorf("read %s: %w", ref.Pack.Object(), errSlow)
}

// errSlow says that the store took longer than Config.Timeout.
var errSlow = fmt.Errorf("no answer in time: %w", blobstore.ErrUnavailable)

// errShort says that an answer, or an object, ends before what was asked for.
var errShort = fmt.Errorf("cut short: %w", blobstore.ErrDamaged)

// Ahead begins to fetch what will be read soon, in the order of its place, and returns at once. It is a
// hint: what is more than the cache can take is left out, and errors show when the chunks are read.
func (r *Reader) Ahead(refs []blobstore.Ref) {
	left := min(aheadBytes, r.shelf.capacity()/4)
	spans := spansOf(refs)
	for i := range spans {
		s := &spans[i]
		s.last = min(s.last, s.first+left/blockSize-1)
		if s.last < s.first {
			spans = spans[:i]
			break
		}
		left -= s.octets()
	}
	if len(spans) > 0 {
		_, _ = r.launch(spans, false) // a store that is down shows when the chunks are read
	}
}

// aheadBytes is the most that one Ahead fetches, in octets.
const aheadBytes = 16 << 20

// forget drops the blocks of a chunk.
func (r *Reader) forget(ref blobstore.Ref) {
	for b := range spanOf(ref).all() {
		r.shelf.drop(b)
	}
}
