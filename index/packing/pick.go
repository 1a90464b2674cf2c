package packing

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/staging"
)

// Status tells the mode and what is staged.
func (p *Partition) Status(context.Context) (b blobstore.Backlog, err error) {
	err = p.read(func(r kv.Reader) error {
		rec, err := staging.Blobs(r)
		if err != nil || rec == nil || rec.Mode == indexpb.BlobMode_BLOB_MODE_EMBEDDED {
			b = blobstore.Backlog{}
			return err
		}
		b = blobstore.Backlog{Mode: blobstore.Mode(rec.Mode), Bytes: rec.StagedBytes, Bodies: rec.StagedBodies}
		if rec.StagedBodies > 0 {
			b.Since, err = since(r, time.UnixMilli(rec.StagedSince).UTC())
		}
		return err
	})
	if err != nil {
		return blobstore.Backlog{}, fmt.Errorf("backlog of %v: %w", p.c.Group, err)
	}
	return b, nil
}

// since is when the oldest staged body came, which is the one of the lowest id: at least floor, since when there
// always were some. A message that was copied or moved came then.
func since(r kv.Reader, floor time.Time) (time.Time, error) {
	oldest, err := staged(r, 1, 1)
	if err != nil || len(oldest) == 0 {
		return floor, err
	}
	users, err := staging.Users(r, oldest[0].id)
	if err != nil || len(users) == 0 {
		return floor, err
	}
	came := int64(0)
	for _, u := range users[:min(len(users), 64)] {
		s, ok, err := summary(r, u)
		if err != nil {
			return floor, err
		}
		if ok && (came == 0 || s.SaveDate < came) {
			came = s.SaveDate
		}
	}
	if at := time.UnixMilli(came).UTC(); at.After(floor) {
		return at, nil
	}
	return floor, nil
}

// Pick returns staged bodies from the lowest id on, until they have so many octets or are so many, by
// the account, mailbox and UID of their first users. Lengths are those of frames, offsets are 0.
func (p *Partition) Pick(_ context.Context, bytes int64, bodies int) (m *blobstore.Manifest, err error) {
	err = p.read(func(r kv.Reader) error {
		found, err := staged(r, uint64(max(bytes, 1)), bodies)
		if err == nil {
			m, err = p.manifest(r, found)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pick staged bodies of %v: %w", p.c.Group, err)
	}
	return m, nil
}

// Describe is Pick of those of the bodies that are in a pack, or staged (0). The entry of a packed body says
// where it lies there.
func (p *Partition) Describe(_ context.Context, pack uint64, ids []uint64) (m *blobstore.Manifest, err error) {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	err = p.read(func(r kv.Reader) error {
		var found []stored
		for _, id := range ids {
			b, err := lookup(r, index.BodyID(id), pack)
			if err != nil {
				return err
			}
			if b != nil {
				found = append(found, *b)
			}
		}
		m, err = p.manifest(r, found)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("describe bodies of pack %d of %v: %w", pack, p.c.Group, err)
	}
	return m, nil
}

// stored is a body with the lengths of its frames, or of what they are in its pack.
type stored struct {
	id      index.BodyID
	rec     *indexpb.BodyRecord
	lengths []uint32
	offset  uint64 // of a packed body, whose lengths are those in the pack
}

// staged finds staged bodies by their chunks, from the lowest id on, which costs nothing for those in packs.
func staged(r kv.Reader, octets uint64, bodies int) (found []stored, err error) {
	prefix := keys.Whole(nil, keys.TableChunk)
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var next []byte
	for ok, sum := it.First(), uint64(0); ok && sum < octets && len(found) < bodies; ok = it.SeekGE(next) {
		id, err := keys.ReadBody(it.Key())
		if err != nil {
			return nil, err
		}
		next = keys.Chunks(next[:0], id+1)
		b, err := lookup(r, id, 0)
		if err != nil {
			return nil, err
		}
		if b == nil { // of an upload, or of a body on its way home
			continue
		}
		found = append(found, *b)
		sum += b.rec.Stored
	}
	return found, it.Error()
}

// lookup reads a body that is in a pack, or staged (0), or returns nil. Bodies without octets are never
// in a pack.
func lookup(r kv.Reader, id index.BodyID, pack uint64) (*stored, error) {
	rec, ok, err := staging.Lookup(r, id)
	if err != nil || !ok || rec.Pack != pack || rec.Chunks == 0 {
		return nil, err
	}
	if pack != 0 {
		return &stored{id: id, rec: rec, lengths: rec.Lengths, offset: rec.Offset}, nil
	}
	b := &stored{id: id, rec: rec, lengths: make([]uint32, rec.Chunks)}
	if rec.Chunks == 1 {
		b.lengths[0] = uint32(rec.Stored)
		return b, nil
	}
	for i := range b.lengths {
		frame, err := staging.Chunk(r, id, uint32(i))
		if err != nil {
			return nil, err
		}
		b.lengths[i] = uint32(len(frame))
	}
	return b, nil
}
