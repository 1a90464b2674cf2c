package bodies

import (
	"context"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
)

// closedBucket is a store that could not be opened.
type closedBucket struct{ err error }

var _ object.Bucket = closedBucket{}

func (b closedBucket) fail() error {
	return fmt.Errorf("%w: %w", blobstore.ErrUnavailable, b.err)
}

// Put implements object.Bucket.
func (b closedBucket) Put(context.Context, string, io.ReadSeeker, int64) error { return b.fail() }

// Get implements object.Bucket.
func (b closedBucket) Get(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return nil, b.fail()
}

// Stat implements object.Bucket.
func (b closedBucket) Stat(context.Context, string) (object.Info, error) {
	return object.Info{}, b.fail()
}

// Delete implements object.Bucket.
func (b closedBucket) Delete(context.Context, string) error { return b.fail() }

// List implements object.Bucket.
func (b closedBucket) List(context.Context, string, func(object.Info) error) error { return b.fail() }

// Release closes the connections of a store, where it has any.
func Release(b object.Bucket) {
	if c, ok := b.(io.Closer); ok {
		_ = c.Close() // nothing waits for its answer
	}
}
