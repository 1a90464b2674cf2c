package concordance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/search"
	"github.com/rookery-mail/rookery/index/search/trigram"
	"github.com/rookery-mail/rookery/index/uidset"
)

const (
	handful = 32 // messages that are read without a rest, few enough for one of Sift's workers
)

// Update brings a mailbox up to date: it throws away what cannot be trusted, takes in what is new where that is
// Config.Least messages or more, and merges segments. Errors are those of the mailbox and the disk; what was done
// before one stays.
func (x *Index) Update(ctx context.Context, a index.AccountID, m index.MailboxID) error {
	p := place{a, m}
	box, err := x.c.Open(ctx, a, m)
	if errors.Is(err, index.ErrGone) || errors.Is(err, index.ErrNoAccount) {
		return x.drop(p)
	}
	if err != nil {
		return err
	}
	err = x.update(ctx, p, box)
	if errors.Is(err, index.ErrGone) {
		return x.drop(p)
	}
	if unreadable(err) {
		x.distrust(p)
	}
	if err != nil {
		return fmt.Errorf("update the search index of mailbox %d of account %d: %w", m, a, err)
	}
	return nil
}

// unreadable reports whether an error says that the index itself is damaged.
func unreadable(err error) bool {
	return errors.Is(err, trigram.ErrFormat) || pebble.IsCorruptionError(err)
}

func (x *Index) update(ctx context.Context, p place, box Mailbox) error {
	if err := x.c.Full(); err != nil {
		return err
	}
	view, err := box.View(ctx)
	if err != nil || x.hardlyChanged(p, view) {
		return err
	}
	kept, err := x.examine(ctx, p, box, view)
	if err != nil {
		return err
	}
	if err := x.db.Set(p.key(tableMailbox), nil, pebble.NoSync); err != nil {
		return err
	}
	x.change(p, func(e *entry) { e.trusted, e.damaged = true, false })
	missing := view.UIDs.Clone()
	for _, s := range kept {
		missing.Subtract(s.set())
	}
	if missing.Len() >= x.c.Least {
		w := writing{Index: x, place: p, box: box, view: view, builder: trigram.NewBuilder(), kept: kept}
		if err := w.run(ctx, missing); err != nil {
			return err
		}
		kept = w.kept
	}
	if err := x.tidy(ctx, p, kept, view.UIDs); err != nil {
		return err
	}
	x.change(p, func(e *entry) { e.uidNext, e.messages = view.Mailbox.UIDNext, view.UIDs.Len() })
	return nil
}

// hardlyChanged reports whether there is nothing to do for a mailbox, as far as its counters tell.
func (x *Index) hardlyChanged(p place, now access.View) (same bool) {
	x.change(p, func(e *entry) {
		same = e.trusted && !e.damaged && e.uidNext > 0 && now.Mailbox.UIDNext >= e.uidNext &&
			int64(now.Mailbox.UIDNext)-int64(e.uidNext) < int64(x.c.Least) && 2*now.UIDs.Len() >= e.messages
	})
	return same
}

// stored is a segment that lies in the index.
type stored struct {
	*trigram.Segment
	n segment
}

func (s *stored) set() *uidset.Set {
	set := uidset.New()
	cover(set, s.UIDs)
	cover(set, s.Beyond)
	return set
}

// examine reads the segments of a mailbox and holds them against it. Where they are not of it as it is now, or
// cannot be read, it deletes them all.
func (x *Index) examine(ctx context.Context, p place, box Mailbox, view access.View) ([]stored, error) {
	x.mu.Lock()
	e := x.accounts[p.account][p.mailbox]
	if e == nil {
		x.enqueue(p)
		e = x.accounts[p.account][p.mailbox]
	}
	trusted, damaged := e.trusted, e.damaged
	x.mu.Unlock()
	kept, err := x.segments(p)
	switch {
	case err != nil && !unreadable(err):
		return nil, err
	case err != nil:
		damaged = true
	case !damaged && !trusted:
		if damaged, err = strange(ctx, box, view, kept); err != nil {
			return nil, err
		}
	}
	for _, s := range kept {
		damaged = damaged || s.UIDValidity != view.Mailbox.UIDValidity
	}
	if !damaged {
		return kept, nil
	}
	x.log.Info("the search index of a mailbox is made anew", "account", p.account, "mailbox", p.mailbox)
	x.mu.Lock()
	x.counts.Discarded++
	x.mu.Unlock()
	return nil, x.empty(p)
}

