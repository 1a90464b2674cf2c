package guard

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)

func network(text string) netip.Prefix { return netip.MustParsePrefix(text) }

// story does what words say, "fail 1" being a failure of user 1 and "good 1" a login, at minutes after the
// start, and returns what the last failure led to.
func story(t *testing.T, tally *Tally, from netip.Prefix, p Policy, script string) (v Verdict) {
	t.Helper()
	now := start
	for line := range strings.SplitSeq(script, ",") {
		var verb string
		var n int
		if _, err := fmt.Sscanf(strings.TrimSpace(line), "%s %d", &verb, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch verb {
		case "fail":
			v = tally.Failed(from, User(n), p, now)
		case "good":
			tally.Succeeded(from, User(n), now)
		case "at":
			now = start.Add(time.Duration(n) * time.Minute)
		}
	}
	return v
}

func TestVerdicts(t *testing.T) {
	p := Policy{Failures: 4, Window: 10 * time.Minute}
	first, second := firstWait, 2*firstWait
	for _, c := range []struct {
		script string
		want   Verdict
	}{
		{"fail 1", Verdict{0, 1, false}},
		{"fail 1, fail 1", Verdict{first, 2, false}},
		{"fail 1, fail 2, fail 3", Verdict{second, 3, false}},
		{"fail 1, fail 2, fail 3, fail 4", Verdict{2 * second, 4, true}},
		{"fail 1, fail 1, fail 1, fail 1, fail 1", Verdict{0, 1, false}}, // after a ban that was lifted
		// What is as old as the window counts no more.
		{"fail 1, fail 2, fail 3, at 9, fail 4", Verdict{2 * second, 4, true}},
		{"fail 1, fail 2, at 5, fail 3, at 10, fail 4", Verdict{first, 2, false}},
		// A login forgives the user's own failures.
		{"fail 1, fail 1, fail 1, good 1, fail 1", Verdict{0, 1, false}},
		{"good 1, fail 1, fail 1", Verdict{first, 2, false}},
		// Somebody else's are not forgiven, but there is room for as many more, once for each user.
		{"fail 2, fail 2, fail 2, good 1, fail 2", Verdict{second, 4, false}},
		{"fail 2, fail 2, fail 2, good 1, fail 2, good 1, fail 2, good 1, fail 2, good 1, fail 2, fail 2", Verdict{MaxWait, 8, true}},
		{"fail 2, fail 2, fail 2, good 1, good 3, fail 2, fail 2, fail 2, fail 2, fail 2", Verdict{MaxWait, 8, false}},
		// That room ends with the window too.
		{"fail 2, good 1, at 9, fail 2, fail 2, at 10, fail 2", Verdict{second, 3, false}},
		{"fail 2, good 1, at 9, fail 2, fail 2, at 10, fail 2, fail 2", Verdict{2 * second, 4, true}},
	} {
		got := story(t, NewTally(), network("192.0.2.7/32"), p, c.script)
		if c.want.Wait == MaxWait && got.Wait > 0 {
			got.Wait = MaxWait // how long is TestWait's
		}
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.script, got, c.want)
		}
	}
}

// TestApart: one network's failures are not another one's.
func TestApart(t *testing.T) {
	tally, p := NewTally(), Policy{Failures: 2, Window: time.Minute}
	story(t, tally, network("192.0.2.7/32"), p, "fail 1")
	if v := story(t, tally, network("2001:db8:1:2::/64"), p, "fail 1"); v.Failures != 1 || v.Ban {
		t.Errorf("%+v", v)
	}
	story(t, tally, network("2001:db8:1:3::/64"), p, "good 1")
	if v := story(t, tally, network("192.0.2.7/32"), p, "fail 1"); !v.Ban {
		t.Errorf("%+v", v)
	}
}

func TestWait(t *testing.T) {
	for n, want := range map[int]time.Duration{-9: 0, 0: 0, 1: firstWait, 2: 2 * firstWait, 4: 8 * firstWait, 6: MaxWait, 1 << 40: MaxWait} {
		if got := wait(n); got != want {
			t.Errorf("the answer waits %v at %d, want %v", got, n, want)
		}
	}
	tally, p := NewTally(), Policy{Failures: 40, Window: time.Hour}
	var last time.Duration
	for i := range 40 {
		v := tally.Failed(network("192.0.2.7/32"), 1, p, start)
		if v.Wait < last || v.Wait > MaxWait || (v.Wait > 0) != (i >= 10) || v.Ban != (i == 39) {
			t.Errorf("failure %d: %+v after %v", i+1, v, last)
		}
		last = v.Wait
	}
}

// TestBounded: however many networks fail, and however often, the memory of it is bounded; one that goes on
// failing is not lost in the flood; and what is over is dropped.
func TestBounded(t *testing.T) {
	tally, p := NewTally(), Policy{Failures: MaxFailures, Window: time.Hour}
	guesser := network("198.51.100.7/32")
	now := start
	check := func() {
		t.Helper()
		kept, events := len(tally.young)+len(tally.old), 0
		for _, generation := range []map[netip.Prefix]*record{tally.young, tally.old} {
			for _, r := range generation {
				events += r.events()
			}
		}
		most := p.Failures * (1 + maxUsers)
		if kept > maxNetworks || events > maxEvents+2*(most+maxUsers) {
			t.Fatalf("%d networks and %d events are kept", kept, events)
		}
	}
	const each = 1000
	for i := range 2 * maxNetworks {
		now = now.Add(time.Millisecond)
		var a [16]byte
		binary.BigEndian.PutUint64(a[:], 0x20010db8_00000000+uint64(i))
		prefix := netip.PrefixFrom(netip.AddrFrom16(a), 64)
		tally.Failed(prefix, User(i), p, now)
		if i%(16*each) == 0 {
			check()
		}
		if i%each == 0 {
			if v := tally.Failed(guesser, 1, p, now); v.Failures != i/each+1 {
				t.Fatalf("%d failures of the one that goes on, want %d", v.Failures, i/each+1)
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	for i := range maxEvents * 3 / 2 {
		from := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 200)}), 32)
		if random.IntN(20) == 0 {
			tally.Succeeded(from, User(random.IntN(100)), now)
		} else {
			tally.Failed(from, User(1000+i), p, now)
		}
		if i%50_000 == 0 {
			check()
		}
	}
	for range 2 {
		now = now.Add(p.Window)
		tally.Failed(guesser, 1, p, now)
	}
	if kept := len(tally.young) + len(tally.old); kept != 1 {
		t.Errorf("%d networks are kept after two windows, want 1", kept)
	}
}

// TestCountsEvents: what the count of events says is what is kept, whatever was done.
func TestCountsEvents(t *testing.T) {
	tally, random := NewTally(), rand.New(rand.NewPCG(2, 2))
	p := Policy{Failures: 5, Window: time.Minute}
	now := start
	for range 20_000 {
		now = now.Add(time.Duration(random.IntN(3)) * time.Second)
		from := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(6))}), 32)
		if user := User(random.IntN(4)); random.IntN(3) == 0 {
			tally.Succeeded(from, user, now)
		} else {
			tally.Failed(from, user, p, now)
		}
		events := 0
		for of, r := range tally.young {
			events += r.events()
			if r.events() == 0 && r.banned.IsZero() || len(r.users) > maxUsers {
				t.Fatalf("%v has %d failures and %d users", of, len(r.failures), len(r.users))
			}
		}
		if events != tally.events {
			t.Fatalf("%d events, counted %d", events, tally.events)
		}
	}
}
