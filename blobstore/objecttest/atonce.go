package objecttest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/blobstore/object"
)

// manyAtOnce works on objects side by side.
func manyAtOnce(t *testing.T, b object.Bucket) {
	group, ctx := errgroup.WithContext(t.Context())
	for i := range 16 {
		group.Go(func() error {
			name, octets := fmt.Sprintf("many/%02d", i), Octets(uint64(i), 20_000+i)
			if err := b.Put(ctx, name, bytes.NewReader(octets), int64(len(octets))); err != nil {
				return err
			}
			got, err := Get(ctx, b, name)
			if err == nil && !bytes.Equal(got, octets) {
				err = fmt.Errorf("%s has other octets", name)
			}
			if err == nil && i%2 == 0 {
				err = b.Delete(ctx, name)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if names := Names(t, b, "many/"); len(names) != 8 {
		t.Errorf("%d objects are left: %q", len(names), names)
	}
}

// oneAtOnce puts one object from many sides, as two leaders may: readers see one of them, whole.
func oneAtOnce(t *testing.T, b object.Bucket) {
	const writers = 4
	whole := map[[32]byte]bool{}
	octets := make([][]byte, writers)
	for i := range octets {
		octets[i] = Octets(uint64(100+i), 200_000)
		whole[sha256.Sum256(octets[i])] = true
	}
	Put(t, b, "one", octets[0])
	group, ctx := errgroup.WithContext(t.Context())
	for i := range writers {
		group.Go(func() error { return b.Put(ctx, "one", bytes.NewReader(octets[i]), int64(len(octets[i]))) })
		group.Go(func() error {
			got, err := Get(ctx, b, "one")
			if err == nil && !whole[sha256.Sum256(got)] {
				err = fmt.Errorf("%d octets that nobody put like that", len(got))
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}
