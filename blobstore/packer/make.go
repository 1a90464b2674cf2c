package packer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
)

// triesOfSpool is how often an object that reads back as something else is put from one spool file, which
// might be what is damaged.
const triesOfSpool = 5

// make makes one pack of l and tells the log: nothing is made where no body was left. It holds the right
// to do so for as long as the store fails; what ends it is ctx.
func (w *Worker) make(ctx context.Context, l load) (made int64, err error) {
	ref, key, err := w.p.newPack(w.part.Group())
	if err != nil {
		return 0, err
	}
	s, err := w.p.spool(ctx, ref, key, l)
	if s == nil || err != nil {
		return 0, err
	}
	defer s.drop()
	if err := w.p.store.pass(ctx); err != nil { // no pack is begun for a store that is known to fail
		return 0, err
	}
	w.own(ref.ID, true)
	defer w.own(ref.ID, false)
	number, err := w.part.Begin(ctx, ref)
	if err != nil {
		return 0, fmt.Errorf("begin a pack: %w", err)
	}
	if err := w.place(ctx, s); err != nil {
		if errors.Is(err, blobstore.ErrDamaged) {
			err = errors.Join(err, w.part.Abandon(ctx, number))
		}
		return 0, fmt.Errorf("put pack %d: %w", number, err)
	}
	if err := w.packed(ctx, number, s.runs, s.summary.Size); err != nil {
		return 0, err
	}
	w.count(s)
	return s.summary.Size, nil
}

// place puts a pack into the store until it reads back as it was. Its error is of ctx, or
// blobstore.ErrDamaged.
func (w *Worker) place(ctx context.Context, s *spool) error {
	for damaged := 0; ; {
		err := w.p.put(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.p.store.note(err)
		w.note(err)
		if err == nil {
			return nil
		}
		if errors.Is(err, blobstore.ErrDamaged) {
			if damaged++; damaged == triesOfSpool {
				return err
			}
		}
		w.p.Logger.Warn("bodies stay staged, the store is asked again", "partition", s.pack.Group, "pack", s.pack.ID.String(), "err", err)
		if err := w.p.store.pass(ctx); err != nil {
			return err
		}
	}
}

// put puts a pack into the store and reads it back. blobstore.ErrDamaged says that the store gives
// something else, or nothing, though it had said that all was well.
func (p *Packer) put(ctx context.Context, s *spool) error {
	name := s.pack.Object()
	putting, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	if err := p.Bucket.Put(putting, name, s.file, s.summary.Size); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	reading, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	r, err := p.Bucket.Get(reading, name, 0, -1)
	if errors.Is(err, object.ErrNotFound) {
		return fmt.Errorf("%s was put and is not there: %w", name, blobstore.ErrDamaged)
	}
	if err != nil {
		return fmt.Errorf("read back %s: %w", name, err)
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(r, s.summary.Size+1))
	switch {
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("read back %s at %d: %w", name, n, err)
	case n != s.summary.Size || [sha256.Size]byte(h.Sum(nil)) != s.summary.SHA256:
		return fmt.Errorf("%s reads back as %d octets that are not those put: %w", name, n, blobstore.ErrDamaged)
	}
	return nil
}

// packed tells the log where the bodies of a pack are: run by run, the last one makes it whole.
func (w *Worker) packed(ctx context.Context, number uint64, runs []run, size int64) error {
	if len(runs) == 0 {
		runs = []run{{}}
	}
	for i, r := range runs {
		if err := w.part.Packed(ctx, number, r.entries, r.from, i == len(runs)-1, uint64(size)); err != nil {
			w.resumed = false // its object is whole: the next turn tells the log again
			return fmt.Errorf("tell the log of pack %d: %w", number, err)
		}
	}
	return nil
}
