package mailstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/staging"
)

// located is a message and where its body lies, nil where it is to be opened as any other.
type located struct {
	Message
	place *place
}

// readPacked sifts the messages whose bodies are in packs, in the order in which they lie there.
func (s *sifting) readPacked(ctx context.Context) error {
	all, err := s.locate()
	if err != nil {
		return err
	}
	return s.handOut(ctx, len(all), func(ctx context.Context, out *handOut) error {
		for rest := all; len(rest) > 0; {
			n := s.ahead(rest)
			for i := range rest[:n] {
				if ctx.Err() != nil {
					return nil
				}
				if err := s.putOut(ctx, &rest[i], out); err != nil {
					return err
				}
			}
			rest = rest[n:]
		}
		return nil
	})
}

// locate finds the bodies of s.packed. One that is not there any more is left to be opened, which finds
// out that its message is gone.
func (s *sifting) locate() (all []located, err error) {
	packs := packs{group: s.mailbox.group}
	err = s.mailbox.account.moment(func(r kv.Reader) error {
		all = all[:0]
		walker, err := staging.NewWalker(r)
		if err != nil {
			return err
		}
		defer walker.Close()
		for _, m := range s.packed { // which are in the order of their bodies
			l := located{Message: m}
			rec, err := walker.Record(m.BodyID)
			if err == nil {
				l.place, err = placeOf(m.BodyID, rec)
			}
			if err == nil {
				err = packs.find(r, l.place)
			}
			if err != nil && !errors.Is(err, staging.ErrCorrupt) {
				return err
			}
			if l.place != nil && (l.place.pack == nil || len(l.place.lengths) != 1) {
				l.place = nil
			}
			all = append(all, l)
		}
		return nil
	})
	slices.SortStableFunc(all, func(a, b located) int {
		switch {
		case a.place == nil || b.place == nil:
			return cmp.Compare(btoi(a.place == nil), btoi(b.place == nil))
		case a.place.pack != b.place.pack:
			return bytes.Compare(a.place.pack.ID[:], b.place.pack.ID[:])
		}
		return cmp.Compare(a.place.offset, b.place.offset)
	})
	return all, err
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ahead has the bodies of the first messages of rest fetched, and returns how many these are.
func (s *sifting) ahead(rest []located) (n int) {
	var refs []blobstore.Ref
	for octets := 0; n < len(rest) && (n == 0 || octets < packedOctets); n++ {
		if at := rest[n].place; at != nil {
			refs = at.refs(refs, 0, 1)
			octets += int(at.lengths[0])
		}
	}
	s.mailbox.store().ahead(refs)
	return n
}

// putOut hands a message to the workers, with its frame where it has one.
func (s *sifting) putOut(ctx context.Context, l *located, out *handOut) error {
	if err := s.passed(); err != nil {
		return err
	}
	var frame []byte
	if l.place != nil {
		var err error
		frame, err = s.mailbox.store().blob(ctx, l.place, 0)
		if err != nil && !errors.Is(err, blobstore.ErrDamaged) { // which may have been moved
			return err
		}
	}
	h := out.next(ctx)
	if h == nil {
		return nil
	}
	from := len(h.octets)
	h.octets = append(h.octets, frame...)
	h.messages, h.frames = append(h.messages, l.Message), append(h.frames, h.octets[from:len(h.octets):len(h.octets)])
	return nil
}
