package object_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/objecttest"
)

// everySecond breaks every second Get in the middle, but not of the object that the contract replaces
// while it is read.
type everySecond struct {
	object.Bucket
	broken *object.Fault // over the same objects

	mu   sync.Mutex // guards gets
	gets map[string]int
}

func newEverySecond(b object.Bucket) *everySecond {
	e := &everySecond{Bucket: b, broken: object.NewFault(b), gets: map[string]int{}}
	e.broken.Set(object.Faults{BreakGets: true})
	return e
}

// Get implements object.Bucket. An object that many read at once is never broken: one of them might have each of its
// tries hit.
func (e *everySecond) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	e.mu.Lock()
	e.gets[name]++
	second := e.gets[name]%2 == 0
	e.mu.Unlock()
	if second || name == "one" {
		return e.Bucket.Get(ctx, name, offset, length)
	}
	return e.broken.Get(ctx, name, offset, length)
}

func TestRetry(t *testing.T) {
	for name, c := range map[string]struct {
		faults   object.Faults
		want     error
		requests uint64
		atLeast  time.Duration
		atMost   time.Duration
	}{
		"once":          {object.Faults{Down: true, Times: 1}, nil, 2, 100 * time.Millisecond, 200 * time.Millisecond},
		"down":          {object.Faults{Down: true}, blobstore.ErrUnavailable, 4, 700 * time.Millisecond, 1400 * time.Millisecond},
		"slow down":     {object.Faults{SlowDown: true, Times: 1}, nil, 2, 500 * time.Millisecond, time.Second},
		"throttled":     {object.Faults{SlowDown: true}, object.ErrSlowDown, 4, 3500 * time.Millisecond, 7 * time.Second},
		"denied":        {object.Faults{Deny: []object.Kind{object.KindPut}}, object.ErrDenied, 1, 0, 0},
		"read only":     {object.Faults{ReadOnly: true}, object.ErrDenied, 1, 0, 0},
		"nothing wrong": {object.Faults{}, nil, 1, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fault := object.NewFault(object.NewMemory())
				fault.Set(c.faults)
				count := object.NewCount(fault)
				began := time.Now()
				err := object.NewRetry(count, object.RetryConfig{}).Put(t.Context(), "a", strings.NewReader("x"), 1)
				if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
					t.Errorf("error %v, want %v", err, c.want)
				}
				if got := count.Counts().Of(object.KindPut); got != c.requests {
					t.Errorf("%d requests, want %d", got, c.requests)
				}
				if took := time.Since(began); took < c.atLeast || took > c.atMost {
					t.Errorf("took %v, want %v to %v", took, c.atLeast, c.atMost)
				}
			})
		})
	}
}

// TestRetryEnds shows that a context ends the pauses.
func TestRetryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fault := object.NewFault(object.NewMemory())
		fault.Set(object.Faults{Down: true})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := object.NewRetry(fault, object.RetryConfig{Attempts: 100}).Stat(ctx, "a")
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, blobstore.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
	})
}

// TestRetryList breaks a listing in the middle: each name is given once.
func TestRetryList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := object.NewMemory()
		for _, name := range []string{"a", "b", "c"} {
			objecttest.Put(t, m, name, nil)
		}
		if got := objecttest.Names(t, object.NewRetry(&brokenList{Bucket: m}, object.RetryConfig{}), ""); strings.Join(got, "") != "abc" {
			t.Errorf("listed %q", got)
		}
	})
}

// brokenList fails the first listing behind its second name.
type brokenList struct {
	object.Bucket
	calls int
}

// List implements object.Bucket.
func (b *brokenList) List(ctx context.Context, prefix string, fn func(object.Info) error) error {
	b.calls++
	names := 0
	return b.Bucket.List(ctx, prefix, func(i object.Info) error {
		if names++; b.calls == 1 && names == 3 {
			return blobstore.ErrUnavailable
		}
		return fn(i)
	})
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fault := object.NewFault(object.NewMemory())
		l := object.NewLimit(fault, object.LimitConfig{Requests: 2, Sent: 100_000, Received: 50_000})
		octets := objecttest.Octets(1, 200_000)
		began := time.Now()
		objecttest.Put(t, l, "a", octets)
		if took := time.Since(began).Round(time.Millisecond); took != 2*time.Second {
			t.Errorf("200,000 octets at 100,000 a second took %v", took)
		}
		began = time.Now()
		if got, err := objecttest.Get(t.Context(), l, "a"); err != nil || !bytes.Equal(got, octets) {
			t.Errorf("%d octets, error %v", len(got), err)
		}
		if took := time.Since(began).Round(time.Millisecond); took != 4*time.Second {
			t.Errorf("200,000 octets at 50,000 a second took %v", took)
		}
		one, err := l.Get(t.Context(), "a", 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Get(t.Context(), "a", 0, 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Stat(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third request beside two readers: %v", err)
		}
		_, _ = one.Close(), one.Close() // a second time is no second place
		if _, err := l.Stat(t.Context(), "a"); err != nil {
			t.Error(err)
		}
	})
}

