package guard

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// news takes all that a node has to tell.
func news(t *Tally) (out [][]byte) {
	for more := true; more; {
		var data []byte
		if data, more = t.News(1000); data != nil {
			out = append(out, data)
		}
	}
	return out
}

func merge(t *testing.T, to *Tally, data []byte, p Policy, now time.Time) []Reached {
	t.Helper()
	reached, err := to.Merge(data, p, now)
	if err != nil {
		t.Fatal(err)
	}
	return reached
}

// TestGoesRound: who goes round three nodes waits as long, and is banned at the same failure, as at one.
func TestGoesRound(t *testing.T) {
	p, from := Policy{Failures: 12, Window: 10 * time.Minute}, network("192.0.2.7/32")
	one, three := NewTally(), []*Tally{NewTally(), NewTally(), NewTally()}
	for i := range 12 {
		now := start.Add(time.Duration(i) * time.Second)
		at := three[i%3]
		if got, want := at.Failed(from, User(i), p, now), one.Failed(from, User(i), p, now); got != want || want.Ban != (i == 11) {
			t.Errorf("failure %d: %+v, at one node %+v", i+1, got, want)
		}
		for _, data := range news(at) {
			for _, other := range three {
				if reached := merge(t, other, data, p, now); len(reached) > 0 {
					t.Errorf("after failure %d another node bans %v", i+1, reached)
				}
			}
		}
	}
	for i, n := range three { // the count begins anew everywhere
		if v := n.Failed(from, 1, p, start.Add(time.Minute)); v.Failures != 1 {
			t.Errorf("after the ban node %d counts %+v", i, v)
		}
	}
}

// TestReachedTogether: failures at three nodes at once, of which none is too many where it happens, are when the nodes
// hear of each other.
func TestReachedTogether(t *testing.T) {
	p, from := Policy{Failures: 6, Window: time.Minute}, network("2001:db8:1:2::/64")
	a, b := NewTally(), NewTally()
	for i := range 3 {
		if a.Failed(from, User(i), p, start).Ban || b.Failed(from, User(9+i), p, start).Ban {
			t.Fatal("banned at one node")
		}
	}
	told := news(a)
	reached := merge(t, b, told[0], p, start)
	if len(reached) != 1 || reached[0] != (Reached{from, 6}) {
		t.Errorf("b finds %v", reached)
	}
	for _, data := range news(b) {
		if again := merge(t, a, data, p, start); len(again) > 0 {
			t.Errorf("a bans %v once more", again)
		}
	}
	if again := merge(t, b, told[0], p, start); len(again) > 0 {
		t.Errorf("heard twice it is %v", again)
	}
}

// TestForgivenEverywhere: a login at one node forgives the user's failures at another, also those that are heard of later.
func TestForgivenEverywhere(t *testing.T) {
	p, from := Policy{Failures: 4, Window: time.Hour}, network("192.0.2.7/32")
	a, b, c := NewTally(), NewTally(), NewTally()
	for i := range 3 {
		a.Failed(from, 1, p, start.Add(time.Duration(i)*time.Second))
	}
	failures := news(a)
	merge(t, b, failures[0], p, start.Add(3*time.Second))
	b.Succeeded(from, 1, start.Add(4*time.Second))
	good := news(b)
	merge(t, a, good[0], p, start.Add(5*time.Second))
	merge(t, c, good[0], p, start.Add(5*time.Second))
	merge(t, c, failures[0], p, start.Add(5*time.Second)) // the other way round
	for name, n := range map[string]*Tally{"a": a, "b": b, "c": c} {
		if v := n.Failed(from, 1, p, start.Add(time.Minute)); v.Failures != 1 {
			t.Errorf("%s counts %+v", name, v)
		}
	}
}

