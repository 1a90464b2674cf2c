package mailstore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/frame"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/staging"
	"github.com/rookery-mail/rookery/index/uidset"
)

// OpenBody opens a message's octets, or returns index.ErrNoMessage. The caller closes it.
func (m *Mailbox) OpenBody(ctx context.Context, uid index.UID) (Body, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for range maxRestores {
		snap, err := m.account.snapshot()
		if err != nil {
			return nil, err
		}
		b, err := m.openBody(snap, uid)
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

func (m *Mailbox) openBody(snap kv.Snapshot, uid index.UID) (*body, error) {
	if _, err := m.at(snap); err != nil {
		return nil, err
	}
	b := &body{snap: snap, again: m.account.snapshot, codec: m.account.store.codec, loaded: -1}
	b.chunks = b.frame
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
	rec, err := staging.Record(snap, b.id)
	if err != nil {
		return nil, err
	}
	b.size, b.chunkSize = int64(rec.Size), int64(rec.ChunkSize)
	return b, nil
}

// body reads from a snapshot of its own, or from what Bodies has opened. It holds the chunk that was
// read last. Where the replica's state is replaced under its snapshot it goes on with the new one: a
// body's id always means the same octets.
type body struct {
	snap            kv.Snapshot // nil where it is not its own
	again           func() (kv.Snapshot, error)
	chunks          func(id index.BodyID, number uint32) ([]byte, error) // reads a compressed chunk
	codec           *frame.Codec
	id              index.BodyID
	size, chunkSize int64

	chunk  []byte
	loaded int64 // number of the chunk that is held, or -1
}

var _ Body = (*body)(nil)

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

// load makes chunk number the one that is held.
func (b *body) load(number int64) error {
	if b.loaded == number {
		return nil
	}
	compressed, err := b.chunks(b.id, uint32(number))
	if err != nil {
		return err
	}
	b.loaded = -1
	if b.chunk, err = b.codec.Octets(b.chunk, compressed); err != nil {
		return fmt.Errorf("decompress chunk %d of body %d: %w", number, b.id, err)
	}
	if want := min(b.chunkSize, b.size-number*b.chunkSize); int64(len(b.chunk)) != want {
		return fmt.Errorf("chunk %d of body %d has %d octets, not %d: %w", number, b.id, len(b.chunk), want, staging.ErrCorrupt)
	}
	b.loaded = number
	return nil
}

// frame reads a compressed chunk. A body that the new state does not have any more is
// cluster.ErrUnavailable: its message was expunged meanwhile.
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
		if _, err := staging.Record(b.snap, id); err != nil && !errors.Is(err, kv.ErrRestored) {
			return nil, fmt.Errorf("body %d after the state was replaced: %w: %w", id, cluster.ErrUnavailable, err)
		}
	}
	return nil, fmt.Errorf("read body %d while the state is replaced: %w", id, cluster.ErrUnavailable)
}

// Close releases the snapshot.
func (b *body) Close() error {
	if b.snap == nil {
		return nil
	}
	return b.snap.Close()
}
