// Package object is what Rookery asks of an object store: five calls on names and octets. Memory, File
// and blobstore/object/s3 are stores; Retry, Limit and Fault go around one. blobstore/objecttest has the
// contract that all of them pass. Nothing here knows packs.
package object

import (
	"context"
	"errors"
	"io"
	"time"
)

// The errors of a Bucket, beside blobstore.ErrUnavailable for all that may go well another time.
var (
	// ErrNotFound says that there is no object of that name.
	ErrNotFound = errors.New("no such object")
	// ErrDenied says that the store refuses the credentials, or what they ask for.
	ErrDenied = errors.New("the object store refuses")
)

// Info is what a store tells of an object.
type Info struct {
	Name     string
	Size     int64 // octets
	Modified time.Time
}

// Bucket is an object store, for any number of goroutines. Names are relative to the prefix that the
// bucket was opened with: letters, digits, "-", "_", "." and "/", at most 512 octets. What was put is seen
// by the next call. Errors are blobstore.ErrUnavailable, ErrNotFound, ErrDenied, those of ctx, or say
// what is wrong with the request.
type Bucket interface {
	// Put stores size octets of r as one object, in place of one that is there. r is read from its
	// start, more than once where the store has to be asked again.
	Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error
	// Get reads length octets from offset on, or to the end with length -1. The caller closes the
	// reader, which gives io.ErrUnexpectedEOF where the object ends before.
	Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error)
	// Stat tells the size of an object.
	Stat(ctx context.Context, name string) (Info, error)
	// Delete deletes an object. One that is not there is no error.
	Delete(ctx context.Context, name string) error
	// List calls fn for each object whose name begins with prefix, by name, until fn returns an
	// error, which it returns.
	List(ctx context.Context, prefix string, fn func(Info) error) error
}
