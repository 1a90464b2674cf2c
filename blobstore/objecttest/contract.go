// Package objecttest has the contract of object.Bucket as a test suite. Every store passes it, and every
// wrapper around one.
package objecttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/rookery-mail/rookery/blobstore/object"
)

// Contract tests a store. Each call of open gives an empty one.
func Contract(t *testing.T, open func(t *testing.T) object.Bucket) {
	for name, test := range map[string]func(*testing.T, object.Bucket){
		"put and get":     putAndGet,
		"ranges":          ranges,
		"an empty object": emptyObject,
		"a large object":  largeObject,
		"replace":         replace,
		"from the start":  fromTheStart,
		"short readers":   shortReaders,
		"nothing there":   nothingThere,
		"delete":          deleteObject,
		"list":            list,
		"list stops":      listStops,
		"names":           names,
		"contexts":        contexts,
		"many at once":    manyAtOnce,
		"one at once":     oneAtOnce,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Put puts octets and ends the test when that fails.
func Put(t *testing.T, b object.Bucket, name string, octets []byte) {
	t.Helper()
	if err := b.Put(t.Context(), name, bytes.NewReader(octets), int64(len(octets))); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

// Get reads a whole object.
func Get(ctx context.Context, b object.Bucket, name string) ([]byte, error) {
	return GetRange(ctx, b, name, 0, -1)
}

// GetRange reads a part of an object.
func GetRange(ctx context.Context, b object.Bucket, name string, offset, length int64) ([]byte, error) {
	r, err := b.Get(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	octets, err := io.ReadAll(r)
	return octets, errors.Join(err, r.Close())
}

// Names lists the names of objects.
func Names(t *testing.T, b object.Bucket, prefix string) (names []string) {
	t.Helper()
	err := b.List(t.Context(), prefix, func(i object.Info) error {
		names = append(names, i.Name)
		return nil
	})
	if err != nil {
		t.Fatalf("list %q: %v", prefix, err)
	}
	return names
}

// Octets makes n octets that look random and are the same for the same seed.
func Octets(seed uint64, n int) []byte {
	var key [32]byte
	copy(key[:], fmt.Sprint(seed))
	octets := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(octets) // never fails
	return octets
}

// wants holds an object against what it should be.
func wants(t *testing.T, b object.Bucket, name string, want []byte) {
	t.Helper()
	got, err := Get(t.Context(), b, name)
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	if sha256.Sum256(got) != sha256.Sum256(want) {
		t.Fatalf("%s has %d octets that were not put there; want %d", name, len(got), len(want))
	}
	info, err := b.Stat(t.Context(), name)
	if err != nil {
		t.Fatalf("stat %s: %v", name, err)
	}
	if info.Name != name || info.Size != int64(len(want)) || info.Modified.IsZero() {
		t.Fatalf("stat %s: %+v; want %d octets", name, info, len(want))
	}
}