// strange reports whether segments are not of the mailbox's past, as after a state was put back from a copy.
func strange(ctx context.Context, box Mailbox, view access.View, kept []stored) (bool, error) {
	saved := make(map[index.UID]int64)
	last := uidset.New()
	for _, s := range kept {
		if s.ModSeq > view.Mailbox.HighestModSeq || s.Last >= view.Mailbox.UIDNext {
			return true, nil
		}
		saved[s.Last] = s.Saved
		last.Add(s.Last)
	}
	wrong := false
	err := box.Messages(ctx, last, func(m access.Message) error {
		wrong = wrong || m.SaveDate.UnixMilli() != saved[m.UID]
		return nil
	})
	return wrong, err
}

// segments reads what describes the segments of a mailbox.
func (x *Index) segments(p place) (kept []stored, err error) {
	err = each(x.db, p.key(tableSegment), func(key, value []byte) error {
		n, err := segmentOf(key)
		if err != nil {
			return err
		}
		s, err := trigram.ReadSegment(value)
		kept = append(kept, stored{s, n})
		return err
	})
	return kept, err
}

// empty deletes the segments of a mailbox.
func (x *Index) empty(p place) error {
	b := x.db.NewBatch()
	defer b.Close()
	for _, table := range []byte{tableSegment, tablePostings} {
		prefix := p.key(table)
		if err := b.DeleteRange(prefix, after(prefix), nil); err != nil {
			return err
		}
	}
	return b.Commit(pebble.NoSync)
}

// drop deletes all that is kept of a mailbox.
func (x *Index) drop(p place) error {
	if err := x.empty(p); err != nil {
		return err
	}
	if err := x.db.Delete(p.key(tableMailbox), pebble.NoSync); err != nil {
		return err
	}
	x.forget(p)
	return nil
}

// writing takes messages into the index.
type writing struct {
	*Index
	place
	box     Mailbox
	view    access.View
	builder *trigram.Builder
	kept    []stored

	mu     sync.Mutex // guards what follows and builder, which Sift's goroutines use
	reader search.Reader
	last   index.UID
	saved  int64
}

// run reads messages and writes segments of them.
func (w *writing) run(ctx context.Context, uids *uidset.Set) error {
	for batch := range uids.Batches(handful) {
		if err := ctx.Err(); err != nil {
			return err
		}
		began := time.Now()
		if err := w.box.Sift(ctx, batch, func() error { return nil }, w.sieve); err != nil {
			return err
		}
		if w.builder.Full(handful) {
			if err := w.flush(); err != nil {
				return err
			}
		}
		w.rest(ctx, time.Since(began))
	}
	return w.flush()
}

func (w *writing) sieve() func(*access.Message, access.Body) error {
	return func(m *access.Message, body access.Body) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if err := w.builder.Add(&w.reader, m, body); err != nil {
			return err
		}
		if m.UID >= w.last {
			w.last, w.saved = m.UID, m.SaveDate.UnixMilli()
		}
		return nil
	}
}

// flush writes the messages that were read as a segment.
func (w *writing) flush() error {
	if w.builder.Empty() {
		return nil
	}
	n := following(w.kept)
	b := w.db.NewBatch()
	defer b.Close()
	s, err := w.builder.Finish(func(g trigram.Gram, postings []byte) error {
		return b.Set(w.postings(n, g), postings, nil)
	})
	if err != nil {
		return err
	}
	s.UIDValidity, s.ModSeq, s.Last, s.Saved = w.view.Mailbox.UIDValidity, w.view.Mailbox.HighestModSeq, w.last, w.saved
	if err := b.Set(w.segment(tableSegment, n), s.Append(nil), nil); err != nil {
		return err
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return err
	}
	w.last = 0
	w.kept = append(w.kept, stored{s, n})
	w.Index.mu.Lock()
	defer w.Index.mu.Unlock()
	w.counts.Messages += uint64(len(s.UIDs) + len(s.Beyond))
	return nil
}

// following gives the number of a new segment.
func following(kept []stored) segment {
	if len(kept) == 0 {
		return 1
	}
	return slices.MaxFunc(kept, func(a, b stored) int { return int(a.n) - int(b.n) }).n + 1
}
