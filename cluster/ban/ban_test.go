package ban_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/ban"
)

var start = time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)

func network(t *testing.T, text string) netip.Prefix {
	t.Helper()
	p, err := ban.ParseNetwork(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBanned(t *testing.T) {
	l := ban.NewList()
	for _, text := range []string{"192.0.2.7", "198.51.100.0/24", "2001:db8:1:2::5"} {
		if _, err := l.Ban(network(t, text), "guesses", time.Hour, start); err != nil {
			t.Fatal(err)
		}
	}
	for addr, want := range map[string]bool{"192.0.2.7": true, "::ffff:192.0.2.7": true, "192.0.2.8": false, "198.51.100.99": true,
		"2001:db8:1:2:ffff::1": true, "2001:db8:1:3::1": false} {
		if got := l.Banned(netip.MustParseAddr(addr), start); got != want {
			t.Errorf("%s is banned: %v", addr, got)
		}
		if l.Banned(netip.MustParseAddr(addr), start.Add(time.Hour)) {
			t.Errorf("%s is banned after its time", addr)
		}
	}
	if l.Banned(netip.Addr{}, start) {
		t.Error("a client without an address is banned")
	}
	if got := l.Bans(start); len(got) != 3 || got[2].Network.String() != "2001:db8:1:2::/64" || got[0].Reason != "guesses" {
		t.Errorf("the bans are %v", got)
	}
	if got := l.Bans(start.Add(time.Hour)); len(got) != 0 {
		t.Errorf("afterwards the bans are %v", got)
	}
}

func TestLift(t *testing.T) {
	l := ban.NewList()
	p := network(t, "192.0.2.7")
	first, err := l.Ban(p, "", time.Hour, start)
	if err != nil {
		t.Fatal(err)
	}
	// The clock went back meanwhile: the lift is later all the same.
	lift, ok, err := l.Lift(p, start.Add(-time.Minute))
	if !ok || err != nil || lift.Version != first.Version+1 {
		t.Fatalf("%+v, %v, %v", lift, ok, err)
	}
	if l.Banned(p.Addr(), start) || len(l.Bans(start)) != 0 {
		t.Error("still banned")
	}
	if _, ok, _ := l.Lift(p, start); ok {
		t.Error("lifted twice")
	}
	// A node that missed the lift tells of the ban again.
	data, err := first.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Merge(data, start); err != nil || l.Banned(p.Addr(), start) {
		t.Errorf("the ban is back: %v", err)
	}
	if _, err := l.Ban(p, "again", time.Hour, start); err != nil || !l.Banned(p.Addr(), start) {
		t.Errorf("not banned again: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	l := ban.NewList()
	for _, text := range []string{"", "x", "192.0.2.1/33", "192.0.2", "fe80::1%eth0/64"} {
		if p, err := ban.ParseNetwork(text); !errors.Is(err, ban.ErrInvalid) {
			t.Errorf("%q is %v: %v", text, p, err)
		}
	}
	for _, c := range []struct {
		network, reason string
		lasts           time.Duration
	}{
		{"0.0.0.0/0", "", time.Hour}, {"10.0.0.0/7", "", time.Hour}, {"::/0", "", time.Hour}, {"192.0.2.1", "a\nb", time.Hour},
		{"192.0.2.1", strings.Repeat("x", ban.MaxReason+1), time.Hour}, {"192.0.2.1", "", 0}, {"192.0.2.1", "", ban.MaxTime + 1},
	} {
		if _, err := l.Ban(network(t, c.network), c.reason, c.lasts, start); !errors.Is(err, ban.ErrInvalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for i := range ban.MaxRecords {
		if room := l.Room(start); room != (i < ban.MaxRecords/4*3) {
			t.Fatalf("room for a ban that nobody asked for beside %d: %v", i, room)
		}
		addr := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		if _, err := l.Ban(netip.PrefixFrom(addr, 32), "", time.Hour, start); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Ban(network(t, "192.0.2.1"), "", time.Hour, start); !errors.Is(err, ban.ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	if !l.Room(start.Add(time.Hour)) {
		t.Error("no room after all bans are over")
	}
}

func TestNetworkOf(t *testing.T) {
	for addr, want := range map[string]string{"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64"} {
		if got := ban.NetworkOf(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s is of %v, want %s", addr, got, want)
		}
	}
	if got := ban.NetworkOf(netip.Addr{}); got.IsValid() {
		t.Errorf("no address is of %v", got)
	}
}

// TestConverges: nodes that write at the same time and hear of each other in any order, and twice, end
// with the same list.
func TestConverges(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		nodes := []*ban.List{ban.NewList(), ban.NewList(), ban.NewList()}
		var told [][]byte
		for range 30 {
			l := nodes[random.IntN(len(nodes))]
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(3))}), 32)
			now := start.Add(time.Duration(random.IntN(5)) * time.Millisecond) // clocks that disagree, and ties
			var r ban.Record
			var err error
			if random.IntN(2) == 0 {
				r, err = l.Ban(p, string(rune('a'+random.IntN(3))), time.Hour+time.Duration(random.IntN(2))*time.Hour, now)
			} else if r, _, err = l.Lift(p, now); !r.Lifted {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			data, err := r.Encode()
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, data)
		}
		var states []string
		for _, l := range nodes {
			for _, i := range append(random.Perm(len(told)), random.Perm(len(told))...) {
				if err := l.Merge(told[i], start); err != nil {
					t.Fatal(err)
				}
			}
			state, err := l.State(start)
			if err != nil {
				t.Fatal(err)
			}
			states = append(states, string(state))
		}
		if states[0] != states[1] || states[1] != states[2] {
			t.Fatalf("seed %d: %q", seed, states)
		}
		fresh := ban.NewList() // a node that was restarted
		if err := fresh.Merge([]byte(states[0]), start); err != nil {
			t.Fatal(err)
		}
		if state, _ := fresh.State(start); string(state) != states[0] {
			t.Fatalf("seed %d: a new node has %q", seed, state)
		}
	}
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte(`[{"network":"192.0.2.0/24","until":"2026-03-05T13:00:00Z","version":5}]`))
	f.Add([]byte(`[{"network":"","until":"","version":-1}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := ban.NewList()
		if err := l.Merge(data, start); err != nil && !errors.Is(err, ban.ErrInvalid) {
			t.Fatal(err)
		}
		state, err := l.State(start)
		if err != nil {
			t.Fatal(err)
		}
		again := ban.NewList()
		if err := again.Merge(state, start); err != nil {
			t.Fatal(err)
		}
		if got, _ := again.State(start); string(got) != string(state) {
			t.Errorf("%q became %q", state, got)
		}
	})
}
