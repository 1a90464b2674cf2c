package membership

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/rookery-mail/rookery/cluster"
)

// State is whether a node is up.
type State uint8

// The states of a member.
const (
	Alive State = iota
	Dead        // it stopped answering, or cannot be reached from here
	Left        // it said goodbye
)

// String names the state.
func (s State) String() string { return [...]string{"alive", "dead", "left"}[s] }

// Member is a node that was heard of.
type Member struct {
	Facts
	Gossip string // host:port of its gossip
	State  State
	Since  time.Time // of the state, by this node's clock
}

// table is who was heard of.
type table struct {
	clock func() time.Time

	mu      sync.Mutex // guards what follows
	nodes   map[cluster.NodeID]Member
	leaving map[cluster.NodeID]bool // those that said goodbye since they last joined
	wake    chan struct{}           // closed and replaced at each change
}

func (t *table) init(clock func() time.Time) {
	t.clock, t.wake = clock, make(chan struct{})
	t.nodes, t.leaving = map[cluster.NodeID]Member{}, map[cluster.NodeID]bool{}
}

// put notes a node's state. A node that goes after its goodbye has left.
func (t *table) put(m Member) Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.State == Alive {
		delete(t.leaving, m.ID)
	} else if t.leaving[m.ID] {
		m.State = Left
	}
	t.set(m)
	return m
}

// leaves notes a goodbye, which may come before the node goes or after.
func (t *table) leaves(id cluster.NodeID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaving[id] = true
	if m, known := t.nodes[id]; known && m.State == Dead {
		m.State = Left
		t.set(m)
	}
}

// set replaces a node's row. The caller holds mu.
func (t *table) set(m Member) {
	m.Since = t.clock()
	if old, known := t.nodes[m.ID]; known && old.State == m.State {
		m.Since = old.Since
	}
	t.nodes[m.ID] = m
	close(t.wake)
	t.wake = make(chan struct{})
}

func (t *table) members() []Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Member, 0, len(t.nodes))
	for _, m := range t.nodes {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Member) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out
}

func (t *table) alive(id cluster.NodeID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	m, known := t.nodes[id]
	return known && m.State == Alive
}

func (t *table) changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wake
}

func (t *table) up() int { return len(t.gossipAddresses()) }

func (t *table) gossipAddresses() (out []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.nodes {
		if m.State == Alive {
			out = append(out, m.Gossip)
		}
	}
	return out
}

// events writes what memberlist notices into the table.
type events struct {
	table  *table
	logger *slog.Logger
}

var _ memberlist.EventDelegate = (*events)(nil)

// NotifyJoin implements memberlist.EventDelegate.
func (e *events) NotifyJoin(n *memberlist.Node) { e.note(n, Alive) }

// NotifyUpdate implements memberlist.EventDelegate.
func (e *events) NotifyUpdate(n *memberlist.Node) { e.note(n, Alive) }

// NotifyLeave implements memberlist.EventDelegate.
func (e *events) NotifyLeave(n *memberlist.Node) { e.note(n, Dead) }

func (e *events) note(n *memberlist.Node, state State) {
	facts, err := decodeFacts(n.Name, n.Meta)
	if err != nil {
		e.logger.Warn("a node says of itself what this version cannot read", "node", n.Name, "error", err)
	}
	m := e.table.put(Member{Facts: facts, Gossip: n.Address(), State: state})
	e.logger.Info("node is "+m.State.String(), "node", n.Name, "region", facts.Region, "gossip", n.Address())
}
