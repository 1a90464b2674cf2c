package packer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/pack"
)

// errForeign says that a pack is not for the packer to finish: the body of a large message goes into
// it, and gets its number with the message.
var errForeign = errors.New("the pack of a message on its way")

// resume looks at the packs that are open and not made here: those of earlier leaders whose objects are
// whole are finished, others are abandoned once they are old.
func (w *Worker) resume(ctx context.Context) error {
	packs, err := w.part.Packs(ctx)
	if err != nil {
		return fmt.Errorf("look for open packs of partition %d: %w", w.part.Group(), err)
	}
	for _, info := range packs {
		if info.State != blobstore.PackOpen || w.owns(info.ID) {
			continue
		}
		err := w.finish(ctx, info, packs)
		switch {
		case err == nil:
			w.p.Logger.Info("pack of an earlier leader finished", "partition", w.part.Group(), "pack", info.Number)
			continue
		case !errors.Is(err, errForeign) && !unfinishable(err):
			return fmt.Errorf("finish pack %d of partition %d: %w", info.Number, w.part.Group(), err)
		case w.p.Now().Sub(info.Since) < w.p.OpenFor:
			continue
		}
		w.p.Logger.Info("pack of an earlier leader abandoned", "partition", w.part.Group(), "pack", info.Number, "err", err)
		if err := w.part.Abandon(ctx, info.Number); err != nil {
			return fmt.Errorf("abandon pack %d of partition %d: %w", info.Number, w.part.Group(), err)
		}
	}
	w.resumed, w.look = true, w.p.Now().Add(w.p.OpenFor/4)
	return nil
}

// unfinishable says whether an object will not become the pack that it should be.
func unfinishable(err error) bool {
	return errors.Is(err, blobstore.ErrDamaged) || errors.Is(err, blobstore.ErrFormat) || errors.Is(err, blobstore.ErrNoKey)
}

// finish tells the log of an open pack whose object is whole.
func (w *Worker) finish(ctx context.Context, info blobstore.PackInfo, packs []blobstore.PackInfo) error {
	c, err := w.p.contents(ctx, info.Pack)
	if err != nil {
		return err
	}
	if slices.Contains(ids(c), 0) {
		return errForeign
	}
	if err := w.verify(ctx, c); err != nil {
		return err
	}
	runs, err := w.origins(ctx, c, packs)
	if err != nil {
		return err
	}
	return w.packed(ctx, info.Number, runs, c.Size)
}

// verify reads a whole object.
func (w *Worker) verify(ctx context.Context, c *pack.Contents) error {
	ctx, cancel := context.WithTimeout(ctx, w.p.Timeout)
	defer cancel()
	r, err := w.p.Bucket.Get(ctx, c.Pack.Object(), 0, -1)
	if err != nil {
		return fmt.Errorf("read %s: %w", c.Pack.Object(), err)
	}
	defer r.Close()
	_, err = c.Verify(r, nil)
	return err
}

// origins finds out where the bodies of a pack are so far, and divides them into runs. Those that are
// nowhere any more, or in the pack already, go with their neighbours: the log looks at each.
func (w *Worker) origins(ctx context.Context, c *pack.Contents, packs []blobstore.PackInfo) ([]run, error) {
	from := map[uint64]uint64{}
	left := ids(c)
	find := func(number uint64) error {
		m, err := w.part.Describe(ctx, number, left)
		if err != nil {
			return fmt.Errorf("describe pack %d: %w", number, err)
		}
		for _, b := range m.Bodies {
			from[b.Entry.Body] = number
		}
		left = slices.DeleteFunc(left, func(id uint64) bool { _, known := from[id]; return known })
		return nil
	}
	if err := find(0); err != nil {
		return nil, err
	}
	for _, info := range packs {
		if len(left) == 0 {
			break
		}
		if info.LiveBodies == 0 || info.ID == c.Pack.ID {
			continue
		}
		if err := find(info.Number); err != nil {
			return nil, err
		}
	}
	return divide(c, from), nil
}

// divide gives the entries of a pack in runs that come from one place.
func divide(c *pack.Contents, from map[uint64]uint64) []run {
	entries := make([]blobstore.Entry, len(c.Manifest.Bodies))
	for i, b := range c.Manifest.Bodies {
		entries[i] = b.Entry
	}
	slices.SortFunc(entries, byOffset)
	var runs []run
	undecided := 0 // entries at the front of which nothing is known
	for _, e := range entries {
		origin, known := from[e.Body]
		last := len(runs) - 1
		switch {
		case last < 0:
			runs = append(runs, run{from: origin})
			last = 0
		case known && undecided == len(runs[last].entries):
			runs[last].from = origin
		case known && origin != runs[last].from:
			runs = append(runs, run{from: origin})
			last++
			undecided = 0
		}
		if !known && undecided == len(runs[last].entries) {
			undecided++
		}
		runs[last].entries = append(runs[last].entries, e)
	}
	return runs
}
