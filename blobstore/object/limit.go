package object

import (
	"context"
	"io"
	"sync"
	"time"
)

// LimitConfig bounds what is asked of a store at once.
type LimitConfig struct {
	Requests int   // at the same time; 0 is no bound
	Sent     int64 // octets a second that are put; 0 is no bound
	Received int64 // octets a second that are read; 0 is no bound
}

// Limit bounds the requests to a store and the octets that go to and fro. Whoever comes too early
// waits, no longer than its context. A Get takes its place until its reader is closed.
type Limit struct {
	bucket         Bucket
	places         chan struct{} // nil is no bound
	sent, received *pace
}

var _ Bucket = (*Limit)(nil)

// NewLimit puts bounds around b.
func NewLimit(b Bucket, c LimitConfig) *Limit {
	l := &Limit{bucket: b, sent: newPace(c.Sent), received: newPace(c.Received)}
	if c.Requests > 0 {
		l.places = make(chan struct{}, c.Requests)
	}
	return l
}

// enter takes a place; leave has to be called once.
func (l *Limit) enter(ctx context.Context) (leave func(), err error) {
	if l.places == nil {
		return func() {}, ctx.Err()
	}
	select {
	case l.places <- struct{}{}:
		return sync.OnceFunc(func() { <-l.places }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Put implements Bucket.
func (l *Limit) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if l.sent != nil {
		r = &pacedSeeker{pacedReader{ctx, l.sent, r}, r}
	}
	return l.bucket.Put(ctx, name, r, size)
}

// Get implements Bucket.
func (l *Limit) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	r, err := l.bucket.Get(ctx, name, offset, length)
	if err != nil {
		leave()
		return nil, err
	}
	return &limitedReader{pacedReader{ctx, l.received, r}, r, leave}, nil
}

// Stat implements Bucket.
func (l *Limit) Stat(ctx context.Context, name string) (Info, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return Info{}, err
	}
	defer leave()
	return l.bucket.Stat(ctx, name)
}

// Delete implements Bucket.
func (l *Limit) Delete(ctx context.Context, name string) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return l.bucket.Delete(ctx, name)
}

// List implements Bucket. The place is taken until fn was called for the last time, so that fn must not
// ask the same store where Requests is 1.
func (l *Limit) List(ctx context.Context, prefix string, fn func(Info) error) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return l.bucket.List(ctx, prefix, fn)
}

// pace spreads octets over time.
type pace struct {
	rate int64      // octets a second
	mu   sync.Mutex // guards next
	next time.Time  // when the octets that were let through are paid off
}

// newPace makes a pace, nil for no bound.
func newPace(rate int64) *pace {
	if rate <= 0 {
		return nil
	}
	return &pace{rate: rate}
}

// wait waits until n octets may pass.
func (p *pace) wait(ctx context.Context, n int) error {
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	wait := p.next.Sub(now)
	p.mu.Unlock()
	return Pause(ctx, wait)
}

// stride is how much a paced reader reads at once, so that readers share the rate fairly.
const stride = 32 << 10

// pacedReader reads no faster than its pace.
type pacedReader struct {
	ctx  context.Context
	pace *pace // nil is no bound
	r    io.Reader
}

// Read implements io.Reader.
func (r *pacedReader) Read(p []byte) (int, error) {
	if r.pace == nil {
		return r.r.Read(p)
	}
	n, err := r.r.Read(p[:min(len(p), stride)])
	if n > 0 {
		if waited := r.pace.wait(r.ctx, n); waited != nil {
			return n, waited
		}
	}
	return n, err
}

// pacedSeeker is a paced reader that can begin anew.
type pacedSeeker struct {
	pacedReader
	io.Seeker
}

// limitedReader gives its place back when it is closed.
type limitedReader struct {
	pacedReader
	body  io.Closer
	leave func()
}

// Close implements io.Closer.
func (r *limitedReader) Close() error {
	defer r.leave()
	return r.body.Close()
}
