package object

import (
	"context"
	"io"
	"sync/atomic"
)

// Kind is a kind of request to a store. Stores are paid by kind.
type Kind int

// The kinds of requests.
const (
	KindPut Kind = iota
	KindGet
	KindStat
	KindDelete
	KindList
	kinds // how many there are
)

// Kinds lists all kinds of requests.
func Kinds() []Kind { return []Kind{KindPut, KindGet, KindStat, KindDelete, KindList} }

// String gives the kind's name in lower case: put, get, stat, delete or list.
func (k Kind) String() string { return [kinds]string{"put", "get", "stat", "delete", "list"}[k] }

// Counts is what was asked of a store since it was opened.
type Counts struct {
	Requests [kinds]uint64 // by Kind; one that failed counts as well
	Failed   [kinds]uint64 // of these, without success
	Sent     uint64        // octets of objects put
	Received uint64        // octets of objects read
}

// Of is how many requests of a kind there were.
func (c Counts) Of(k Kind) uint64 { return c.Requests[k] }

// Count counts what is asked of a store. Put it right around the store, inside of Retry, so that each
// attempt counts: each is paid for. A List counts once for each page of a thousand names. It is for any
// number of goroutines.
type Count struct {
	bucket         Bucket
	requests       [kinds]atomic.Uint64
	failed         [kinds]atomic.Uint64
	sent, received atomic.Uint64
}

var _ Bucket = (*Count)(nil)

// NewCount counts what is asked of b.
func NewCount(b Bucket) *Count { return &Count{bucket: b} }

// Counts gives what was asked so far.
func (c *Count) Counts() Counts {
	counts := Counts{Sent: c.sent.Load(), Received: c.received.Load()}
	for k := range kinds {
		counts.Requests[k], counts.Failed[k] = c.requests[k].Load(), c.failed[k].Load()
	}
	return counts
}

func (c *Count) done(k Kind, err error) {
	c.requests[k].Add(1)
	if err != nil {
		c.failed[k].Add(1)
	}
}

// Put implements Bucket.
func (c *Count) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	err := c.bucket.Put(ctx, name, r, size)
	c.done(KindPut, err)
	if err == nil {
		c.sent.Add(uint64(size))
	}
	return err
}

// Get implements Bucket.
func (c *Count) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	r, err := c.bucket.Get(ctx, name, offset, length)
	c.done(KindGet, err)
	if err != nil {
		return nil, err
	}
	return &countedReader{r, &c.received}, nil
}

// countedReader counts the octets that are read.
type countedReader struct {
	io.ReadCloser
	octets *atomic.Uint64
}

// Read implements io.Reader.
func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.octets.Add(uint64(n))
	return n, err
}

// Stat implements Bucket.
func (c *Count) Stat(ctx context.Context, name string) (Info, error) {
	info, err := c.bucket.Stat(ctx, name)
	c.done(KindStat, err)
	return info, err
}

// Delete implements Bucket.
func (c *Count) Delete(ctx context.Context, name string) error {
	err := c.bucket.Delete(ctx, name)
	c.done(KindDelete, err)
	return err
}

// page is how many names a store gives to one request.
const page = 1000

// List implements Bucket.
func (c *Count) List(ctx context.Context, prefix string, fn func(Info) error) error {
	names := 0
	err := c.bucket.List(ctx, prefix, func(i Info) error {
		if names++; names%page == 0 {
			c.done(KindList, nil)
		}
		return fn(i)
	})
	c.done(KindList, err)
	return err
}
