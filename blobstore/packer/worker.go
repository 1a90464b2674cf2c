package packer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
)

// Worker packs for one partition, on the node that leads it.
type Worker struct {
	p       *Packer
	part    Partition
	flushes chan *flush
	failed  bool          // the last turn; for Run alone
	ended   chan struct{} // closed at the end of Run

	turn chan struct{} // one pack at a time: full while one is made, finished or brought home
	// What turn guards.
	resumed bool                 // the packs of earlier leaders were looked at
	mode    blobstore.Mode       // in which they were
	look    time.Time            // when to look at open packs again
	lastTry time.Time            // of packing by age
	left    int64                // bodies that were staged when all were to be packed; -1: not asked yet
	stuck   map[uint64]time.Time // packs that are not to be brought home before

	mu     sync.Mutex // guards what follows
	making map[blobstore.PackID]bool
	status Status
	speed  meter
}

// flush is somebody who waits until all that is staged is packed.
type flush struct {
	done chan error // takes one
}

// errEnded says that this node does not pack for the partition any more.
var errEnded = errors.New("the partition is led elsewhere now")

// Run packs until ctx ends: as long as this node leads the partition. What fails is tried again. It is
// called once.
func (w *Worker) Run(ctx context.Context) {
	w.p.enlist(w)
	defer w.p.dismiss(w)
	defer close(w.ended)
	var asked []*flush
	defer func() { answer(asked, errEnded) }()
	for {
		more, err := w.oneTurn(ctx, len(asked) > 0)
		if ctx.Err() != nil {
			return
		}
		w.turned(err)
		if !more || err != nil {
			answer(asked, err)
			asked = nil
		}
		pause := w.p.Poll
		if more && err == nil {
			pause = 0
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case f := <-w.flushes:
			asked = append(asked, f)
			w.left = -1
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// turned keeps how a turn went. What another call found, as damage, stays until the next pack. Of failures in a
// row one is logged.
func (w *Worker) turned(err error) {
	switch {
	case err != nil && !w.failed:
		w.p.Logger.Warn("packing goes on later", "partition", w.part.Group(), "err", err)
		w.note(err)
	case err != nil:
		w.note(err)
	case w.failed:
		w.p.Logger.Info("packing goes on", "partition", w.part.Group())
		w.note(nil)
	}
	w.failed = err != nil
}

func answer(asked []*flush, err error) {
	for _, f := range asked {
		f.done <- err
	}
}

// Flush packs all that is staged, and returns when it is packed, when that failed, or with ctx.
func (w *Worker) Flush(ctx context.Context) error {
	f := &flush{done: make(chan error, 1)}
	select {
	case w.flushes <- f:
	case <-w.ended:
		return errEnded
	case <-ctx.Done():
		return fmt.Errorf("pack what is staged in partition %d: %w", w.part.Group(), ctx.Err())
	}
	select {
	case err := <-f.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("pack what is staged in partition %d: %w", w.part.Group(), ctx.Err())
	}
}

// begin waits for the turn, which may be another's for as long as the store fails.
func (w *Worker) begin(ctx context.Context) error {
	select {
	case w.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *Worker) end() { <-w.turn }

// oneTurn does one piece of work and says whether there may be more to do at once.
func (w *Worker) oneTurn(ctx context.Context, all bool) (more bool, err error) {
	if err := w.begin(ctx); err != nil {
		return false, err
	}
	defer w.end()
	backlog, err := w.part.Status(ctx)
	if err != nil {
		return false, fmt.Errorf("look at partition %d: %w", w.part.Group(), err)
	}
	w.observe(backlog)
	if err := w.resume(ctx, backlog.Mode); err != nil {
		return false, err
	}
	switch backlog.Mode {
	case blobstore.Listing:
		_, err := w.part.ListUsers(ctx)
		return err == nil, err // when all are listed, packing begins
	case blobstore.Packed:
		return w.pack(ctx, backlog, all)
	case blobstore.Homing:
		return w.home(ctx)
	}
	return false, nil
}

// pack makes one pack of staged bodies if it is time.
func (w *Worker) pack(ctx context.Context, backlog blobstore.Backlog, all bool) (more bool, err error) {
	now := w.p.Now()
	old := backlog.Since
	if w.lastTry.After(old) { // Since is a bound: bodies that came later would be packed one by one
		old = w.lastTry
	}
	if all && w.left < 0 {
		w.left = int64(backlog.Bodies)
	}
	full, due := backlog.Bytes >= uint64(w.p.Target), now.Sub(old) >= w.p.Age
	if backlog.Bodies == 0 || !full && !due && !(all && w.left > 0) {
		return false, nil
	}
	slot := w.p.pacedSlot
	if all {
		slot = w.p.slot
	}
	back, err := slot(ctx)
	if err != nil {
		return false, err
	}
	defer back()
	manifest, err := w.part.Pick(ctx, w.p.Target, maxBodies)
	if err != nil {
		return false, fmt.Errorf("pick bodies of partition %d: %w", w.part.Group(), err)
	}
	if due {
		w.lastTry = now
	}
	n := len(manifest.Bodies)
	if n == 0 || !due && !all && n < maxBodies && octets(manifest) < w.p.Target/2 {
		return false, nil // what is staged is uploads, that are not bodies yet
	}
	w.left -= int64(n)
	if _, err := w.make(ctx, load{manifest: manifest, sources: []source{w.staged(n)}}); err != nil {
		return false, fmt.Errorf("pack bodies of partition %d: %w", w.part.Group(), err)
	}
	return true, nil
}

// octets is how much the frames of bodies are.
func octets(m *blobstore.Manifest) (sum int64) {
	for _, b := range m.Bodies {
		for _, n := range b.Lengths {
			sum += int64(n)
		}
	}
	return sum
}

// staged is the source of bodies that are staged.
func (w *Worker) staged(bodies int) source {
	return source{bodies: bodies, frame: func(ctx context.Context, b *blobstore.Body, chunk int) ([]byte, error) {
		frame, err := w.part.Frame(ctx, b.Entry.Body, uint32(chunk))
		if err == nil {
			return frame, nil
		}
		left, again := w.part.Describe(ctx, 0, []uint64{b.Entry.Body})
		if again == nil && len(left.Bodies) == 0 {
			return nil, errGone
		}
		return nil, err
	}}
}
