package harness

import (
	"errors"
	"strings"
	"testing"
)

func TestCompareHashes(t *testing.T) {
	at := func(group string, applied uint64, hash string) ReplicaHash { return ReplicaHash{group, applied, hash} }
	for name, c := range map[string]struct {
		nodes map[string][]ReplicaHash
		want  string // in the error; empty is equal
		final bool
	}{
		"equal":     {map[string][]ReplicaHash{"n1": {at("p1", 5, "x"), at("p2", 9, "y")}, "n2": {at("p1", 5, "x")}}, "", false},
		"no-op":     {map[string][]ReplicaHash{"n1": {at("p1", 5, "x")}, "n2": {at("p1", 6, "x")}}, "", false},
		"moving":    {map[string][]ReplicaHash{"n1": {at("p1", 5, "x")}, "n2": {at("p1", 6, "z")}}, "p1 differ: n1: applied 5", false},
		"different": {map[string][]ReplicaHash{"n1": {at("p1", 5, "x")}, "n2": {at("p1", 5, "z")}}, "hash z", true},
		"nothing":   {map[string][]ReplicaHash{"n1": nil}, "no node has a replica", false},
	} {
		_, err := compareHashes(c.nodes)
		var final *finalError
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &final) != c.final):
			t.Errorf("%s: error %v, want %q in it, final %v", name, err, c.want, c.final)
		}
	}
}

func TestWhole(t *testing.T) {
	c := &Cluster{nodes: make([]*Node, 3)}
	good := func() Status {
		return Status{Nodes: []NodeStatus{{"n1", true}, {"n2", true}, {"n3", true}},
			Groups: []GroupStatus{{Group: "p1", Leader: "n1", Voters: []string{"n1", "n2", "n3"}, Lag: map[string]uint64{"n2": 3}}}}
	}
	if err := c.whole(good()); err != nil {
		t.Errorf("a whole cluster: %v", err)
	}
	for want, spoil := range map[string]func(*Status){
		"n2 is not seen":       func(s *Status) { s.Nodes[1].Alive = false },
		"2 of 3 nodes":         func(s *Status) { s.Nodes = s.Nodes[:2] },
		"p1 has no leader":     func(s *Status) { s.Groups[0].Leader = "" },
		"p1 has 2 of 3 voters": func(s *Status) { s.Groups[0].Voters = s.Groups[0].Voters[:2] },
		"n2 is 900 entries":    func(s *Status) { s.Groups[0].Lag["n2"] = 900 },
	} {
		s := good()
		spoil(&s)
		if err := c.whole(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}
