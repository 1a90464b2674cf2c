package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
)

// RetryConfig says how long a store is asked again. Zero fields are the defaults.
type RetryConfig struct {
	Attempts int           // 4: with the first one
	First    time.Duration // 200 ms: the pause after the first failure; each further one doubles it
	Most     time.Duration // 10 s: the longest pause
}

// slowDownFactor is how much longer the pauses are when the store asks to slow down.
const slowDownFactor = 5

// Retry asks a store again after blobstore.ErrUnavailable, and after nothing else. The pauses grow and
// are drawn at random, so that nodes do not come back all at once; they end with the context. A reader
// that breaks off in the middle goes on where it was: an object that others replace with another one must
// not be read through it (packs never are).
type Retry struct {
	bucket Bucket
	config RetryConfig
}

var _ Bucket = (*Retry)(nil)

// NewRetry puts retries around b.
func NewRetry(b Bucket, c RetryConfig) *Retry {
	if c.Attempts == 0 {
		c.Attempts = 4
	}
	if c.First == 0 {
		c.First = 200 * time.Millisecond
	}
	if c.Most == 0 {
		c.Most = 10 * time.Second
	}
	return &Retry{b, c}
}

// attempts counts the tries of one request.
type attempts struct {
	config RetryConfig
	failed int
	pause  time.Duration // before the next one, were it not for chance
}

// again waits after an error and says nil for another try, or gives the error that is to be returned.
func (a *attempts) again(ctx context.Context, err error) error {
	if !errors.Is(err, blobstore.ErrUnavailable) || ctx.Err() != nil {
		return err
	}
	if a.failed++; a.failed >= a.config.Attempts {
		if a.failed > 1 {
			err = fmt.Errorf("%d attempts: %w", a.failed, err)
		}
		return err
	}
	a.pause = min(max(2*a.pause, a.config.First), a.config.Most)
	wait := a.pause
	if errors.Is(err, ErrSlowDown) {
		wait = min(slowDownFactor*wait, a.config.Most)
	}
	if broken := Pause(ctx, wait/2+rand.N(wait/2+1)); broken != nil {
		return fmt.Errorf("%w: %w", broken, err)
	}
	return nil
}

// try calls f until it succeeds, fails for good, or was called often enough.
func (r *Retry) try(ctx context.Context, f func() error) error {
	a := attempts{config: r.config}
	for {
		err := f()
		if err == nil {
			return nil
		}
		if err := a.again(ctx, err); err != nil {
			return err
		}
	}
}

// Put implements Bucket.
func (r *Retry) Put(ctx context.Context, name string, body io.ReadSeeker, size int64) error {
	return r.try(ctx, func() error { return r.bucket.Put(ctx, name, body, size) })
}

// Stat implements Bucket.
func (r *Retry) Stat(ctx context.Context, name string) (info Info, err error) {
	err = r.try(ctx, func() (err error) {
		info, err = r.bucket.Stat(ctx, name)
		return err
	})
	return info, err
}

// Delete implements Bucket.
func (r *Retry) Delete(ctx context.Context, name string) error {
	return r.try(ctx, func() error { return r.bucket.Delete(ctx, name) })
}

// List implements Bucket. When it has to ask again it passes over the names that fn has seen.
func (r *Retry) List(ctx context.Context, prefix string, fn func(Info) error) error {
	var last string
	var stopped error // by fn, whose errors are no reason to ask again
	err := r.try(ctx, func() error {
		err := r.bucket.List(ctx, prefix, func(i Info) error {
			if i.Name <= last {
				return nil
			}
			last, stopped = i.Name, fn(i)
			return stopped
		})
		if stopped != nil {
			return nil
		}
		return err
	})
	return errors.Join(stopped, err)
}

// Get implements Bucket.
func (r *Retry) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	g := &retriedReader{ctx: ctx, retry: r, name: name, offset: offset, left: length, tries: attempts{config: r.config}}
	if err := g.open(); err != nil {
		return nil, err
	}
	return g, nil
}

// retriedReader goes on with a new request where one broke off.
type retriedReader struct {
	ctx    context.Context
	retry  *Retry
	name   string
	offset int64
	left   int64 // -1 is all
	tries  attempts
	body   io.ReadCloser
}

// open asks for what was not read yet.
func (g *retriedReader) open() (err error) {
	for {
		if g.body, err = g.retry.bucket.Get(g.ctx, g.name, g.offset, g.left); err == nil {
			return nil
		}
		if err := g.tries.again(g.ctx, err); err != nil {
			return err
		}
	}
}

// Read implements io.Reader.
func (g *retriedReader) Read(p []byte) (int, error) {
	n, err := g.body.Read(p)
	g.offset += int64(n)
	if g.left > 0 {
		g.left -= int64(n)
	}
	if !errors.Is(err, blobstore.ErrUnavailable) {
		return n, err
	}
	if g.left == 0 {
		return n, io.EOF
	}
	if err := g.tries.again(g.ctx, err); err != nil {
		return n, err
	}
	_ = g.body.Close() // it is broken
	if err := g.open(); err != nil {
		g.body = io.NopCloser(brokenReader{err})
		return n, err
	}
	return n, nil
}

// Close implements io.Closer.
func (g *retriedReader) Close() error { return g.body.Close() }

// brokenReader gives its error for ever.
type brokenReader struct{ err error }

// Read implements io.Reader.
func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }
