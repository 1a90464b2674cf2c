package mailstore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/staging"
	"github.com/rookery-mail/rookery/index/uidset"
)

// OpenBody opens a message's octets, or returns index.ErrNoMessage. The caller closes it. ctx bounds what is
// read of it afterwards too, since that may have to come from an object store.
func (m *Mailbox) OpenBody(ctx context.Context, uid index.UID) (Body, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for range maxRestores {
		snap, err := m.account.snapshot()
		if err != nil {
			return nil, err
		}
		b, err := m.openBody(ctx, snap, uid)
		if err == nil {
			return b, nil
		}
		err = errors.Join(fmt.Errorf("open message %d: %w", uid, err), snap.Close())
		if !errors.Is(err, kv.ErrRestored) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("open message %d while the state is replaced: %w", uid, cluster.ErrUnavailable)
}

func (m *Mailbox) openBody(ctx context.Context, snap kv.Snapshot, uid index.UID) (*body, error) {
	if _, err := m.at(snap); err != nil {
		return nil, err
	}
	b := m.newBody(ctx)
	one := uidset.Of(index.UIDRange{Lo: uid, Hi: uid})
	err := mailbox.WalkMessages(snap, m.account.id, m.info.ID, one,
		func(_ index.UID, _ *indexpb.FlagRecord, s *indexpb.Summary) error {
			b.id = index.BodyID(s.BodyId)
			return nil
		})
	if err != nil {
		return nil, err
	}
	if b.id == 0 {
		return nil, index.ErrNoMessage
	}
	return b, b.find(snap)
}

// OpenStored opens a body of a partition by its id, for one that is no message: staging.ErrCorrupt where there is none.
// The caller closes it. ctx bounds what is read of it.
func (s *Store) OpenStored(ctx context.Context, g cluster.GroupID, id index.BodyID) (Body, error) {
	again := func() (kv.Snapshot, error) { return s.snapshot(g) }
	for range maxRestores {
		snap, err := again()
		if err != nil {
			return nil, err
		}
		b := &body{ctx: ctx, store: s, packs: &packs{group: g}, again: again, loaded: -1, id: id}
		if err = b.find(snap); err == nil {
			return b, nil
		}
		err = errors.Join(fmt.Errorf("open body %d: %w", id, err), snap.Close())
		if !errors.Is(err, kv.ErrRestored) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("open body %d while the state is replaced: %w", id, cluster.ErrUnavailable)
}

// body reads from a snapshot of its own, from what Bodies has opened, or from a pack; then it holds no
// snapshot, as the object store may be slow. It holds the chunk that was read last. Where the replica's state
// is replaced under its snapshot, or the body is moved to another pack, it goes on with the new one: a
// body's id always means the same octets.
type body struct {
	ctx             context.Context // of the reads from a pack
	store           *Store
	packs           *packs
	snap            kv.Snapshot // nil where it is not its own
	again           func() (kv.Snapshot, error)
	chunks          func(id index.BodyID, number uint32) ([]byte, error) // reads a compressed chunk that is staged
	place           *place                                               // nil while the body is staged
	id              index.BodyID
	size, chunkSize int64

	chunk  []byte
	loaded int64 // number of the chunk that is held, or -1
}

var _ access.Remote = (*body)(nil)

func (m *Mailbox) newBody(ctx context.Context) *body {
	return &body{ctx: ctx, store: m.account.store, packs: &packs{group: m.group}, again: m.account.snapshot, loaded: -1}
}

// find looks up the body in a snapshot. That becomes the body's own where the body is staged, and is closed
// where it is in a pack; after an error it is neither.
func (b *body) find(snap kv.Snapshot) error {
	rec, err := staging.Record(snap, b.id)
	if err != nil {
		return err
	}
	at, err := placeOf(b.id, rec)
	if err == nil {
		err = b.packs.find(snap, at)
	}
	if err != nil {
		return err
	}
	b.size, b.chunkSize, b.place = int64(rec.Size), int64(rec.ChunkSize), at
	if at != nil {
		b.snap = nil
		_ = snap.Close() // what was read was read whole
		return nil
	}
	b.snap, b.chunks = snap, b.frame
	return nil
}

// Size returns the octets of the message.
func (b *body) Size() int64 { return b.size }

// ReadAt implements io.ReaderAt, for one goroutine at a time.
func (b *body) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read body %d at %d: negative offset", b.id, off)
	}
	for n < len(p) {
		at := off + int64(n)
		if at >= b.size {
			return n, io.EOF
		}
		if err := b.load(at / b.chunkSize); err != nil {
			return n, err
		}
		n += copy(p[n:], b.chunk[at%b.chunkSize:])
	}
	return n, nil
}

