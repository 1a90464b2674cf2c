package concordance

import (
	"math/rand"
	"testing"

	"github.com/rookery-mail/rookery/index/search/trigram"
)

func TestPlan(t *testing.T) {
	full := size{trigram.MaxMessages, trigram.MaxMessages, 1}
	for i, c := range []struct {
		sizes    []size
		from, to int
		ok       bool
	}{
		{nil, 0, 0, false},
		{[]size{{64, 64, 1}}, 0, 1, false},
		{[]size{{64, 64, 1}, {64, 64, 1}}, 0, 2, true},
		{[]size{{128, 128, 1}, {64, 64, 1}}, 0, 2, true},
		{[]size{{129, 129, 1}, {64, 64, 1}}, 1, 2, false},
		{[]size{full, {64, 64, 1}, {64, 64, 1}}, 1, 3, true},
		{[]size{{4000, 4000, 1}, {90, 90, 1}, {64, 64, 1}}, 1, 3, true},
		{[]size{full, {4000, 1999, 1}, full}, 1, 2, true},
		{[]size{{64, 0, 1}}, 0, 1, true},
		{[]size{{64, 64, maxMerged}, {64, 64, 1}}, 1, 2, false},
	} {
		from, to, ok := plan(c.sizes)
		if ok != c.ok || ok && (from != c.from || to != c.to) {
			t.Errorf("case %d: %d to %d, %v", i, from, to, ok)
		}
	}
}

// TestPlanEnds: a mailbox to which 64 messages are added again and again writes each of them a few times only.
func TestPlanEnds(t *testing.T) {
	var sizes []size
	written, added := 0, 0
	rnd := rand.New(rand.NewSource(1))
	for range 1000 {
		n := 64 + rnd.Intn(64)
		sizes = append(sizes, size{n, n, 1})
		added, written = added+n, written+n
		for {
			from, to, ok := plan(sizes)
			if !ok {
				break
			}
			into := size{}
			for _, s := range sizes[from:to] {
				into.all, into.live = into.all+s.live, into.live+s.live
			}
			written += into.all
			sizes = append(append(append([]size{}, sizes[:from]...), into), sizes[to:]...)
		}
	}
	if len(sizes) > added/trigram.MaxMessages*2+10 || written > 12*added {
		t.Errorf("%d segments, each of %d messages written %.1f times", len(sizes), added, float64(written)/float64(added))
	}
	t.Logf("%d segments, each message written %.1f times", len(sizes), float64(written)/float64(added))
}
