package packer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/blobstore/shelf"
)

// resume looks now and then at the packs that are open and not made here: those of earlier leaders whose
// objects are whole are finished, others are abandoned once they are old. Where bodies are to be at
// home, the log takes none into a pack any more, and all are abandoned.
func (w *Worker) resume(ctx context.Context, mode blobstore.Mode) error {
	if w.resumed && mode == w.mode && w.p.Now().Before(w.look) {
		return nil
	}
	packs, err := w.part.Packs(ctx)
	if err != nil {
		return fmt.Errorf("look for open packs of partition %d: %w", w.part.Group(), err)
	}
	for _, info := range packs {
		if info.State != blobstore.PackOpen || w.owns(info.ID) {
			continue
		}
		if err := w.resumeOne(ctx, mode, info, packs); err != nil {
			return err
		}
	}
	w.resumed, w.mode, w.look = true, mode, w.p.Now().Add(w.p.OpenFor/4)
	return nil
}

// resumeOne finishes, abandons or leaves one open pack.
func (w *Worker) resumeOne(ctx context.Context, mode blobstore.Mode, info blobstore.PackInfo, packs []blobstore.PackInfo) error {
	if mode == blobstore.Listing || mode == blobstore.Packed {
		err := w.finish(ctx, info, packs)
		switch {
		case err == nil:
			w.p.Logger.Info("pack of an earlier leader finished", "partition", w.part.Group(), "pack", info.Number)
			return nil
		case !unfinishable(err):
			return fmt.Errorf("finish pack %d of partition %d: %w", info.Number, w.part.Group(), err)
		case w.p.Now().Sub(info.Since) < w.p.OpenFor:
			return nil
		}
	}
	w.p.Logger.Info("open pack abandoned", "partition", w.part.Group(), "pack", info.Number)
	if err := w.part.Abandon(ctx, info.Number); err != nil {
		return fmt.Errorf("abandon pack %d of partition %d: %w", info.Number, w.part.Group(), err)
	}
	return nil
}

// unfinishable says whether an object will not become the pack that it should be.
func unfinishable(err error) bool {
	return errors.Is(err, blobstore.ErrDamaged) || errors.Is(err, blobstore.ErrFormat) || errors.Is(err, blobstore.ErrNoKey)
}

// finish tells the log of an open pack whose object is whole.
func (w *Worker) finish(ctx context.Context, info blobstore.PackInfo, packs []blobstore.PackInfo) error {
	c, err := w.p.shelf.Contents(ctx, info.Pack)
	if err != nil {
		return err
	}
	if _, err := w.p.shelf.Verify(ctx, c, nil); err != nil {
		return err
	}
	runs, err := w.origins(ctx, c, packs)
	if err != nil {
		return err
	}
	return w.packed(ctx, info.Number, runs, c.Size)
}

// origins finds out where the bodies of a pack are so far, and divides them into runs. Those that are
// nowhere any more, or in the pack already, go with their neighbours: the log looks at each.
func (w *Worker) origins(ctx context.Context, c *pack.Contents, packs []blobstore.PackInfo) ([]run, error) {
	from := map[uint64]uint64{}
	left := shelf.Bodies(c)
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