// readyOctets is how much Ready fetches at most.
const readyOctets = 4 << 20

// Ready implements access.Remote.
func (b *body) Ready(off, n int64) error {
	if n = min(n, b.size-off, readyOctets); b.place == nil || off < 0 || n <= 0 {
		return nil
	}
	first, last := off/b.chunkSize, (off+n-1)/b.chunkSize
	if last > first && b.place.pack != nil {
		b.store.ahead(b.place.refs(nil, int(first), int(last)+1))
	}
	for number := last; number >= first; number-- { // so that the first is held
		if err := b.load(number); err != nil {
			return err
		}
	}
	return nil
}

// load makes chunk number the one that is held.
func (b *body) load(number int64) error {
	if b.loaded == number {
		return nil
	}
	compressed, err := b.compressed(number)
	if err != nil {
		return err
	}
	b.loaded = -1
	if b.chunk, err = b.store.codec.Octets(b.chunk, compressed); err != nil {
		return fmt.Errorf("decompress chunk %d of body %d: %w", number, b.id, err)
	}
	if want := min(b.chunkSize, b.size-number*b.chunkSize); int64(len(b.chunk)) != want {
		return fmt.Errorf("chunk %d of body %d has %d octets, not %d: %w", number, b.id, len(b.chunk), want, staging.ErrCorrupt)
	}
	b.loaded = number
	return nil
}

// compressed reads a chunk from wherever the body is.
func (b *body) compressed(number int64) ([]byte, error) {
	if b.place == nil {
		return b.chunks(b.id, uint32(number))
	}
	if b.place.pack != nil && number == b.loaded+1 && number%(aheadMore/2) == 1 { // from front to back
		b.store.ahead(b.place.refs(nil, int(number), int(number)+aheadMore))
	}
	frame, err := b.store.blob(b.ctx, b.place, uint32(number))
	if !errors.Is(err, blobstore.ErrDamaged) {
		return frame, err
	}
	// Its pack may have been rewritten, and deleted after the grace time.
	if moved, lookErr := b.look(); lookErr != nil || !moved {
		return nil, errors.Join(err, lookErr)
	}
	if b.place == nil {
		return b.frame(b.id, uint32(number))
	}
	return b.store.blob(b.ctx, b.place, uint32(number))
}

// look reports whether the body is elsewhere by now.
func (b *body) look() (moved bool, err error) {
	snap, err := b.again()
	if err != nil {
		return false, err
	}
	before := b.place
	if err := b.find(snap); err != nil {
		err = errors.Join(err, snap.Close())
		if errors.Is(err, staging.ErrCorrupt) || errors.Is(err, kv.ErrRestored) {
			return false, nil // expunged meanwhile, or not to be known now: what went wrong first counts
		}
		return false, err
	}
	return !before.same(b.place), nil
}

// frame reads a compressed chunk from the body's snapshot. A body that the new state does not have any
// more is cluster.ErrUnavailable: its message was expunged meanwhile.
func (b *body) frame(id index.BodyID, number uint32) ([]byte, error) {
	for range maxRestores {
		frame, err := staging.Chunk(b.snap, id, number)
		if !errors.Is(err, kv.ErrRestored) {
			return frame, err
		}
		next, err := b.again()
		if err != nil {
			return nil, err
		}
		err = b.snap.Close()
		b.snap = next
		if err != nil {
			return nil, err
		}
		err = b.find(next)
		if err != nil && !errors.Is(err, kv.ErrRestored) {
			return nil, fmt.Errorf("body %d after the state was replaced: %w: %w", id, cluster.ErrUnavailable, err)
		}
		if b.place != nil { // it was packed in what replaced the state
			return b.compressed(int64(number))
		}
	}
	return nil, fmt.Errorf("read body %d while the state is replaced: %w", id, cluster.ErrUnavailable)
}

// Close releases the snapshot.
func (b *body) Close() error {
	if b.snap == nil {
		return nil
	}
	snap := b.snap
	b.snap = nil
	return snap.Close()
}
