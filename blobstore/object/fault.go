package object

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
)

// Faults say how a store misbehaves. The zero value is a store that works. Several may hold at once.
type Faults struct {
	// Down makes every request fail with blobstore.ErrUnavailable.
	Down bool
	// SlowDown makes every request fail with ErrSlowDown: the store throttles.
	SlowDown bool
	// ReadOnly refuses Put and Delete with ErrDenied.
	ReadOnly bool
	// Deny refuses these kinds of requests with ErrDenied.
	Deny []Kind
	// Slow makes every request wait before anything else happens.
	Slow time.Duration
	// LosePuts makes Put say that all went well, and store nothing.
	LosePuts bool
	// TruncatePuts makes Put say that all went well, and store the first half.
	TruncatePuts bool
	// CorruptGets turns one bit round in the middle of what each Get gives.
	CorruptGets bool
	// BreakGets makes each reader fail with blobstore.ErrUnavailable in the middle.
	BreakGets bool

	// After is how many requests go well before the faults begin.
	After int
	// Times is how many requests the faults last; 0 is until others are set.
	Times int
}

// Fault is a store that misbehaves as it is told. It is for any number of goroutines.
type Fault struct {
	bucket Bucket

	mu    sync.Mutex // guards those below
	now   Faults
	count int // requests since the faults were set
}

var _ Bucket = (*Fault)(nil)

// NewFault makes a store around b that works until Set says otherwise.
func NewFault(b Bucket) *Fault { return &Fault{bucket: b} }

// Set makes the store misbehave from the next request on.
func (f *Fault) Set(faults Faults) {
	f.mu.Lock()
	defer f.mu.Unlock()
	faults.Deny = slices.Clone(faults.Deny)
	f.now, f.count = faults, 0
}

// Heal makes the store work.
func (f *Fault) Heal() { f.Set(Faults{}) }

// begin counts a request and gives the faults that hold for it, after the wait and unless it fails as
// a whole.
func (f *Fault) begin(ctx context.Context, k Kind) (Faults, error) {
	f.mu.Lock()
	now := f.now
	f.count++
	if f.count <= now.After || now.Times > 0 && f.count > now.After+now.Times {
		now = Faults{}
	}
	f.mu.Unlock()
	if now.Slow > 0 {
		if err := Pause(ctx, now.Slow); err != nil {
			return now, err
		}
	}
	switch {
	case now.Down:
		return now, fmt.Errorf("%v: %w", k, blobstore.ErrUnavailable)
	case now.SlowDown:
		return now, fmt.Errorf("%v: %w", k, ErrSlowDown)
	case slices.Contains(now.Deny, k), now.ReadOnly && (k == KindPut || k == KindDelete):
		return now, fmt.Errorf("%v: %w", k, ErrDenied)
	}
	return now, nil
}

// Put implements Bucket.
func (f *Fault) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	now, err := f.begin(ctx, KindPut)
	switch {
	case err != nil:
		return err
	case now.LosePuts:
		return nil
	case now.TruncatePuts:
		octets, err := readSized(r, size)
		if err != nil {
			return err
		}
		return f.bucket.Put(ctx, name, bytes.NewReader(octets[:size/2]), size/2)
	}
	return f.bucket.Put(ctx, name, r, size)
}

// Get implements Bucket.
func (f *Fault) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	now, err := f.begin(ctx, KindGet)
	if err != nil {
		return nil, err
	}
	r, err := f.bucket.Get(ctx, name, offset, length)
	if err != nil || !now.CorruptGets && !now.BreakGets {
		return r, err
	}
	if length < 0 {
		info, err := f.bucket.Stat(ctx, name)
		if err != nil {
			_ = r.Close() // the error counts
			return nil, err
		}
		length = info.Size - offset
	}
	return &faultyReader{ReadCloser: r, faults: now, at: length / 2}, nil
}

// faultyReader misbehaves at one octet.
type faultyReader struct {
	io.ReadCloser
	faults Faults
	at     int64 // octets until it misbehaves; below 0 behind it
}

// Read implements io.Reader.
func (r *faultyReader) Read(p []byte) (int, error) {
	if r.faults.BreakGets && r.at == 0 {
		return 0, fmt.Errorf("the connection broke: %w", blobstore.ErrUnavailable)
	}
	if r.faults.BreakGets {
		p = p[:min(int64(len(p)), r.at)]
	}
	n, err := r.ReadCloser.Read(p)
	if r.faults.CorruptGets && r.at >= 0 && r.at < int64(n) {
		p[r.at] ^= 0x04
	}
	r.at -= int64(n)
	return n, err
}

// Stat implements Bucket.
func (f *Fault) Stat(ctx context.Context, name string) (Info, error) {
	if _, err := f.begin(ctx, KindStat); err != nil {
		return Info{}, err
	}
	return f.bucket.Stat(ctx, name)
}

// Delete implements Bucket.
func (f *Fault) Delete(ctx context.Context, name string) error {
	if _, err := f.begin(ctx, KindDelete); err != nil {
		return err
	}
	return f.bucket.Delete(ctx, name)
}

// List implements Bucket.
func (f *Fault) List(ctx context.Context, prefix string, fn func(Info) error) error {
	if _, err := f.begin(ctx, KindList); err != nil {
		return err
	}
	return f.bucket.List(ctx, prefix, fn)
}
