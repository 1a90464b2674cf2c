package engine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/uidset"
)

// How many messages FETCH reads of one moment of the store. A client that reads slowly must not hold a
// snapshot for long.
const (
	fetchBatch = 1000
	bodyBatch  = 100
)

// bulkFrom is how many messages' answers are written with a large buffer.
const bulkFrom = 16

// seenPause is how long reading goes on without setting \Seen after no majority answered.
const seenPause = 30 * time.Second

// fetchPlan is what a FETCH asks for, once.
type fetchPlan struct {
	uid, flags, modSeq bool
	items              []wire.FetchItem // the others, in order
	body               bool             // some need the message's octets
	seen               bool             // some set \Seen
}

func newFetchPlan(a *wire.Fetch, uid bool) fetchPlan {
	p := fetchPlan{uid: uid, modSeq: a.ChangedSince != nil}
	for _, item := range a.Items {
		switch item.Kind {
		case wire.FetchUID:
			p.uid = true
			continue
		case wire.FetchFlags:
			p.flags = true
			continue
		case wire.FetchModSeq:
			p.modSeq = true
			continue
		case wire.FetchSection, wire.FetchBinary, wire.FetchRFC822, wire.FetchRFC822Text:
			p.seen = p.seen || !item.Peek
			p.body = true
		case wire.FetchRFC822Header, wire.FetchBinarySize, wire.FetchPreview:
			p.body = true
		}
		p.items = append(p.items, item)
	}
	return p
}

// fetch is FETCH (RFC 9051, section 6.4.5; RFC 7162, section 3.1.4).
func (s *Session) fetch(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Fetch)
	if a.Vanished && (!cmd.UID || a.ChangedSince == nil || !s.enabled.qresync) {
		return bad("VANISHED goes with UID FETCH, CHANGEDSINCE and QRESYNC"), nil
	}
	uids, err := s.view.Resolve(a.Set, cmd.UID)
	if err != nil {
		return reply{}, err
	}
	plan := newFetchPlan(a, cmd.UID && !s.enabled.uidOnly)
	if plan.modSeq {
		s.useCondStore()
	}
	if a.Vanished {
		if err := s.tellEarlier(ctx, a); err != nil {
			return reply{}, err
		}
	}
	uids, part, err := s.window(ctx, a, uids)
	if err != nil {
		return reply{}, err
	}
	f := fetching{Session: s, plan: plan}
	if uids.Len() >= bulkFrom {
		s.w.Bulk()
	}
	size := fetchBatch
	if plan.body {
		size = bodyBatch
	}
	tell, batches := f.batch, uids.Batches(size)
	if part != 0 {
		tell, batches = f.downward, downward(uids, size)
	}
	for batch := range batches {
		if err := tell(ctx, batch); err != nil {
			return reply{}, err
		}
	}
	if err := s.sync(ctx, cmd.UID, cmd.UID, f.own...); err != nil {
		return reply{}, err
	}
	switch {
	case f.away != nil:
		return s.partial(part, reply{}, f.away)
	case f.unknownCTE:
		return s.partial(part, reply{}, errUnknownCTE)
	case f.told < uids.Len() && !cmd.UID && a.ChangedSince == nil:
		return s.partial(part, reply{}, errExpunged)
	}
	return s.partial(part, reply{}, nil)
}

// window gives those of the messages that a FETCH tells of, as its modifiers and the limit say.
func (s *Session) window(ctx context.Context, a *wire.Fetch, uids *uidset.Set) (*uidset.Set, partly, error) {
	var err error
	if a.ChangedSince != nil {
		if uids, err = s.changedSince(ctx, uids, index.ModSeq(*a.ChangedSince)); err != nil {
			return nil, 0, err
		}
	}
	if a.Partial == nil {
		uids, part := s.highest(uids)
		return uids, part, nil
	}
	// RFC 9394, section 3.4: of what is there and, with CHANGEDSINCE, changed.
	uids = (&result{session: s, set: uids}).part(a.Partial).members()
	if s.exceeds(uids) { // what is asked for in portions is not cut to one (RFC 9738, section 3.1)
		return nil, 0, &limitError{limit: s.c.MessageLimit}
	}
	return uids, 0, nil
}

// changedSince keeps the messages that changed after a modification sequence.
func (s *Session) changedSince(ctx context.Context, uids *uidset.Set, since index.ModSeq) (*uidset.Set, error) {
	ch, err := s.box.Changes(ctx, since)
	if err != nil {
		return nil, err
	}
	return uids.Intersect(ch.Changed), nil
}

