package packer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/shelf"
)

const (
	// homeBatch is the octets of frames in one command, at which it is sent.
	homeBatch = 128 << 10
	// homeAtOnce is how many bodies are on their way into the log at once.
	homeAtOnce = 16
	// homeAgain is how long a pack that could not be brought home waits while others are.
	homeAgain = 10 * time.Minute
)

// home brings the bodies of one pack back into the state, or says that all are back.
func (w *Worker) home(ctx context.Context) (more bool, err error) {
	packs, err := w.part.Packs(ctx)
	if err != nil {
		return false, fmt.Errorf("look for packs of partition %d: %w", w.part.Group(), err)
	}
	var next *blobstore.PackInfo
	var left uint64
	for i, info := range packs {
		if info.LiveBodies == 0 || info.State == blobstore.PackDoomed {
			continue
		}
		left += info.LiveBytes
		if next == nil && !w.p.Now().Before(w.stuck[info.Number]) {
			next = &packs[i]
		}
	}
	w.homing(0, left)
	switch {
	case next != nil:
		w.stuck[next.Number] = w.p.Now().Add(homeAgain) // a pack that is home is not live any more
		back, err := w.p.slot(ctx)
		if err != nil {
			return false, err
		}
		defer back()
		if err := w.p.store.pass(ctx); err != nil {
			return false, err
		}
		err = w.homePack(ctx, *next)
		w.note(err)
		if err != nil && !unfinishable(err) {
			delete(w.stuck, next.Number)
			return false, err
		}
		return true, nil
	case left > 0:
		return false, fmt.Errorf("bring partition %d home: %d octets cannot be read: %w", w.part.Group(), left, blobstore.ErrDamaged)
	}
	return false, w.part.Arrive(ctx)
}

// homing keeps the progress.
func (w *Worker) homing(done, left uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if done == 0 {
		w.status.HomeLeft = left
		return
	}
	w.status.Homed += done
	w.status.HomeLeft -= min(done, w.status.HomeLeft)
	w.speed.add(float64(done))
}

// homePack brings the bodies of a pack home. Those that are damaged stay; the error tells of them.
func (w *Worker) homePack(ctx context.Context, info blobstore.PackInfo) error {
	c, err := w.p.shelf.Contents(ctx, info.Pack)
	if err != nil {
		return err
	}
	manifest, err := w.part.Describe(ctx, info.Number, shelf.Bodies(c))
	if err != nil {
		return fmt.Errorf("describe pack %d: %w", info.Number, err)
	}
	bodies, missing := lying(c, manifest)
	if missing > 0 {
		err = fmt.Errorf("pack %d has not %d of its bodies: %w", info.Number, missing, blobstore.ErrDamaged)
	}
	h := &homer{w: w, ctx: ctx, number: info.Number, slots: make(chan struct{}, homeAtOnce)}
	reading := w.p.chunks(ctx, c, bodies, h.chunk, func(b *blobstore.Body, problem error) {
		h.frames = nil // of this body, which has not all its chunks
		err = errors.Join(err, fmt.Errorf("body %d: %w", b.Entry.Body, problem))
	})
	return errors.Join(err, reading, h.wait())
}

// homer sends the chunks of bodies into the log: those of one body one after the other, several bodies
// at once.
type homer struct {
	w      *Worker
	ctx    context.Context
	number uint64
	slots  chan struct{}

	body   uint64 // whose frames are held
	first  int    // number of the first of them
	frames [][]byte
	octets int

	running sync.WaitGroup
	mu      sync.Mutex // guards err
	err     error
}

// chunk takes the next chunk. Its error ends the reading.
func (h *homer) chunk(c chunkOf) error {
	if c.number == 0 {
		h.frames, h.octets, h.first, h.body = nil, 0, 0, c.body.Entry.Body
	}
	h.frames = append(h.frames, append([]byte(nil), c.frame...))
	h.octets += len(c.frame)
	last := c.number == len(c.body.Lengths)-1
	if !last && h.octets < homeBatch {
		return nil
	}
	body, first, frames, octets := h.body, h.first, h.frames, h.octets
	h.first, h.frames, h.octets = c.number+1, nil, 0
	if !last || first > 0 { // in order: nothing of this body is on its way
		return h.send(body, first, frames, octets)
	}
	select {
	case h.slots <- struct{}{}:
	case <-h.ctx.Done():
		return h.ctx.Err()
	}
	h.running.Go(func() {
		defer func() { <-h.slots }()
		if err := h.send(body, first, frames, octets); err != nil {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.err = errors.Join(h.err, err)
		}
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

func (h *homer) send(body uint64, first int, frames [][]byte, octets int) error {
	if err := h.w.part.Unpack(h.ctx, h.number, body, uint32(first), frames); err != nil {
		return fmt.Errorf("bring body %d of pack %d home: %w", body, h.number, err)
	}
	h.w.homing(uint64(octets), 0)
	return nil
}

func (h *homer) wait() error {
	h.running.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}
