package packing

import (
	"context"
	"fmt"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/staging"
)

// Entries gives those of the bodies that lie in a pack, with their places there as the state has them. Without
// ids it gives all that lie in the pack, and walks over all bodies of the partition to find them.
func (p *Partition) Entries(ctx context.Context, pack uint64, ids []uint64) (all []blobstore.Entry, err error) {
	err = p.read(func(r kv.Reader) error {
		all = nil
		if ids == nil {
			all, err = allEntries(ctx, r, pack)
			return err
		}
		for _, id := range ids {
			rec, ok, err := staging.Lookup(r, index.BodyID(id))
			if err != nil {
				return err
			}
			if ok && pack != 0 && rec.Pack == pack {
				all = append(all, entryOf(id, rec))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("bodies of pack %d of %v: %w", pack, p.c.Group, err)
	}
	return all, nil
}

// allEntries walks over all bodies.
func allEntries(ctx context.Context, r kv.Reader, pack uint64) (all []blobstore.Entry, err error) {
	prefix := keys.Whole(nil, keys.TableBody)
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
		id, err := keys.ReadBody(it.Key())
		if err != nil {
			return nil, err
		}
		value, err := it.Value()
		if err != nil {
			return nil, err
		}
		rec := new(indexpb.BodyRecord)
		if err := rec.UnmarshalVT(value); err != nil {
			return nil, fmt.Errorf("record of body %d: %w: %w", id, err, staging.ErrCorrupt)
		}
		if pack != 0 && rec.Pack == pack {
			all = append(all, entryOf(uint64(id), rec))
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return all, it.Error()
}

func entryOf(id uint64, rec *indexpb.BodyRecord) blobstore.Entry {
	return blobstore.Entry{Body: id, Offset: rec.Offset, Lengths: rec.Lengths}
}
