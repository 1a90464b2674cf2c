// Package object is what Rookery asks of an object store: five calls on names and octets. Memory, File
// and blobstore/object/s3 are stores; Retry, Limit, Count and Fault go around one. blobstore/objecttest
// has the contract that all of them pass. Nothing here knows packs.
package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
)

// The errors of a Bucket, beside blobstore.ErrUnavailable for all that may go well another time.
var (
	// ErrNotFound says that there is no object of that name.
	ErrNotFound = errors.New("no such object")
	// ErrDenied says that the store refuses the credentials, or what they ask for.
	ErrDenied = errors.New("the object store refuses")
	// ErrSlowDown says that the store is asked too often (503 SlowDown). It is a
	// blobstore.ErrUnavailable too.
	ErrSlowDown = fmt.Errorf("the object store asks to slow down: %w", blobstore.ErrUnavailable)
)

// Info is what a store tells of an object.
type Info struct {
	Name     string
	Size     int64 // octets
	Modified time.Time
}

// Bucket is an object store, for any number of goroutines. Names are relative to the prefix that the
// bucket was opened with, see CheckName. What was put is seen by the next call. Errors are blobstore.ErrUnavailable, ErrNotFound, ErrDenied, those of ctx, or say
// what is wrong with the request.
type Bucket interface {
	// Put stores size octets of r as one object, in place of one that is there. r is read from its
	// start, more than once where the store has to be asked again.
	Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error
	// Get reads length octets from offset on, or to the end with length -1. The caller closes the
	// reader, which gives io.ErrUnexpectedEOF where the object ends before. An offset behind the last
	// octet is io.ErrUnexpectedEOF at once; offset 0 of an empty object is not.
	Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error)
	// Stat tells the size of an object, or ErrNotFound.
	Stat(ctx context.Context, name string) (Info, error)
	// Delete deletes an object. One that is not there is no error.
	Delete(ctx context.Context, name string) error
	// List calls fn for each object whose name begins with prefix, by name, until fn returns an
	// error, which it returns.
	List(ctx context.Context, prefix string, fn func(Info) error) error
}

// maxName is the longest name of an object in octets.
const maxName = 512

// CheckName says what is wrong with the name of an object. A name has letters, digits, "-", "_", "." and
// "/", at most 512 octets; its parts between the slashes are not empty and do not begin with a dot, so
// that it is a path in a directory as well. No name goes on behind another one with a slash.
func CheckName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("an object's name of %d octets: 1 to %d are possible", len(name), maxName)
	}
	for i := range len(name) {
		if c := name[i]; !strings.ContainsRune(nameOctets, rune(c)) {
			return fmt.Errorf("the object's name %q has a %q", name, c)
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' {
			return fmt.Errorf("the object's name %q has the part %q", name, part)
		}
	}
	return nil
}

const nameOctets = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./"

// CheckRange says what is wrong with a range of octets, as Get takes it.
func CheckRange(name string, offset, length int64) error {
	if offset < 0 || length < -1 {
		return fmt.Errorf("read %d octets at %d of %s: no such range", length, offset, name)
	}
	return nil
}

// CheckPut says what is wrong with the name and the size of what is to be put.
func CheckPut(name string, size int64) error {
	if size < 0 {
		return fmt.Errorf("put %s of %d octets: no such size", name, size)
	}
	return CheckName(name)
}
