package greylist

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var (
	start  = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	policy = Policy{Delay: 5 * time.Minute, Window: 48 * time.Hour, Keep: 36 * 24 * time.Hour}
	client = netip.MustParseAddr("192.0.2.7")
)

// TestTry is the way of one who comes again.
func TestTry(t *testing.T) {
	l := New([32]byte{1})
	try := func(after time.Duration, addr, sender, rcpt string) string {
		v := l.Try(netip.MustParseAddr(addr), sender, rcpt, policy, start.Add(after))
		return fmt.Sprint(v.Pass, " ", v.Wait, " ", v.Why)
	}
	const day = 24 * time.Hour
	for _, c := range []struct {
		after              time.Duration
		addr, sender, rcpt string
		want               string
	}{
		{0, "192.0.2.7", "example.com", "ann@example.org", "false 5m0s it comes for the first time"},
		{time.Minute, "192.0.2.7", "example.com", "ann@example.org", "false 4m0s it came again too early"},
		{5 * time.Minute, "192.0.2.9", "EXAMPLE.com", "Ann@example.org", "true 0s it came again"},
		{6 * time.Minute, "192.0.2.7", "example.com", "ann@example.org", "true 0s it came again before"},
		{6 * time.Minute, "192.0.2.7", "example.com", "bob@example.org", "false 5m0s it comes for the first time"},
		{6 * time.Minute, "192.0.3.7", "example.com", "ann@example.org", "false 5m0s it comes for the first time"},
		{20 * time.Minute, "192.0.2.7", "example.com", "bob@example.org", "true 0s it came again"},
		{21 * time.Minute, "192.0.2.99", "other.example", "carol@example.org", "true 0s its network came again before"},
		{35 * day, "192.0.2.99", "other.example", "carol@example.org", "true 0s its network came again before"},
		{70 * day, "192.0.2.99", "other.example", "carol@example.org", "true 0s its network came again before"},
		{107 * day, "192.0.2.99", "other.example", "carol@example.org", "false 5m0s it comes for the first time"},
		{0, "2001:db8::7", "example.com", "ann@example.org", "false 5m0s it comes for the first time"},
		{3 * day, "2001:db8::7", "example.com", "ann@example.org", "false 5m0s it comes for the first time"},
		{3*day + 6*time.Minute, "2001:db8::1:7", "example.com", "ann@example.org", "true 0s it came again"},
	} {
		if got := try(c.after, c.addr, c.sender, c.rcpt); got != c.want {
			t.Errorf("after %v, %s %s %s: %s", c.after, c.addr, c.sender, c.rcpt, got)
		}
	}
}

// share gives all news of one list to another, twice, the second time in the wrong order.
func share(t *testing.T, from, to *List, now time.Time) {
	t.Helper()
	for more := true; more; {
		var data []byte
		data, more = from.News(3 * size)
		var back []byte
		for at := len(data) - size; at >= 0; at -= size {
			back = append(back, data[at:at+size]...)
		}
		for _, d := range [][]byte{data, back} {
			if err := to.Merge(d, policy, now); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestNodes: who was put off by one node is let in by another, and a network that has proven to one has proven to all.
func TestNodes(t *testing.T) {
	a, b := New([32]byte{1}), New([32]byte{1})
	rcpt := func(i int) string { return fmt.Sprintf("user%d@example.org", i) }
	for i := range 5 {
		if a.Try(client, "example.com", rcpt(i), policy, start).Pass {
			t.Fatal("the first time passes")
		}
	}
	share(t, a, b, start)
	later := start.Add(10 * time.Minute)
	if v := b.Try(client, "example.com", rcpt(0), policy, later); !v.Pass {
		t.Fatalf("at the other node: %+v", v)
	}
	if v := b.Try(client, "example.com", rcpt(7), policy, later); v.Pass {
		t.Error("one triplet lets the network in")
	}
	share(t, b, a, later)
	if v := a.Try(client, "example.com", rcpt(1), policy, later); !v.Pass {
		t.Fatalf("at the first node: %+v", v)
	}
	share(t, a, b, later)
	for name, l := range map[string]*List{"a": a, "b": b} {
		if v := l.Try(client, "new.example", rcpt(9), policy, later); !v.Pass {
			t.Errorf("node %s: %+v", name, v)
		}
	}
	if other := New([32]byte{2}); other.Merge(a.State(64<<10), policy, later) != nil || other.Try(client, "example.com", rcpt(0), policy, later).Pass {
		t.Error("another secret means the same")
	}
}

// TestState: a node that was away learns all in turns, however little fits.
func TestState(t *testing.T) {
	a, b := New([32]byte{1}), New([32]byte{1})
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, byte(i), 7}) }
	for i := range 60 {
		a.Try(at(i), "example.com", "ann@example.org", policy, start)
	}
	later := start.Add(10 * time.Minute)
	for i := range 20 {
		for _, rcpt := range []string{"bob@example.org", "carol@example.org"} {
			a.Try(at(i), "example.com", rcpt, policy, start)
			a.Try(at(i), "example.com", rcpt, policy, later)
		}
	}
	for range 100 {
		data := a.State(20 * size)
		if len(data) > 20*size {
			t.Fatalf("%d octets", len(data))
		}
		if err := b.Merge(data, policy, later); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 60 {
		if v := b.Try(at(i), "example.com", "ann@example.org", policy, later); !v.Pass {
			t.Errorf("triplet %d: %+v", i, v)
		}
	}
	for i := range 20 {
		if v := b.Try(at(i), "new.example", "dan@example.org", policy, later); !v.Pass {
			t.Errorf("network %d: %+v", i, v)
		}
	}
}

// TestBounded: a flood takes no more room, and does not push out networks that have proven.
func TestBounded(t *testing.T) {
	l := New([32]byte{1})
	for _, rcpt := range []string{"ann@example.org", "bob@example.org"} {
		l.Try(client, "example.com", rcpt, policy, start)
		l.Try(client, "example.com", rcpt, policy, start.Add(10*time.Minute))
	}
	for i := range maxTriplets + maxTriplets/8 {
		l.Try(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "example.com", fmt.Sprint(i), policy, start)
	}
	if n := len(l.triplets.young) + len(l.triplets.old); n > maxTriplets || len(l.news) > maxNews {
		t.Errorf("%d triplets, %d news", n, len(l.news))
	}
	if v := l.Try(client, "new.example", "carol@example.org", policy, start.Add(time.Hour)); !v.Pass {
		t.Errorf("the flood made one forget: %+v", v)
	}
}

func FuzzMerge(f *testing.F) {
	l := New([32]byte{1})
	l.Try(client, "example.com", "ann@example.org", policy, start)
	l.Try(client, "example.com", "ann@example.org", policy, start.Add(10*time.Minute))
	news, _ := l.News(1024)
	f.Add(news)
	f.Add(l.State(1024))
	f.Add([]byte{proven})
	f.Fuzz(func(t *testing.T, data []byte) {
		l := New([32]byte{1})
		if err := l.Merge(data, policy, start.Add(time.Hour)); err != nil && !errors.Is(err, ErrNews) {
			t.Fatal(err)
		}
		once := fmt.Sprint(l.triplets, l.networks)
		if l.Merge(data, policy, start.Add(time.Hour)); fmt.Sprint(l.triplets, l.networks) != once && len(data) <= 2*size {
			t.Fatal("the same news twice are more than once")
		}
		l.Try(client, "example.com", "ann@example.org", policy, start.Add(time.Hour))
	})
}
