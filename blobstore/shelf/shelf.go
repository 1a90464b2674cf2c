// Package shelf reads whole packs out of a store: what a pack says of itself, and whether all of it is right.
// Chunks of messages that somebody waits for are blobstore/reader's, which keeps them; this package
// keeps nothing.
package shelf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
)

// Shelf is a store of packs and the keys to them. It may be used by any number of goroutines.
type Shelf struct {
	Bucket object.Bucket
	Keys   pack.Keys // nil where nothing is encrypted
	// Timeout bounds the reading of one pack.
	Timeout time.Duration
}

// Contents reads what a pack's object says of itself, in three requests or four. blobstore.ErrDamaged says that it is
// not there, or not that pack; blobstore.ErrNoKey and blobstore.ErrFormat are pack.Read's, others the
// store's.
func (s Shelf) Contents(ctx context.Context, ref blobstore.Pack) (*pack.Contents, error) {
	name := ref.Object()
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	info, err := s.Bucket.Stat(ctx, name)
	if errors.Is(err, object.ErrNotFound) {
		return nil, fmt.Errorf("%s is not there: %w", name, blobstore.ErrDamaged)
	}
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", name, err)
	}
	c, err := pack.Read(remote{ctx, s.Bucket, name}, info.Size, s.Keys)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if c.Pack.ID != ref.ID || c.Pack.Group != ref.Group {
		return nil, fmt.Errorf("%s is pack %v of partition %d: %w", name, c.Pack.ID, c.Pack.Group, blobstore.ErrDamaged)
	}
	return c, nil
}

// Verify reads the whole object of a pack, in one request, as pack.Contents.Verify does.
func (s Shelf) Verify(ctx context.Context, c *pack.Contents, bad func(blobstore.Body)) (pack.Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	r, err := s.Bucket.Get(ctx, c.Pack.Object(), 0, -1)
	if err != nil {
		return pack.Summary{}, fmt.Errorf("read %s: %w", c.Pack.Object(), err)
	}
	defer r.Close()
	return c.Verify(r, bad)
}

// Bodies gives the numbers of the bodies in a pack, in its order.
func Bodies(c *pack.Contents) []uint64 {
	out := make([]uint64, len(c.Manifest.Bodies))
	for i, b := range c.Manifest.Bodies {
		out[i] = b.Entry.Body
	}
	return out
}

// remote is an object as pack.Read takes it.
type remote struct {
	ctx    context.Context // of the one call that it is made for
	bucket object.Bucket
	name   string
}

// ReadAt reads as io.ReaderAt says.
func (r remote) ReadAt(b []byte, offset int64) (int, error) {
	body, err := r.bucket.Get(r.ctx, r.name, offset, int64(len(b)))
	if err != nil {
		return 0, err
	}
	defer body.Close()
	return io.ReadFull(body, b)
}
