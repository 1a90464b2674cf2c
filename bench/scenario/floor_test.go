package scenario

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

// meteredSite uses 6 ms of CPU for each message.
type meteredSite struct{ *fakeSite }

func (s meteredSite) Usage(context.Context) (site.Usage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return site.Usage{Usage: load.Usage{CPU: 6 * time.Millisecond * time.Duration(s.taken)}, Measured: true}, nil
}

// fakeFloor uses 2 ms for each commit.
type fakeFloor struct{ committed, closed int }

func (f *fakeFloor) Commit(_ context.Context, messages, size, concurrency int) error {
	if size != 4096 || concurrency != 4 {
		return errors.New("another load than the site's")
	}
	f.committed += messages
	return nil
}

func (f *fakeFloor) Usage(context.Context) (site.Usage, error) {
	return site.Usage{Usage: load.Usage{CPU: 2 * time.Millisecond * time.Duration(f.committed)}, Measured: true}, nil
}

func (f *fakeFloor) Close() error { f.closed++; return nil }

func TestFloorIsARatio(t *testing.T) {
	bare := &fakeFloor{}
	o := options()
	o.Floor = func(_ context.Context, replicas int) (Floor, error) {
		if replicas != 1 {
			t.Errorf("%d replicas for one node", replicas)
		}
		return bare, nil
	}
	r, err := runFloor(t.Context(), meteredSite{startFakeSite(t, 0)}, o)
	if err != nil {
		t.Fatal(err)
	}
	for unit, want := range map[string]float64{"x-floor": 3, "x-floor-median": 3, "cpu-s/kmsg": 6, "floor-cpu-s/kmsg": 2} {
		if v, ok := r.Get(unit); !ok || math.Abs(v-want) > 1e-6 {
			t.Errorf("%s is %v, want %v", unit, v, want)
		}
	}
	if bare.closed != 1 {
		t.Errorf("the bare replicas were closed %d times", bare.closed)
	}
}

// TestFloorNeedsCPU: without CPU figures there is nothing to compare.
func TestFloorNeedsCPU(t *testing.T) {
	if _, err := runFloor(t.Context(), startFakeSite(t, 0), options()); !errors.Is(err, site.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

// locatedSite has a directory.
type locatedSite struct {
	*fakeSite
	dir string
}

func (s locatedSite) Directory() string { return s.dir }

// TestSerialHasItsReference: the load goes through whole, in parts, and is held against the disk below it.
func TestSerialHasItsReference(t *testing.T) {
	s, err := Find("serial")
	if err != nil {
		t.Fatal(err)
	}
	f := startFakeSite(t, 0)
	o := options()
	o.Connections = 1
	r, err := s.Run(t.Context(), locatedSite{f, t.TempDir()}, o)
	if err != nil {
		t.Fatal(err)
	}
	p50, _ := r.Get("p50-ms")
	ref, _ := r.Get("reference-p50-ms")
	x, ok := r.Get("x-reference")
	if !ok || ref <= 0 || math.Abs(x-p50/ref) > 1e-9 || f.taken != 70 {
		t.Errorf("p50 %v, reference %v, ratio %v, %d messages", p50, ref, x, f.taken)
	}
	if r, err = s.Run(t.Context(), f, o); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Get("x-reference"); ok {
		t.Error("a reference for a site whose disk is not known")
	}
}
