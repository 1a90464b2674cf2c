package bodies_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/setting"
)

// TestLargeBodies: they go to the store that the setting names; without one, or with bodies that are to be at home,
// they do not. One that was begun on another store goes to neither, and no change of the setting waits for it.
func TestLargeBodies(t *testing.T) {
	h := newHouse(t)
	memory := object.NewMemory()
	h.buckets["s3://one"] = memory
	s, _ := h.serve()
	refused := func() error {
		body, err := s.Large()
		if err == nil {
			body.Close()
			return errors.New("a large body is begun")
		}
		if !errors.Is(err, blobstore.ErrUnavailable) {
			return err
		}
		return nil
	}
	if err := refused(); err != nil {
		t.Errorf("without a setting: %v", err)
	}
	h.use("s3://one", nil)
	eventually(t, "large bodies go to the store", func() error {
		body, err := s.Large()
		if err != nil {
			return err
		}
		defer body.Close()
		if err := body.Add(bytes.Repeat([]byte("x"), 1000)); err != nil {
			return err
		}
		m := &blobstore.Manifest{Bodies: []blobstore.Body{{Size: 1000, ChunkSize: 1000}}}
		ref := blobstore.Pack{}
		e, size, err := body.Put(t.Context(), 3, m, func(p blobstore.Pack) (uint64, error) { ref = p; return 7, nil })
		if err != nil || e.Body != 7 || size < 1000 {
			return fmt.Errorf("entry %+v, %d octets: %w", e, size, err)
		}
		if info, err := memory.Stat(t.Context(), ref.Object()); err != nil || info.Size != size {
			return fmt.Errorf("object %+v of %d octets: %w", info, size, err)
		}
		return nil
	})
	slow, err := s.Large()
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	h.use("s3://one", func(s *setting.Setting) { s.Embedded = true })
	eventually(t, "bodies are to be at home", refused)
	if err := slow.Add([]byte("x")); err != nil {
		t.Fatal(err)
	}
	m := &blobstore.Manifest{Bodies: []blobstore.Body{{Size: 1, ChunkSize: 1}}}
	_, _, err = slow.Put(t.Context(), 3, m, func(blobstore.Pack) (uint64, error) { return 0, errors.New("a pack is begun") })
	if !errors.Is(err, blobstore.ErrUnavailable) {
		t.Errorf("a body that was begun before: %v", err)
	}
}
