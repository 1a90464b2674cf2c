package membership

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
)

// memberlist.Shutdown does not wait for a probe that is under way; it ends within its second.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"))
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatal(what)
}

// received collects what a node was told.
type received struct {
	mu  sync.Mutex
	got map[string]int
}

func (r *received) take(kind byte, payload []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.got == nil {
		r.got = map[string]int{}
	}
	r.got[fmt.Sprintf("%d %s", kind, payload)]++
}

func (r *received) count(message string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got[message]
}

func start(t *testing.T, id string, key []byte, change func(*Config)) *Gossip {
	t.Helper()
	cfg := Config{
		Facts:     Facts{ID: cluster.NodeID(id), Region: "r-" + id, Address: id + ":7000", Version: "0.1"},
		ClusterID: "c1", Listen: "127.0.0.1:0", Key: key, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	g, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func stateOf(g *Gossip, id cluster.NodeID) string {
	for _, m := range g.Members() {
		if m.ID == id {
			return m.State.String()
		}
	}
	return "unknown"
}

func TestMembersAndMessages(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	var told [3]received
	var nodes [3]*Gossip
	for i := range nodes {
		nodes[i] = start(t, string(rune('a'+i)), key, func(c *Config) { c.Receive = told[i].take })
	}
	a, b, c := nodes[0], nodes[1], nodes[2]
	for _, g := range []*Gossip{b, c} {
		if err := g.Join(a.Address()); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range nodes {
		eventually(t, "all know all", func() bool {
			return g.Alive("a") && g.Alive("b") && g.Alive("c") && len(g.Members()) == 3
		})
	}
	if m := a.Members()[2]; m.Region != "r-c" || m.Address != "c:7000" || m.Version != "0.1" || m.Gossip != c.Address() {
		t.Errorf("a knows of c: %+v", m)
	}
	if err := b.Broadcast(7, []byte("ban 192.0.2.1")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the message arrives", func() bool {
		return told[0].count("7 ban 192.0.2.1") == 1 && told[2].count("7 ban 192.0.2.1") == 1
	})
	if told[1].count("7 ban 192.0.2.1") != 0 {
		t.Error("the sender was told its own message")
	}
	if err := b.Broadcast(7, make([]byte, MaxPayload+1)); err == nil {
		t.Error("a message above the limit was taken")
	}
	if err := b.Broadcast(0, nil); err == nil {
		t.Error("the reserved kind was taken")
	}
	changed := a.Changed()
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	<-changed
	eventually(t, "c left", func() bool { return stateOf(a, "c") == "left" && stateOf(b, "c") == "left" })
	if err := b.end(); err != nil {
		t.Error(err)
	}
	eventually(t, "b is dead", func() bool { return stateOf(a, "b") == "dead" && !a.Alive("b") })

	// It comes back at another address, and is found by it, since a's directory knows it.
	b = start(t, "b", key, func(c *Config) {
		c.RejoinEvery = 50 * time.Millisecond
		c.Peers = func() []string { return []string{a.Address()} }
	})
	eventually(t, "b is back", func() bool { return a.Alive("b") && b.Alive("a") })
	for _, g := range []*Gossip{a, b} {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestStrangersStayOut(t *testing.T) {
	key, other := bytes.Repeat([]byte("k"), KeySize), bytes.Repeat([]byte("x"), KeySize)
	a := start(t, "a", key, nil)
	foreign := start(t, "b", other, nil)
	neighbour := start(t, "c", key, func(c *Config) { c.ClusterID = "c2" })
	for _, g := range []*Gossip{foreign, neighbour} {
		if err := g.Join(a.Address()); err == nil {
			t.Errorf("%s joined with a foreign key or cluster", g.cfg.Facts.ID)
		}
	}
	if n := len(a.Members()); n != 1 {
		t.Errorf("a knows %d members", n)
	}
	for _, g := range []*Gossip{a, foreign, neighbour} {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestRefusedSettings(t *testing.T) {
	good := Config{Facts: Facts{ID: "a"}, ClusterID: "c1", Listen: "127.0.0.1:0", Key: make([]byte, KeySize),
		Clock: time.Now, Logger: slog.New(slog.DiscardHandler)}
	for name, change := range map[string]func(*Config){
		"short key":     func(c *Config) { c.Key = c.Key[:16] },
		"no port":       func(c *Config) { c.Listen = "127.0.0.1" },
		"bad advertise": func(c *Config) { c.Advertise = "host:port" },
		"long facts":    func(c *Config) { c.Facts.Region = strings.Repeat("r", 600) },
	} {
		cfg := good
		change(&cfg)
		if g, err := Start(t.Context(), cfg); err == nil {
			_ = g.Stop()
			t.Errorf("%s: started", name)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(message{kind: 1, id: identity{1}, payload: []byte("x")}.encode())
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, ok := decodeMessage(data); ok && !bytes.Equal(m.encode(), data) {
			t.Errorf("% x reads as %+v", data, m)
		}
		if facts, err := decodeFacts("n", data); facts.ID != "n" || err != nil && facts != (Facts{ID: "n"}) {
			t.Errorf("facts %q read as %+v, %v", data, facts, err)
		}
	})
}

// shared collects words.
type shared struct {
	mu    sync.Mutex
	words map[string]bool
}

func (s *shared) State() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var words []string
	for w := range s.words {
		words = append(words, w)
	}
	return []byte(strings.Join(words, " "))
}

func (s *shared) Merge(state []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range strings.Fields(string(state)) {
		s.words[w] = true
	}
}

func (s *shared) has(words ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range words {
		if !s.words[w] {
			return false
		}
	}
	return true
}

// TestShared: what nodes share is told both ways at a join, and to a node that comes back with nothing.
func TestShared(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	a, b := &shared{words: map[string]bool{"one": true}}, &shared{words: map[string]bool{"two": true}}
	first := start(t, "a", key, func(c *Config) { c.Shared = a })
	second := start(t, "b", key, func(c *Config) { c.Shared = b })
	silent := start(t, "c", key, nil)
	for _, g := range []*Gossip{second, silent} {
		if err := g.Join(first.Address()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "both know both", func() bool { return a.has("one", "two") && b.has("one", "two") })
	if err := second.end(); err != nil {
		t.Fatal(err)
	}
	back := &shared{words: map[string]bool{}}
	third := start(t, "b", key, func(c *Config) { c.Shared = back })
	if err := third.Join(first.Address()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "who comes back knows all", func() bool { return back.has("one", "two") })
	for _, g := range []*Gossip{first, third, silent} {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	}
}
