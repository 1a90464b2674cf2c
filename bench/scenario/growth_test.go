package scenario

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rookery-mail/rookery/bench/site"
)

// closable counts how often it is closed.
type closable struct {
	*fakeSite
	closed int
}

func (s *closable) Close() error { s.closed++; return nil }

// TestGrowthFillsAndCompares: what is asked for is stored, and a fresh site meets the same load.
func TestGrowthFillsAndCompares(t *testing.T) {
	full, twin := startFakeSite(t, 0), &closable{fakeSite: startFakeSite(t, 0)}
	o := options()
	o.Levels = []int{250}
	o.Twin = func(context.Context) (site.Site, error) { return twin, nil }
	r, err := runGrowth(t.Context(), locatedSite{full, t.TempDir()}, o)
	if err != nil {
		t.Fatal(err)
	}
	load := growRounds * (50 + 20) // 20 of each round warm up
	if full.taken != 250+load || twin.taken != load || twin.closed != 1 {
		t.Errorf("%d and %d messages, the twin was closed %d times", full.taken, twin.taken, twin.closed)
	}
	for _, unit := range []string{"msg/s@250", "kept-%@250", "kept-least-%@250", "rate-kept-%"} {
		if v, ok := r.Get(unit); !ok || v <= 0 {
			t.Errorf("%s is %v", unit, v)
		}
	}
	if _, ok := r.Get("disk-MiB@250"); !ok {
		t.Error("nothing is said of the disk")
	}
}

// TestGrowthNeedsRoom: a disk that would fill up is refused before.
func TestGrowthNeedsRoom(t *testing.T) {
	o := options()
	o.Levels = []int{1 << 50}
	f := startFakeSite(t, 0)
	if _, err := runGrowth(t.Context(), locatedSite{f, t.TempDir()}, o); err == nil || f.taken > 0 {
		t.Errorf("%d messages, %v", f.taken, err)
	}
}

func TestDiskUse(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "below/b"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := diskUse(dir); err != nil || n != 2000 {
		t.Errorf("%d octets, %v", n, err)
	}
}
