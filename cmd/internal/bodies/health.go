package bodies

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore/object"
)

// health remembers whether the store answered the last request.
type health struct {
	bucket object.Bucket

	mu    sync.Mutex // guards what follows
	err   error      // of the last request; nil after one that went well
	asked time.Time  // when that was over
}

var _ object.Bucket = (*health)(nil)

// note keeps how a request went. An object that is not there, or a caller who does not wait, says
// nothing against the store.
func (h *health) note(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err, h.asked = err, time.Now()
	if errors.Is(err, object.ErrNotFound) {
		h.err = nil
	}
	return err
}

// last is when the last request was over, and its error.
func (h *health) last() (asked time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked, h.err
}

// Put implements object.Bucket.
func (h *health) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	return h.note(h.bucket.Put(ctx, name, r, size))
}

// Get implements object.Bucket.
func (h *health) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	r, err := h.bucket.Get(ctx, name, offset, length)
	return r, h.note(err)
}

// Stat implements object.Bucket.
func (h *health) Stat(ctx context.Context, name string) (object.Info, error) {
	info, err := h.bucket.Stat(ctx, name)
	return info, h.note(err)
}

// Delete implements object.Bucket.
func (h *health) Delete(ctx context.Context, name string) error {
	return h.note(h.bucket.Delete(ctx, name))
}

// List implements object.Bucket. What fn returns is the caller's own affair.
func (h *health) List(ctx context.Context, prefix string, fn func(object.Info) error) error {
	var own error
	err := h.bucket.List(ctx, prefix, func(i object.Info) error {
		own = fn(i)
		return own
	})
	if own == nil {
		_ = h.note(err) // returned below
	}
	return err
}
