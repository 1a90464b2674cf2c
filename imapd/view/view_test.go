package view

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/uidset"
)

// store is a mailbox as simple as it gets.
type store struct {
	modSeq  index.ModSeq
	next    index.UID
	live    map[index.UID]index.FlagState
	expunge map[index.UID]index.ModSeq
}

func (s *store) changes(since index.ModSeq) access.Changes {
	ch := access.Changes{Changed: uidset.New(), Vanished: uidset.New(), Mailbox: index.Mailbox{HighestModSeq: s.modSeq}}
	for u, st := range s.live {
		if st.ModSeq > since {
			ch.Changed.Add(u)
		}
	}
	for u, at := range s.expunge {
		if at > since {
			ch.Vanished.Add(u)
		}
	}
	return ch
}

// client believes what it is told.
type client struct {
	uids  []index.UID // 0 where not asked yet
	flags []index.Flags
}

func (c *client) take(t *rapid.T, v *View, up Update, s *store) {
	if up.Expunges != nil {
		for n := range up.Expunges {
			if n == 0 || int(n) > len(c.uids) {
				t.Fatalf("EXPUNGE %d of %d messages", n, len(c.uids))
			}
			c.uids = slices.Delete(c.uids, int(n)-1, int(n))
			c.flags = slices.Delete(c.flags, int(n)-1, int(n))
		}
	}
	if up.Exists {
		for len(c.uids) < int(v.Len()) {
			c.uids = append(c.uids, 0)
			c.flags = append(c.flags, 1<<31)
		}
	}
	if len(c.uids) != int(v.Len()) {
		t.Fatalf("the client counts %d messages, the view %d", len(c.uids), v.Len())
	}
	for u := range up.Changed.All() {
		n, st := v.Seq(u), s.live[u]
		if n == 0 {
			t.Fatalf("flags came for %d, which the client does not know", u)
		}
		c.flags[n-1] = st.System
		if got := c.uids[n-1]; got != 0 && got != u {
			t.Fatalf("message %d is %d for the client, flags came for %d", n, got, u)
		}
	}
}

// fetch has the client ask for everything it does not know.
func (c *client) fetch(v *View, s *store) {
	for u := range v.UIDs().All() {
		n := v.Seq(u) - 1
		c.uids[n] = u
		if st, ok := s.live[u]; ok {
			c.flags[n] = st.System
		}
	}
}

func (s *store) act(t *rapid.T) {
	s.modSeq++
	var live []index.UID
	for u := range s.live {
		live = append(live, u)
	}
	slices.Sort(live)
	switch op := rapid.IntRange(0, 3).Draw(t, "op"); {
	case op == 0 || len(live) == 0:
		for range rapid.IntRange(1, 5).Draw(t, "new") {
			s.live[s.next] = index.FlagState{ModSeq: s.modSeq}
			s.next += index.UID(rapid.SampledFrom([]int{1, 1, 3, 5000}).Draw(t, "gap"))
		}
	case op == 1:
		u := rapid.SampledFrom(live).Draw(t, "flag")
		s.live[u] = index.FlagState{ModSeq: s.modSeq, System: index.Flags(rapid.IntRange(0, 31).Draw(t, "flags"))}
	default:
		from := rapid.IntRange(0, len(live)-1).Draw(t, "expunge")
		for _, u := range live[from:min(from+op, len(live))] {
			delete(s.live, u)
			s.expunge[u] = s.modSeq
		}
	}
}

// TestAgainstModel: after each Advance with expunges, a client that believed everything sees what
// the store holds.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &store{next: 1, live: map[index.UID]index.FlagState{}, expunge: map[index.UID]index.ModSeq{}}
		for range rapid.IntRange(0, 5).Draw(t, "before") {
			s.act(t)
		}
		v := New(liveSet(s), s.next, s.modSeq)
		c := &client{uids: make([]index.UID, v.Len()), flags: make([]index.Flags, v.Len())}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			for range rapid.IntRange(0, 3).Draw(t, "acts") {
				s.act(t)
			}
			expunges := rapid.Bool().Draw(t, "expunges")
			c.fetch(v, s)
			c.take(t, v, v.Advance(s.changes(v.Since()), expunges), s)
			if !expunges {
				continue
			}
			c.fetch(v, s)
			want := slices.Collect(liveSet(s).All())
			if !slices.Equal(c.uids, want) {
				t.Fatalf("the client has %v, the store %v", c.uids, want)
			}
			for i, u := range c.uids {
				if c.flags[i] != s.live[u].System {
					t.Fatalf("flags of %d are %v for the client, %v in the store", u, c.flags[i], s.live[u].System)
				}
			}
		}
	})
}

func liveSet(s *store) *uidset.Set {
	set := uidset.New()
	for u := range s.live {
		set.Add(u)
	}
	return set
}

func TestResolve(t *testing.T) {
	v := New(uidset.Of(index.UIDRange{Lo: 10, Hi: 12}, index.UIDRange{Lo: 20, Hi: 20}), 21, 1)
	empty := New(uidset.New(), 1, 1)
	set := func(r ...wire.NumRange) wire.NumSet { return wire.NumSet{Ranges: r} }
	for _, c := range []struct {
		v     *View
		set   wire.NumSet
		byUID bool
		want  string
	}{
		{v, set(wire.NumRange{Lo: 1, Hi: 0}), false, "[{10 12} {20 20}]"},
		{v, set(wire.NumRange{Lo: 3, Hi: 4}), false, "[{12 12} {20 20}]"},
		{v, set(wire.NumRange{Lo: 0, Hi: 0}), false, "[{20 20}]"},
		{v, set(wire.NumRange{Lo: 5, Hi: 5}), false, "error"},
		{v, set(wire.NumRange{Lo: 1, Hi: 4294967295}), true, "[{10 12} {20 20}]"},
		{v, set(wire.NumRange{Lo: 1000, Hi: 0}), true, "[{20 20}]"},
		{v, set(wire.NumRange{Lo: 1000, Hi: 2000}), true, "[]"},
		{v, set(wire.NumRange{Lo: 11, Hi: 15}), true, "[{11 12}]"},
		{empty, set(wire.NumRange{Lo: 1, Hi: 0}), false, "[]"},
		{empty, set(wire.NumRange{Lo: 1, Hi: 1}), false, "error"},
		{empty, set(wire.NumRange{Lo: 1, Hi: 0}), true, "[]"},
	} {
		got, err := c.v.Resolve(c.set, c.byUID)
		text := "error"
		if err == nil {
			text = fmt.Sprint(slices.Collect(got.Ranges()))
		} else if !errors.Is(err, ErrNoSuchNumber) {
			t.Errorf("got %v", err)
		}
		if text != c.want {
			t.Errorf("%v byUID=%v gave %s, not %s", c.set, c.byUID, text, c.want)
		}
	}
}

func TestSeqs(t *testing.T) {
	v := New(uidset.Of(index.UIDRange{Lo: 10, Hi: 12}, index.UIDRange{Lo: 20, Hi: 30}), 31, 1)
	var got []uint32
	for lo, hi := range v.Seqs(uidset.Of(index.UIDRange{Lo: 11, Hi: 21}, index.UIDRange{Lo: 29, Hi: 40})) {
		got = append(got, lo, hi)
	}
	if !slices.Equal(got, []uint32{2, 5, 13, 14}) {
		t.Errorf("got %v", got)
	}
}