// TestNewsConverge: whatever happens at three nodes whose clocks disagree, and however late, often and in whatever order
// they hear of it, they have the same in the end; and one that heard nothing has it from their state.
func TestNewsConverge(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		p := Policy{Failures: 4 + random.IntN(20), Window: time.Hour}
		nodes := []*Tally{NewTally(), NewTally(), NewTally()}
		now := start
		var told [][]byte
		for range 60 {
			now = now.Add(time.Duration(random.IntN(3)) * time.Second)
			n := random.IntN(3)
			from := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(3))}), 32)
			at := now.Add(time.Duration(n*random.IntN(2)) * 10 * time.Second)
			switch user := User(random.IntN(5)); random.IntN(6) {
			case 0:
				nodes[n].Succeeded(from, user, at)
			case 1:
				if len(told) > 0 {
					merge(t, nodes[n], told[random.IntN(len(told))], p, at)
				}
			default:
				nodes[n].Failed(from, user, p, at)
			}
			if random.IntN(3) == 0 {
				told = append(told, news(nodes[n])...)
			}
		}
		now = now.Add(20 * time.Second)
		for again := true; again; { // who hears of too many tells that
			before := len(told)
			for _, n := range nodes {
				told = append(told, news(n)...)
			}
			again = len(told) > before
			for _, n := range nodes {
				for _, i := range random.Perm(len(told)) {
					again = len(merge(t, n, told[i], p, now)) > 0 || again
				}
			}
		}
		want := nodes[0].State(1<<20, p, now)
		for i, n := range nodes[1:] {
			if got := n.State(1<<20, p, now); !bytes.Equal(got, want) {
				t.Fatalf("seed %d: node %d has % x\nwant % x", seed, i+1, got, want)
			}
		}
		fresh := NewTally()
		merge(t, fresh, want, p, now)
		if got := fresh.State(1<<20, p, now); !bytes.Equal(got, want) {
			t.Fatalf("seed %d: a new node has % x\nwant % x", seed, got, want)
		}
	}
}

// TestNewsAreBounded: what waits to be told, what is told at once, and what a flood of another node's news leaves here.
func TestNewsAreBounded(t *testing.T) {
	p := Policy{Failures: 10, Window: time.Hour}
	a, b := NewTally(), NewTally()
	guesser := network("198.51.100.7/32")
	for i := range 8 {
		a.Failed(guesser, User(i), p, start)
	}
	for i := range 10_000 {
		a.Failed(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), 1, p, start)
	}
	if len(a.news) > maxNews {
		t.Errorf("%d events wait to be told", len(a.news))
	}
	for _, data := range news(a) {
		if len(data) > 1000 {
			t.Errorf("%d octets are told at once", len(data))
		}
		merge(t, b, data, p, start)
	}
	state := a.State(4096, p, start)
	if len(state) > 4096 {
		t.Errorf("the state has %d octets", len(state))
	}
	merge(t, b, state, p, start)
	if v := b.Failed(guesser, 99, p, start); v.Failures != 9 {
		t.Errorf("who is nearest to a ban is not in the state: %+v", v)
	}
	// Times that no node's clock shows.
	for _, at := range []time.Time{start.Add(time.Hour), start.Add(-2 * time.Hour), {}} {
		data := item{failed, network("192.0.2.9/32"), event{1, at}}.append(nil)
		if merge(t, b, data, p, start); b.Failed(network("192.0.2.9/32"), 2, Policy{Failures: 100, Window: time.Hour}, start).Failures > 3 {
			t.Errorf("a failure at %v counts", at)
		}
	}
}

func FuzzMerge(f *testing.F) {
	p := Policy{Failures: 3, Window: time.Hour}
	f.Add(item{failed, network("192.0.2.7/32"), event{1, start}}.append(nil))
	f.Add(item{banned, network("2001:db8::/64"), event{0, start}}.append(item{succeeded, network("2001:db8::/64"), event{7, start}}.append(nil)))
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		n := NewTally()
		if _, err := n.Merge(data, p, start); err != nil && !errors.Is(err, ErrNews) {
			t.Fatal(err)
		}
		state := n.State(1<<20, p, start)
		again := NewTally()
		if _, err := again.Merge(state, p, start); err != nil {
			t.Fatal(err)
		}
		if got := again.State(1<<20, p, start); !bytes.Equal(got, state) {
			t.Errorf("% x became % x", state, got)
		}
	})
}
