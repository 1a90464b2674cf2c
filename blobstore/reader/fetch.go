package reader

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
)

// maxWaiting bounds the GETs that wait for their turn: an Ahead beyond it is left out.
const maxWaiting = 64

// flight is a block on its way. Whoever wants it waits for done; octets and err are set before.
type flight struct {
	done   chan struct{}
	octets []byte // never changed afterwards
	err    error
}

// request is one GET: neighbouring blocks, and their flights.
type request struct {
	span
	flights []*flight
}

// launch sees to it that each block of the spans is on the shelf or on its way, and gives those on their way.
// Where the store is down its error is blobstore.ErrUnavailable, unless nothing has to be asked for. What
// is not needed now is left out where many GETs are waiting.
func (r *Reader) launch(spans []span, needed bool) (map[block]*flight, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	flights, down := make(map[block]*flight), r.breaker.allows()
	for _, s := range spans {
		var q request
		for b := range s.all() {
			if f := r.flights[b]; f != nil {
				flights[b] = f
				continue
			}
			if r.shelf.has(b) {
				continue
			}
			if !needed && r.waiting >= maxWaiting {
				break
			}
			if down != nil {
				return flights, down
			}
			if len(q.flights) > 0 && (q.last+1 != b.number || q.octets() >= maxGet) {
				r.begin(q)
				q = request{}
			}
			if len(q.flights) == 0 {
				q.span = span{s.pack, b.number, b.number}
			}
			f := &flight{done: make(chan struct{})}
			q.last, q.flights = b.number, append(q.flights, f)
			r.flights[b], flights[b] = f, f
		}
		if len(q.flights) > 0 {
			r.begin(q)
		}
	}
	return flights, nil
}

// begin carries out a request. The caller holds mu.
func (r *Reader) begin(q request) {
	if r.ctx.Err() != nil {
		for i, b := 0, q.first; i < len(q.flights); i, b = i+1, b+1 {
			delete(r.flights, block{q.pack.ID, b})
			q.flights[i].err = fmt.Errorf("the reader ends: %w", blobstore.ErrUnavailable)
			close(q.flights[i].done)
		}
		return
	}
	r.waiting++
	r.working.Go(func() {
		err := r.get(&q)
		for len(q.flights) > 0 {
			r.land(&q, nil, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waiting--
	})
}

// get asks the store, and lands the blocks that it gives one by one. Its error is that of the blocks that
// are left.
func (r *Reader) get(q *request) error {
	select {
	case r.turns <- struct{}{}:
		defer func() { <-r.turns }()
	case <-r.ctx.Done():
		return fmt.Errorf("the reader ends: %w", blobstore.ErrUnavailable)
	}
	if err := r.breaker.allows(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(r.ctx, r.c.Timeout*9/10, errSlow) // over before those who wait give up
	defer cancel()
	name, some := q.pack.Object(), false
	r.counts.gets.Add(1)
	from, err := r.c.Bucket.Get(ctx, name, q.first*blockSize, q.octets())
	for err == nil && len(q.flights) > 0 {
		octets := make([]byte, blockSize)
		var n int
		n, err = io.ReadFull(from, octets)
		r.counts.bytes.Add(uint64(n))
		if n == blockSize || n > 0 && errors.Is(err, io.ErrUnexpectedEOF) {
			if !some {
				some = true
				r.breaker.works() // before anybody else's GET can fail
			}
			r.land(q, octets[:n:n], nil)
		}
	}
	if from != nil {
		_ = from.Close() // what was read is checked by its sums
	}
	switch waited := errors.Is(context.Cause(ctx), errSlow); {
	case err == nil, some && ended(err):
	case ended(err), errors.Is(err, object.ErrNotFound):
		r.breaker.works()
	case r.ctx.Err() == nil:
		r.failed(name, err, waited, some)
	}
	return reason(ctx, name, err)
}

// ended says that the object, or the answer, is shorter than what was asked for.
func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// reason gives the error of a GET to those that wait for it.
func reason(ctx context.Context, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case ended(err):
		return fmt.Errorf("get %s: %w", name, errShort)
	case errors.Is(err, object.ErrNotFound):
		return fmt.Errorf("get %s: %w: %w", name, blobstore.ErrDamaged, err)
	case errors.Is(context.Cause(ctx), errSlow):
		return fmt.Errorf("get %s: %w", name, errSlow)
	case errors.Is(err, blobstore.ErrUnavailable):
		return fmt.Errorf("get %s: %w", name, err)
	}
	// Denied, cancelled or unheard of: the body may be there, and cannot be had now. The text says why.
	return fmt.Errorf("get %s: %w: %v", name, blobstore.ErrUnavailable, err)
}

// land ends the first flight of a request.
//
// Invariant: a block is on the shelf before its flight is not known any more, so that it is not fetched twice.
func (r *Reader) land(q *request, octets []byte, err error) {
	b, f := block{q.pack.ID, q.first}, q.flights[0]
	q.first, q.flights = q.first+1, q.flights[1:]
	if err == nil {
		r.counts.evicted.Add(uint64(r.shelf.put(b, octets)))
	}
	f.octets, f.err = octets, err
	r.mu.Lock()
	delete(r.flights, b)
	r.mu.Unlock()
	close(f.done)
}

// failed counts a GET that failed, and looks after a store that is down. One that gave some octets is slow
// rather than down; one that refuses an object answers.
func (r *Reader) failed(name string, err error, waited, some bool) {
	r.counts.failed.Add(1)
	if some || errors.Is(err, object.ErrDenied) || !r.breaker.fails(err, waited) {
		return
	}
	r.c.Logger.Warn("the object store does not answer; bodies that are not in the cache cannot be read", "error", err.Error())
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() == nil {
		r.working.Go(func() { r.probe(name) })
	}
}
