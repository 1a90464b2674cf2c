package mailstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/search/trigram"
	"github.com/rookery-mail/rookery/index/uidset"
)

// Bounds of Sift. Two workers keep a small machine's processors busy and leave a larger one to others.
const (
	siftWorkers  = 2
	siftBatch    = 512      // messages of one snapshot
	siftMessages = 32       // handed to a worker at a time
	siftFrames   = 64 << 10 // compressed octets handed to a worker at a time, unless one frame is larger
)

// Sift calls functions that sieve makes with the messages that are in uids and their open bodies, in no
// order and from up to two goroutines at once: each of them calls its own function. sieve and passed are
// called by the caller's goroutine, passed for each message before it is looked at. The arguments of the
// functions are valid until they return. UIDs that are no messages are passed over; the first error
// ends it.
//
// Bodies are read in the order of their keys with one iterator for each 512 messages, so that it costs a
// small part of as many OpenBody. Those in packs come after the others, in the order of their packs, and
// are read without holding a moment of the state.
func (m *Mailbox) Sift(ctx context.Context, uids *uidset.Set, passed func() error, sieve func() func(*Message, Body) error) error {
	s := sifting{mailbox: m, sieve: sieve, passed: passed}
	for batch := range uids.Batches(siftBatch) {
		if err := s.run(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// Narrow gives those of uids that may match q: all that do are among them. A nil q narrows nothing.
func (m *Mailbox) Narrow(uids *uidset.Set, q *trigram.Query) *uidset.Set {
	texts := m.account.store.c.Texts
	if texts == nil || q == nil {
		return uids
	}
	return texts.Narrow(m.account.id, m.info, uids, q)
}

// sifting is a Sift being carried out.
type sifting struct {
	mailbox *Mailbox
	sieve   func() func(*Message, Body) error
	passed  func() error
	workers [siftWorkers]*sifter // made when first needed

	// Of the batch.
	messages []Message
	kept     []byte    // what the messages refer to
	packed   []Message // of messages, those that have no chunk in the state
}

// handful is what a worker gets: messages, and for each its only frame, or nothing.
type handful struct {
	messages []Message
	frames   [][]byte
	octets   []byte // of the frames
}

func (s *sifting) run(ctx context.Context, uids *uidset.Set) error {
	s.packed = s.packed[:0]
	err := s.mailbox.read(ctx, func(r kv.Reader, now index.Mailbox) error {
		prefix := []byte{byte(keys.TableChunk)}
		it, err := r.Scan(prefix, keys.After(nil, prefix))
		if err != nil {
			return err
		}
		defer it.Close()
		if err := s.collect(r, now, uids); err != nil || len(s.messages) == 0 {
			return err
		}
		return s.handOut(ctx, len(s.messages), func(ctx context.Context, out *handOut) error { return s.read(ctx, it, out) })
	})
	if err != nil || len(s.packed) == 0 {
		return err
	}
	return s.readPacked(ctx)
}

// collect reads the messages and puts them into the order of their bodies.
func (s *sifting) collect(r kv.Reader, now index.Mailbox, uids *uidset.Set) error {
	s.messages, s.kept = s.messages[:0], s.kept[:0]
	m := s.mailbox
	err := mailbox.WalkMessages(r, m.account.id, m.info.ID, uids, func(u index.UID, flags *indexpb.FlagRecord, sum *indexpb.Summary) error {
		msg := newMessage(u, flagState(now.Keywords, flags), sum)
		msg.EncodedEnvelope, msg.EncodedStructure = s.keep(sum.Envelope), s.keep(sum.Structure)
		s.messages = append(s.messages, msg)
		return nil
	})
	slices.SortFunc(s.messages, func(a, b Message) int { return cmp.Compare(a.BodyID, b.BodyID) })
	return err
}

func (s *sifting) keep(b []byte) []byte {
	from := len(s.kept)
	s.kept = append(s.kept, b...)
	return s.kept[from:len(s.kept):len(s.kept)]
}

// handOut is the way of handfuls to workers and back.
type handOut struct {
	work chan *handful
	free chan *handful
	now  *handful // being filled
}

// handOut calls fill, which puts up to n messages out, while workers take them.
func (s *sifting) handOut(ctx context.Context, n int, fill func(context.Context, *handOut) error) error {
	group, within := errgroup.WithContext(ctx)
	out := &handOut{work: make(chan *handful), free: make(chan *handful, siftWorkers+1)}
	for range siftWorkers + 1 {
		out.free <- &handful{}
	}
	for i := range min(siftWorkers, (n+siftMessages-1)/siftMessages) {
		if s.workers[i] == nil {
			s.workers[i] = &sifter{mailbox: s.mailbox, fn: s.sieve()}
		}
		w := s.workers[i]
		group.Go(func() error {
			for h := range out.work {
				if err := w.handful(within, h); err != nil {
					return err
				}
				out.free <- h
			}
			return nil
		})
	}
	err := fill(within, out)
	if err == nil {
		out.send(within)
	}
	close(out.work)
	return cmp.Or(group.Wait(), err, ctx.Err())
}

// next gives the handful to be filled, after one that is full was sent. It is nil when ctx ends: a worker
// has the error, or the caller's ctx.
func (o *handOut) next(ctx context.Context) *handful {
	if o.now != nil && (len(o.now.messages) >= siftMessages || len(o.now.octets) >= siftFrames) {
		o.send(ctx)
	}
	if o.now == nil {
		select {
		case o.now = <-o.free:
			o.now.messages, o.now.frames, o.now.octets = o.now.messages[:0], o.now.frames[:0], o.now.octets[:0]
		case <-ctx.Done():
		}
	}
	return o.now
}

func (o *handOut) send(ctx context.Context) {
	if o.now != nil && len(o.now.messages) > 0 {
		select {
		case o.work <- o.now:
		case <-ctx.Done():
		}
	}
	o.now = nil
}

// read puts out the messages whose frames are in the state, and keeps those in packs for readPacked.
func (s *sifting) read(ctx context.Context, frames kv.Iterator, out *handOut) error {
	f := onlyFrames{it: frames}
	for _, m := range s.messages {
		h := out.next(ctx)
		if h == nil {
			return nil
		}
		from := len(h.octets)
		octets, found, err := f.append(h.octets, m.BodyID)
		if err != nil {
			return err
		}
		if !found && m.Size > 0 {
			s.packed = append(s.packed, m)
			continue
		}
		if err := s.passed(); err != nil {
			return err
		}
		h.octets = octets
		h.messages, h.frames = append(h.messages, m), append(h.frames, octets[from:len(octets):len(octets)])
	}
	return nil
}

// onlyFrames reads the frames of bodies that have one.
type onlyFrames struct {
	it  kv.Iterator
	key []byte
	at  bool
}

// append appends the frame of a body, or nothing where the body has several or none; found says that it has
// any.
func (f *onlyFrames) append(dst []byte, id index.BodyID) (appended []byte, found bool, err error) {
	f.key = keys.Chunk(f.key[:0], id, 0)
	if !f.at || !bytes.Equal(f.it.Key(), f.key) {
		f.at = f.it.SeekGE(f.key)
	}
	if !f.at || !bytes.Equal(f.it.Key(), f.key) {
		return dst, false, f.it.Error()
	}
	value, err := f.it.Value()
	if err != nil {
		return dst, false, err
	}
	from := len(dst)
	dst = append(dst, value...)
	if f.at = f.it.Next(); f.at && bytes.HasPrefix(f.it.Key(), f.key[:len(f.key)-4]) {
		return dst[:from], true, nil
	}
	return dst, true, f.it.Error()
}

// sifter is one worker.
type sifter struct {
	mailbox *Mailbox
	fn      func(*Message, Body) error
	octets  []byte
}

func (w *sifter) handful(ctx context.Context, h *handful) error {
	for i := range h.messages {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.message(ctx, &h.messages[i], h.frames[i]); err != nil {
			return err
		}
	}
	return nil
}

// message calls the function. Whatever is not plainly a body of one frame is opened as any other.
func (w *sifter) message(ctx context.Context, m *Message, frame []byte) error {
	if len(frame) > 0 {
		var err error
		if w.octets, err = w.mailbox.account.store.codec.Octets(w.octets, frame); err != nil {
			return fmt.Errorf("decompress body %d of message %d: %w", m.BodyID, m.UID, err)
		}
		if uint64(len(w.octets)) == m.Size {
			return w.fn(m, access.Octets(w.octets))
		}
	}
	body, err := w.mailbox.OpenBody(ctx, m.UID)
	if errors.Is(err, index.ErrNoMessage) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(w.fn(m, body), body.Close())
}
