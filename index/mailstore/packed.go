package mailstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/staging"
)

// Blobs reads chunks of bodies that are in packs; blobstore/reader is one. Chunk returns a frame
// (index/frame), blobstore.ErrUnavailable, blobstore.ErrDamaged, blobstore.ErrNoKey or the error of ctx,
// within a deadline of its own. Ahead says what will be read soon, and returns at once.
type Blobs interface {
	Chunk(ctx context.Context, ref blobstore.Ref) ([]byte, error)
	Ahead(refs []blobstore.Ref)
}

// errNoStore says that a body is in a pack and this node does not know of an object store.
var errNoStore = errors.New("no object store is set on this node")

// place is where a packed body lies. It stays true for the grace time of packs, whatever becomes of the
// message; a body that is moved meanwhile is found by looking again.
type place struct {
	number  uint64          // of the pack in the partition
	pack    *blobstore.Pack // nil until it is found
	offset  int64
	lengths []uint32
}

// placeOf gives where a body lies, or nil for one that is staged.
func placeOf(id index.BodyID, rec *indexpb.BodyRecord) (*place, error) {
	if rec.Pack == 0 {
		return nil, nil
	}
	if uint32(len(rec.Lengths)) != rec.Chunks || rec.Offset > 1<<62 {
		return nil, fmt.Errorf("body %d has %d chunks and %d lengths: %w", id, rec.Chunks, len(rec.Lengths), staging.ErrCorrupt)
	}
	return &place{number: rec.Pack, offset: int64(rec.Offset), lengths: rec.Lengths}, nil
}

// ref is where a chunk lies.
func (p *place) ref(number uint32) blobstore.Ref {
	at := p.offset
	for _, n := range p.lengths[:number] {
		at += int64(n)
	}
	return blobstore.Ref{Pack: p.pack, Offset: at, Length: int(p.lengths[number])}
}

// refs appends where chunks from one number to before another lie.
func (p *place) refs(refs []blobstore.Ref, from, to int) []blobstore.Ref {
	for n := from; n < min(to, len(p.lengths)); n++ {
		refs = append(refs, p.ref(uint32(n)))
	}
	return refs
}

func (p *place) same(q *place) bool {
	return p != nil && q != nil && p.number == q.number && p.offset == q.offset
}

// packs remembers the packs of a partition that a walk came by.
type packs struct {
	group cluster.GroupID
	found map[uint64]*blobstore.Pack
}

// find completes a place. A pack that is not there any more has let go of the body: the place stays as it is.
func (k *packs) find(r kv.Reader, p *place) error {
	if p == nil || p.pack != nil {
		return nil
	}
	if p.pack = k.found[p.number]; p.pack != nil {
		return nil
	}
	value, ok, err := r.Get(keys.Pack(nil, p.number))
	if err != nil || !ok {
		return err
	}
	var rec indexpb.PackRecord
	if err := rec.UnmarshalVT(value); err != nil || len(rec.Id) != len(blobstore.PackID{}) {
		return fmt.Errorf("record of pack %d: %w", p.number, staging.ErrCorrupt)
	}
	pack := &blobstore.Pack{Group: uint16(k.group), ID: blobstore.PackID(rec.Id), SealedKey: rec.SealedKey}
	copy(pack.Key[:], rec.Key)
	if k.found == nil {
		k.found = make(map[uint64]*blobstore.Pack)
	}
	k.found[p.number], p.pack = pack, pack
	return nil
}

// blob reads a chunk of a packed body. What keeps it from being read is index.ErrBodyAway and
// cluster.ErrUnavailable, or the error of ctx.
func (s *Store) blob(ctx context.Context, p *place, number uint32) ([]byte, error) {
	if int(number) >= len(p.lengths) {
		return nil, fmt.Errorf("chunk %d of %d: %w", number, len(p.lengths), staging.ErrCorrupt)
	}
	err := errNoStore
	switch {
	case p.pack == nil:
		err = fmt.Errorf("pack %d is gone: %w", p.number, blobstore.ErrDamaged)
	case s.c.Blobs != nil:
		var frame []byte
		if frame, err = s.c.Blobs.Chunk(ctx, p.ref(number)); err == nil {
			return frame, nil
		}
	}
	if end := ctx.Err(); end != nil {
		return nil, end
	}
	return nil, fmt.Errorf("%w: %w: %w", index.ErrBodyAway, cluster.ErrUnavailable, err)
}

// ahead says what will be read soon.
func (s *Store) ahead(refs []blobstore.Ref) {
	refs = slices.DeleteFunc(refs, func(r blobstore.Ref) bool { return r.Pack == nil })
	if s.c.Blobs != nil && len(refs) > 0 {
		s.c.Blobs.Ahead(refs)
	}
}

// What is fetched before it is asked for.
const (
	aheadFirst = 2  // chunks of each message that will be opened
	aheadMore  = 32 // chunks of a message that is read from front to back
)
