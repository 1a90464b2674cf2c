package mailstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/staging"
	"github.com/rookery-mail/rookery/index/uidset"
)

// Bodies calls fn for each message that is in uids, in UID order, with its octets. UIDs that are no
// messages are passed over. Message and Body are valid until fn returns; fn need not close the Body.
// Neighbours are found by a step of an iterator, where OpenBody seeks from the top with a snapshot of its
// own for each. Staged bodies are read from one moment of the state. Those in packs are read without
// holding one, up to 256 messages of a moment together, so that an object store may be slow.
func (m *Mailbox) Bodies(ctx context.Context, uids *uidset.Set, fn func(Message, Body) error) error {
	w := bodyWalk{Mailbox: m, ctx: ctx, fn: fn}
	for left := uids; ; {
		w.rest = w.rest[:0]
		err := m.read(ctx, func(r kv.Reader, now index.Mailbox) error { return w.staged(r, now, left) })
		if err != nil && !errors.Is(err, errPacked) {
			return err
		}
		if len(w.rest) == 0 {
			return nil
		}
		if left == uids {
			left = uids.Clone()
		}
		left.RemoveRange(1, w.rest[len(w.rest)-1].UID)
		if err := w.packed(); err != nil || left.Len() == 0 {
			return err
		}
	}
}

// Bounds of the messages with packed bodies that are read of one moment.
const (
	packedMessages = 256
	packedOctets   = 4 << 20 // of what is fetched before it is asked for
	packedStaged   = 1 << 20 // of staged frames between packed ones
)

// errPacked ends a walk of staged bodies where packed ones are to be read first.
var errPacked = errors.New("bodies in packs come next")

// bodyWalk is a Bodies being carried out.
type bodyWalk struct {
	*Mailbox
	ctx context.Context
	fn  func(Message, Body) error

	rest   []packedMessage // a row of messages with packed bodies, to be read when the walk has ended
	octets int             // that are fetched for rest, or held by it
}

// packedMessage is a message whose body is read without a snapshot.
type packedMessage struct {
	Message
	size, chunkSize int64
	place           *place
	frame           []byte // of a body that is staged, and has one
}

// staged calls fn for messages with staged bodies until one is in a pack, then gathers those.
func (w *bodyWalk) staged(r kv.Reader, now index.Mailbox, uids *uidset.Set) error {
	walker, err := staging.NewWalker(r)
	if err != nil {
		return err
	}
	defer walker.Close()
	w.rest, w.octets = w.rest[:0], 0
	b := w.newBody(w.ctx)
	b.chunks = walker.Chunk
	return mailbox.WalkMessages(r, w.account.id, w.info.ID, uids,
		func(u index.UID, flags *indexpb.FlagRecord, s *indexpb.Summary) error {
			if err := w.ctx.Err(); err != nil {
				return err
			}
			id := index.BodyID(s.BodyId)
			rec, err := walker.Record(id)
			if err != nil {
				return fmt.Errorf("open message %d: %w", u, err)
			}
			msg := newMessage(u, flagState(now.Keywords, flags), s)
			if rec.Pack != 0 || len(w.rest) > 0 {
				return w.gather(walker, msg, rec)
			}
			b.id, b.loaded = id, -1
			b.size, b.chunkSize = int64(rec.Size), int64(rec.ChunkSize)
			return w.fn(msg, b)
		})
}

// gather keeps a message for packed, or returns errPacked where there are enough, or the body is staged and
// not small.
func (w *bodyWalk) gather(walker *staging.Walker, msg Message, rec *indexpb.BodyRecord) error {
	at, err := placeOf(msg.BodyID, rec)
	if err != nil {
		return err
	}
	p := packedMessage{Message: msg, size: int64(rec.Size), chunkSize: int64(rec.ChunkSize), place: at}
	octets := 0
	switch {
	case at != nil:
		for _, n := range at.lengths[:min(aheadFirst, len(at.lengths))] {
			octets += int(n)
		}
	case rec.Chunks > 1 || rec.Stored > packedStaged:
		return errPacked
	case rec.Chunks == 1:
		frame, err := walker.Chunk(msg.BodyID, 0)
		if err != nil {
			return fmt.Errorf("open message %d: %w", msg.UID, err)
		}
		p.frame = bytes.Clone(frame)
		octets = packedOctets / packedStaged * len(frame)
	}
	if len(w.rest) >= packedMessages || len(w.rest) > 0 && w.octets+octets > packedOctets {
		return errPacked
	}
	p.EncodedEnvelope, p.EncodedStructure = bytes.Clone(p.EncodedEnvelope), bytes.Clone(p.EncodedStructure)
	w.rest, w.octets = append(w.rest, p), w.octets+octets
	return nil
}

// packed calls fn for the messages that were gathered.
func (w *bodyWalk) packed() error {
	packs := &packs{group: w.group}
	err := w.account.moment(func(r kv.Reader) error {
		for i := range w.rest {
			if err := packs.find(r, w.rest[i].place); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var refs []blobstore.Ref
	for _, p := range w.rest {
		if p.place != nil && p.place.pack != nil {
			refs = p.place.refs(refs, 0, aheadFirst)
		}
	}
	w.store().ahead(refs)
	for _, p := range w.rest {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		b := w.newBody(w.ctx)
		b.packs, b.id, b.place, b.size, b.chunkSize = packs, p.BodyID, p.place, p.size, p.chunkSize
		b.chunks = func(index.BodyID, uint32) ([]byte, error) { return p.frame, nil }
		if err := errors.Join(w.fn(p.Message, b), b.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (m *Mailbox) store() *Store { return m.account.store }
