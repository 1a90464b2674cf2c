package reader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
)

// tolerated is how many GETs in a row may fail before the store counts as down.
const tolerated = 3

// breaker remembers whether the store is down, so that nobody waits for it in vain.
type breaker struct {
	mu    sync.Mutex
	row   int   // guarded by mu: GETs that failed one after the other
	cause error // guarded by mu: why the store counts as down; nil while it does not
}

// allows returns blobstore.ErrUnavailable while the store is down.
func (b *breaker) allows() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cause == nil {
		return nil
	}
	return fmt.Errorf("%w since it last failed: %v", blobstore.ErrUnavailable, b.cause)
}

// works notes an answer.
func (b *breaker) works() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.row, b.cause = 0, nil
}

// fails notes that there was none; one that was waited for in full is enough. It returns true when with that the
// store counts as down: the caller probes it from then on.
func (b *breaker) fails(err error, waited bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.row++
	if b.cause != nil || b.row < tolerated && !waited {
		return false
	}
	b.cause = err
	return true
}

// probe asks for an octet now and then until the store answers.
func (r *Reader) probe(name string) {
	began := r.c.Clock()
	for {
		select {
		case <-time.After(r.c.Probe):
		case <-r.ctx.Done():
			return
		}
		if r.breaker.allows() == nil { // a GET that was on its way had an answer
			return
		}
		if r.ask(name) {
			r.breaker.works()
			r.c.Logger.Info("the object store answers again", "after", r.c.Clock().Sub(began).String())
			return
		}
	}
}

// ask reports whether the store answers.
func (r *Reader) ask(name string) bool {
	ctx, cancel := context.WithTimeout(r.ctx, r.c.Timeout)
	defer cancel()
	r.counts.gets.Add(1)
	from, err := r.c.Bucket.Get(ctx, name, 0, 1)
	if err != nil {
		return ended(err) || errors.Is(err, object.ErrNotFound) || errors.Is(err, object.ErrDenied)
	}
	defer from.Close()
	_, err = from.Read(make([]byte, 1))
	return err == nil || ended(err)
}