func TestFault(t *testing.T) {
	m := object.NewMemory()
	f := object.NewFault(m)
	octets := objecttest.Octets(1, 1000)
	f.Set(object.Faults{LosePuts: true, Times: 1})
	objecttest.Put(t, f, "lost", octets)
	if _, err := f.Stat(t.Context(), "lost"); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("a lost object: %v", err)
	}
	f.Set(object.Faults{TruncatePuts: true})
	objecttest.Put(t, f, "half", octets)
	f.Heal()
	if got, err := objecttest.Get(t.Context(), f, "half"); err != nil || len(got) != 500 {
		t.Errorf("%d octets, error %v", len(got), err)
	}
	objecttest.Put(t, f, "whole", octets)
	f.Set(object.Faults{CorruptGets: true})
	for _, length := range []int64{-1, 300} {
		got, err := objecttest.GetRange(t.Context(), f, "whole", 100, length)
		if err != nil || bytes.Equal(got, octets[100:100+len(got)]) || len(got) != map[int64]int{-1: 900, 300: 300}[length] {
			t.Errorf("%d octets that may be right, error %v", len(got), err)
		}
	}
	f.Set(object.Faults{BreakGets: true, After: 1, Times: 1})
	for i, want := range []error{nil, blobstore.ErrUnavailable, nil} {
		if _, err := objecttest.Get(t.Context(), f, "whole"); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("get number %d: %v, want %v", i, err, want)
		}
	}
	f.Heal()
	if !m.Flip("whole", 7) || m.Flip("whole", 1000) || m.Flip("none", 0) {
		t.Error("bits that can be turned round")
	}
	if got, err := objecttest.Get(t.Context(), f, "whole"); err != nil || bytes.Equal(got, octets) {
		t.Errorf("%d octets that may be right, error %v", len(got), err)
	}
}

func TestFaultSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := object.NewFault(object.NewMemory())
		f.Set(object.Faults{Slow: 10 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := f.Stat(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
	})
}

func TestCount(t *testing.T) {
	f := object.NewFault(object.NewMemory())
	c := object.NewCount(f)
	objecttest.Put(t, c, "a", make([]byte, 700))
	_, _ = objecttest.GetRange(t.Context(), c, "a", 0, 300)
	_, _ = c.Stat(t.Context(), "none")
	_ = objecttest.Names(t, c, "")
	f.Set(object.Faults{Down: true})
	_ = c.Delete(t.Context(), "a")
	got := c.Counts()
	if got.Sent != 700 || got.Received != 300 || got.Failed != [5]uint64{0, 0, 1, 1, 0} {
		t.Errorf("counted %+v", got)
	}
	for _, k := range object.Kinds() {
		if got.Of(k) != 1 {
			t.Errorf("%d requests of kind %v", got.Of(k), k)
		}
	}
}

// TestFileAway takes the directory of a store away: nothing is missing then, the store is.
func TestFileAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	if _, err := object.OpenFile(dir); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("open a directory that is not there: %v", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := object.OpenFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	objecttest.Put(t, b, "a/b", []byte("x"))
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	_, get := b.Get(t.Context(), "a/b", 0, -1)
	_, stat := b.Stat(t.Context(), "a/b")
	for what, err := range map[string]error{
		"get": get, "stat": stat, "put": b.Put(t.Context(), "c", strings.NewReader("x"), 1), "delete": b.Delete(t.Context(), "a/b"),
		"list": b.List(t.Context(), "", func(object.Info) error { return nil }),
	} {
		if !errors.Is(err, blobstore.ErrUnavailable) || errors.Is(err, object.ErrNotFound) {
			t.Errorf("%s without the directory: %v", what, err)
		}
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if got, err := objecttest.Get(t.Context(), b, "a/b"); err != nil || string(got) != "x" {
		t.Errorf("%q, error %v", got, err)
	}
	left, err := os.ReadDir(filepath.Join(dir, ".incoming"))
	if err != nil || len(left) != 0 {
		t.Errorf("%d files are left behind, error %v", len(left), err)
	}
}
