package egress_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/egress"
)

func TestBound(t *testing.T) {
	a := egress.Address{Warm: time.Date(2026, 11, 20, 23, 59, 0, 0, time.UTC), Plan: []uint32{50, 100}}
	for at, want := range map[string]string{
		"2026-11-19T00:00:00Z": "50 true", "2026-11-20T23:59:59Z": "50 true", "2026-11-21T00:00:00Z": "100 true",
		"2026-11-21T23:59:59Z": "100 true", "2026-11-22T00:00:00Z": "0 false",
	} {
		now, _ := time.Parse(time.RFC3339, at)
		n, ok := a.Bound(now)
		if got := fmt.Sprint(n, ok); got != want {
			t.Errorf("at %s: %s, not %s", at, got, want)
		}
	}
	if _, ok := (egress.Address{}).Bound(time.Now()); ok {
		t.Error("a warm address has a bound")
	}
	now := time.Date(2026, 11, 21, 23, 30, 0, 0, time.FixedZone("", 3600))
	if egress.DayOf(now) != "2026-11-21" || !egress.NextDay(now).Equal(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)) {
		t.Error(egress.DayOf(now), egress.NextDay(now))
	}
}

func TestOrder(t *testing.T) {
	list := []egress.Address{
		{Name: "a", IP: netip.MustParseAddr("192.0.2.1"), Weight: 3}, {Name: "b", IP: netip.MustParseAddr("192.0.2.2"), Weight: 1},
		{Name: "c", IP: netip.MustParseAddr("2001:db8::1"), Weight: 1}, {Name: "d", IP: netip.MustParseAddr("192.0.2.3"), Paused: true},
	}
	r := rand.New(rand.NewPCG(1, 2))
	firsts := map[string]int{}
	for range 4000 {
		got := egress.Order(list, egress.Want{V4: true}, r.Float64)
		if len(got) != 2 || got[0].Name == got[1].Name {
			t.Fatal(got)
		}
		firsts[got[0].Name]++
	}
	if n := firsts["a"]; n < 2900 || n > 3100 { // by a fixed seed
		t.Errorf("of 4000, weight 3 of 4 is first %d times", n)
	}
	if got := egress.Order(list, egress.Want{V6: true}, r.Float64); len(got) != 1 || got[0].Name != "c" {
		t.Error(got)
	}
	if got := egress.Order(list, egress.Want{V4: true, V6: true, Names: []string{"b", "d"}}, r.Float64); len(got) != 1 || got[0].Name != "b" {
		t.Error(got)
	}
	if got := egress.Order([]egress.Address{{Name: "n1"}}, egress.Want{}, r.Float64); len(got) != 1 {
		t.Error("a node without addresses does not go out by any", got)
	}
}

func TestPlans(t *testing.T) {
	for text, want := range map[string]string{"default": "35", "none": "0", "": "0", "50, 100": "2"} {
		if plan, err := egress.ParsePlan(text); err != nil || fmt.Sprint(len(plan)) != want {
			t.Error(text, plan, err)
		}
	}
	for _, bad := range []string{"x", "1,,2", "0", "-1", "5000000000"} {
		if _, err := egress.ParsePlan(bad); !errors.Is(err, egress.ErrInvalid) {
			t.Error(bad, err)
		}
	}
	was := uint32(0)
	for _, n := range egress.DefaultPlan() {
		if n <= was {
			t.Errorf("%d after %d", n, was)
		}
		was = n
	}
	var pauses []time.Duration
	for times := range uint32(9) {
		pauses = append(pauses, egress.PauseOf(times))
	}
	if got := fmt.Sprint(pauses); got != "[15m0s 15m0s 30m0s 1h0m0s 2h0m0s 4h0m0s 8h0m0s 12h0m0s 12h0m0s]" {
		t.Error(got)
	}
}

func TestOf(t *testing.T) {
	a, err := egress.Of(&directorypb.MailRecord{Name: "192.0.2.1", Record: &directorypb.MailRecord_Egress{Egress: &directorypb.Egress{Node: "n1", Hello: "out.example.org", WarmFrom: 86_400_000, WarmPlan: []uint32{1}}}})
	if err != nil || a.Node != "n1" || a.Weight != 1 || a.IP.String() != "192.0.2.1" || len(a.Plan) != 1 || a.Warm.Unix() != 86_400 {
		t.Error(a, err)
	}
	if _, err := egress.Of(&directorypb.MailRecord{Name: "x"}); !errors.Is(err, egress.ErrInvalid) {
		t.Error(err)
	}
	for text, want := range map[string]string{"::ffff:192.0.2.1": "192.0.2.1", "2001:DB8::1": "2001:db8::1"} {
		if got, err := egress.NameOf(text); got != want || err != nil {
			t.Error(got, err)
		}
	}
	for _, bad := range []string{"", "n1", "0.0.0.0", "fe80::1%eth0", "224.0.0.1"} {
		if _, err := egress.NameOf(bad); !errors.Is(err, egress.ErrInvalid) {
			t.Error(bad, err)
		}
	}
}

// FuzzParsePlan: what is read as a plan has days with messages.
func FuzzParsePlan(f *testing.F) {
	f.Add("default")
	f.Add("50,100 ,200")
	f.Fuzz(func(t *testing.T, text string) {
		plan, err := egress.ParsePlan(text)
		for _, n := range plan {
			if n == 0 || err != nil {
				t.Error(plan, err)
			}
		}
	})
}
