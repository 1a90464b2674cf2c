package scenario

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/bench/site"
)

// toldSite answers commands as it is told.
type toldSite struct {
	site.Site
	answers map[string]string // by the first two words
	asked   []string
}

// Command implements operated.
func (s *toldSite) Command(_ context.Context, args ...string) ([]byte, error) {
	s.asked = append(s.asked, strings.Join(args, " "))
	answer, ok := s.answers[strings.Join(args[:2], " ")]
	if !ok {
		return nil, errors.New("no such command")
	}
	return []byte(answer), nil
}

// toldStore has as many objects as it is told.
type toldStore struct {
	Store
	objects int
	octets  int64
}

// Stored implements Store.
func (s *toldStore) Stored(context.Context) (int, int64, error) { return s.objects, s.octets, nil }

func TestObjectStorePacked(t *testing.T) {
	told := &toldSite{answers: map[string]string{"blob flush": "", "blob stats": `{"packs": 4, "live_bytes": 1800, "dead_bytes": 208,
		"live_bodies": 1, "packed_bodies": 2000, "requests": {"put": 5, "get": 4, "stat": 1}}`}}
	x := &objectStore{stored: told, store: &toldStore{objects: 4, octets: 2100}}
	if err := x.packed(t.Context()); err != nil {
		t.Fatal(err)
	}
	for unit, want := range map[string]float64{"puts/kmsg": 2.5, "requests/kmsg": 5, "bucket/compressed": 1.05, "bucket-B/msg": 2100} {
		if got, ok := x.result.Get(unit); !ok || got != want {
			t.Errorf("%s is %v, want %v", unit, got, want)
		}
	}
	if len(x.result.Broken) != 0 || len(told.asked) != 2 {
		t.Errorf("broken %q, asked %q", x.result.Broken, told.asked)
	}
	x.store = &toldStore{objects: 5, octets: 2100}
	if err := x.packed(t.Context()); err != nil || len(x.result.Broken) != 1 {
		t.Errorf("an object too many: error %v, broken %q", err, x.result.Broken)
	}
	told.answers["blob stats"] = `{}`
	if err := x.packed(t.Context()); err == nil {
		t.Error("nothing was packed, and there is no error")
	}
}

// TestObjectStoreAlone runs it where there is neither a second cluster nor a store.
func TestObjectStoreAlone(t *testing.T) {
	if _, err := runObjectStore(t.Context(), startFakeSite(t, 0), options()); !errors.Is(err, site.ErrUnsupported) {
		t.Errorf("error %v", err)
	}
}