// fetching is a FETCH being carried out.
type fetching struct {
	*Session
	plan       fetchPlan
	own        []told      // \Seen that was set
	nowSeen    *uidset.Set // of the batch: messages that just got \Seen
	told       int         // messages
	unknownCTE bool
	away       error            // of messages whose octets cannot be had now
	unread     []index.UIDRange // of the batch: those of them that just got \Seen

	lines *bufio.Reader // memory for headers
	kept  bytes.Buffer  // a filtered header
}

// batch tells some messages, of one moment.
func (f *fetching) batch(ctx context.Context, uids *uidset.Set) error {
	if err := f.mark(ctx, uids); err != nil {
		return err
	}
	if err := f.read(ctx, uids); err != nil {
		return err
	}
	return f.unmark(ctx)
}

// downward is batch from the highest UID to the lowest (RFC 9738, section 3.1). The store only reads upwards, so that
// each message is of a moment of its own.
func (f *fetching) downward(ctx context.Context, uids *uidset.Set) error {
	if err := f.mark(ctx, uids); err != nil {
		return err
	}
	for one := range downward(uids, 1) {
		if err := f.read(ctx, one); err != nil {
			return err
		}
	}
	return f.unmark(ctx)
}

// mark sets \Seen where the items ask for it and the user may.
func (f *fetching) mark(ctx context.Context, uids *uidset.Set) error {
	f.nowSeen = uidset.New()
	if !f.plan.seen || f.readOnly || !f.may(index.RightSeen) {
		return nil
	}
	return f.setSeen(ctx, uids)
}

// read tells messages as they are at one moment.
func (f *fetching) read(ctx context.Context, uids *uidset.Set) error {
	if len(f.plan.items) == 0 {
		// UID, FLAGS and MODSEQ, by which clients keep in step: no summary has to be read.
		d := &fetchedMessage{Message: &access.Message{}}
		return f.box.Flags(ctx, uids, func(u index.UID, st index.FlagState) error {
			d.UID, d.State = u, st
			return f.line(d)
		})
	}
	if f.plan.body {
		return f.box.Bodies(ctx, uids, func(m access.Message, body access.Body) error {
			d := &fetchedMessage{Message: &m, body: body}
			if err := f.ready(d); err != nil {
				return f.withoutBody(d, err)
			}
			return f.line(d)
		})
	}
	return f.box.Messages(ctx, uids, func(m access.Message) error { return f.line(&fetchedMessage{Message: &m}) })
}

// setSeen sets \Seen. A minority cannot, but still lets its users read.
func (f *fetching) setSeen(ctx context.Context, uids *uidset.Set) error {
	if f.c.Now().Before(f.seenAfter) {
		return nil
	}
	own, _, err := f.storeFlags(ctx, uids, access.StoreRequest{Op: access.Add, Flags: index.FlagSeen})
	switch {
	case errors.Is(err, cluster.ErrUnavailable), errors.Is(err, cluster.ErrStorageFull):
		f.seenAfter = f.c.Now().Add(seenPause)
		return nil
	case err != nil:
		return err
	}
	for _, t := range own {
		f.nowSeen.Union(t.uids)
	}
	f.own = append(f.own, own...)
	return nil
}

// line writes one FETCH response.
func (f *fetching) line(d *fetchedMessage) error {
	seq := f.view.Seq(d.UID)
	if seq == 0 {
		return nil
	}
	f.told++
	f.beginFetch(seq, d.UID)
	f.fixed(d.Message)
	for i := range f.plan.items {
		if i > 0 || f.plan.uid || f.plan.flags || f.plan.modSeq || f.nowSeen.Contains(d.UID) {
			f.w.Byte(' ')
		}
		if err := f.item(d, &f.plan.items[i]); err != nil {
			f.w.Break(err)
			return broken(err)
		}
	}
	f.w.Raw(")\r\n")
	return broken(f.w.Err())
}

// fixed writes UID, FLAGS and MODSEQ.
func (f *fetching) fixed(m *access.Message) {
	if f.plan.uid {
		f.w.Raw("UID ")
		f.w.Num(uint64(m.UID))
	}
	flags := f.plan.flags || f.nowSeen.Contains(m.UID)
	if flags {
		if f.plan.uid {
			f.w.Byte(' ')
		}
		f.w.Raw("FLAGS ")
		f.writeFlags(m.State)
	}
	if !f.plan.modSeq && !(flags && f.enabled.condStore && !f.plan.flags) {
		return
	}
	if f.plan.uid || flags {
		f.writeModSeq(m.State.ModSeq)
		return
	}
	f.w.Raw("MODSEQ (")
	f.w.Num(uint64(max(m.State.ModSeq, 1)))
	f.w.Byte(')')
}
