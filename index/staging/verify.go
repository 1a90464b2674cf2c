package staging

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// Verify holds all bodies against refs, the number of their users, and all chunks against the bodies
// and uploads they belong to. What does not fit is ErrCorrupt. It reads all keys of bodies.
func Verify(r kv.Reader, refs map[index.BodyID]uint64) (uploads int, err error) {
	chunks := make(map[index.BodyID]uint32) // that there ought to be
	found := 0
	err = each(r, keys.TableBody, func(key, value []byte) error {
		id, err := keys.ReadBody(key)
		if err != nil {
			return err
		}
		var rec indexpb.BodyRecord
		if err := rec.UnmarshalVT(value); err != nil {
			return fmt.Errorf("record of body %d: %w: %w", id, err, ErrCorrupt)
		}
		found++
		chunks[id] = rec.Chunks
		if rec.Refs == 0 || rec.Refs != refs[id] {
			return fmt.Errorf("body %d has %d users by its record, %d in mailboxes: %w", id, rec.Refs, refs[id], ErrCorrupt)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if found != len(refs) {
		return 0, fmt.Errorf("%d bodies, %d are used: %w", found, len(refs), ErrCorrupt)
	}
	err = each(r, keys.TableUpload, func(_, value []byte) error {
		var rec indexpb.UploadRecord
		if err := rec.UnmarshalVT(value); err != nil {
			return fmt.Errorf("upload record: %w: %w", err, ErrCorrupt)
		}
		uploads++
		if _, used := chunks[index.BodyID(rec.BodyId)]; used {
			return fmt.Errorf("body %d is an upload too: %w", rec.BodyId, ErrCorrupt)
		}
		chunks[index.BodyID(rec.BodyId)] = rec.Chunks
		return nil
	})
	if err != nil {
		return 0, err
	}
	return uploads, verifyChunks(r, chunks)
}

// verifyChunks counts chunks down; what is left is missing, what is not there belongs to nothing.
func verifyChunks(r kv.Reader, chunks map[index.BodyID]uint32) error {
	err := each(r, keys.TableChunk, func(key, _ []byte) error {
		id, err := keys.ReadBody(key)
		if err != nil {
			return err
		}
		if chunks[id] == 0 {
			return fmt.Errorf("chunk %x belongs to no body: %w", key, ErrCorrupt)
		}
		chunks[id]--
		return nil
	})
	if err != nil {
		return err
	}
	for id, left := range chunks {
		if left > 0 {
			return fmt.Errorf("body %d lacks %d chunks: %w", id, left, ErrCorrupt)
		}
	}
	return nil
}

// each calls fn with all keys of a table.
func each(r kv.Reader, t keys.Table, fn func(key, value []byte) error) error {
	prefix := keys.Whole(nil, t)
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			return err
		}
		if err := fn(it.Key(), value); err != nil {
			return err
		}
	}
	return it.Error()
}
