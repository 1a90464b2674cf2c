// Package placement plans which nodes hold replicas of which group, who should lead, and which single
// membership change brings a group one safe step nearer to its plan. It is pure: it changes nothing
// itself, and the same inputs give the same plan on every node, so that any leader can go on with
// what another began.
//
// Invariant: a replica on a node that serves is never moved by Place; what evens out the load on
// purpose is Balance. A node that is merely down keeps its replicas: who is to leave is an operator's
// decision, written in the directory as the node's state.
package placement

import (
	"slices"

	"github.com/rookery-mail/rookery/cluster"
)

// State is what the directory says a node is for.
type State uint8

// The states of a node.
const (
	Serving  State = iota // takes replicas, up or not
	Draining              // its replicas go elsewhere as far as there is an elsewhere
	Removed               // holds nothing any more
)

// Node is a node as the planner sees it.
type Node struct {
	ID     cluster.NodeID
	Region string
	State  State
}

// Assignment says who holds one partition.
type Assignment struct {
	Group     cluster.GroupID
	Replicas  []cluster.NodeID // the voters, sorted
	Preferred cluster.NodeID   // who should lead; empty if there is no replica
}

// Equal reports whether two assignments say the same.
func (a Assignment) Equal(b Assignment) bool {
	return a.Group == b.Group && a.Preferred == b.Preferred && slices.Equal(a.Replicas, b.Replicas)
}

// Place returns the assignment that current should become: the replicas that are fine stay, missing
// ones go to nodes that serve, in a region that holds none of the partition yet if there is one, then
// where the fewest replicas are. A partition without replicas is placed anew; one with more than
// factor gives up the surplus. A draining node keeps a replica that no serving node can take. The
// result is in the order of current.
//
// A partition may end with fewer than factor replicas where there are fewer nodes. Two voters are
// one failure from standing still, but what they acknowledged is on both disks: safety before
// availability.
func Place(nodes []Node, factor int, current []Assignment) []Assignment {
	p := newPlan(nodes, factor, current)
	for i := range p.target {
		p.fill(i)
	}
	p.chooseLeaders()
	return p.target
}

// plan is a target under construction.
type plan struct {
	nodes  map[cluster.NodeID]Node
	order  []cluster.NodeID // of those that are not removed, sorted
	factor int
	target []Assignment
	load   map[cluster.NodeID]int // replicas in target
}

func newPlan(nodes []Node, factor int, current []Assignment) *plan {
	p := &plan{nodes: map[cluster.NodeID]Node{}, factor: factor, load: map[cluster.NodeID]int{}}
	for _, n := range nodes {
		if n.State != Removed {
			p.nodes[n.ID] = n
			p.order = append(p.order, n.ID)
		}
	}
	slices.Sort(p.order)
	p.order = slices.Compact(p.order)
	for _, a := range current {
		kept := Assignment{Group: a.Group, Preferred: a.Preferred}
		for _, id := range a.Replicas {
			if _, known := p.nodes[id]; known && !slices.Contains(kept.Replicas, id) {
				kept.Replicas = append(kept.Replicas, id)
				p.load[id]++
			}
		}
		p.target = append(p.target, kept)
	}
	return p
}

// fill brings one partition to factor replicas on serving nodes.
func (p *plan) fill(i int) {
	for p.serving(i) < p.factor {
		id, ok := p.best(i)
		if !ok {
			break
		}
		p.add(i, id)
	}
	for len(p.target[i].Replicas) > p.factor {
		p.drop(i, p.worst(i))
	}
	slices.Sort(p.target[i].Replicas)
}

func (p *plan) add(i int, id cluster.NodeID) {
	p.target[i].Replicas = append(p.target[i].Replicas, id)
	p.load[id]++
}

func (p *plan) drop(i int, id cluster.NodeID) {
	a := &p.target[i]
	a.Replicas = slices.DeleteFunc(a.Replicas, func(other cluster.NodeID) bool { return other == id })
	p.load[id]--
}

// serving counts the partition's replicas on nodes that serve.
func (p *plan) serving(i int) int {
	n := 0
	for _, id := range p.target[i].Replicas {
		if p.nodes[id].State == Serving {
			n++
		}
	}
	return n
}

// inRegion counts the partition's replicas in the region of id, id itself aside.
func (p *plan) inRegion(i int, id cluster.NodeID) int {
	n := 0
	for _, other := range p.target[i].Replicas {
		// A replica that is about to leave does not keep its region from another one.
		if other != id && p.nodes[other].State == Serving && p.nodes[other].Region == p.nodes[id].Region {
			n++
		}
	}
	return n
}

// best is the serving node that should take the next replica of a partition.
func (p *plan) best(i int) (best cluster.NodeID, ok bool) {
	for _, id := range p.order {
		if p.nodes[id].State != Serving || slices.Contains(p.target[i].Replicas, id) {
			continue
		}
		if !ok || p.better(i, id, best) {
			best, ok = id, true
		}
	}
	return best, ok
}

func (p *plan) better(i int, a, b cluster.NodeID) bool {
	if ra, rb := p.inRegion(i, a), p.inRegion(i, b); ra != rb {
		return ra < rb
	}
	return p.load[a] < p.load[b]
}

// worst is the replica that a partition with too many gives up: one that drains, then one that
// shares its region with most others, then one on the fullest node.
func (p *plan) worst(i int) cluster.NodeID {
	replicas := slices.Clone(p.target[i].Replicas)
	slices.Sort(replicas)
	worst := replicas[0]
	for _, id := range replicas[1:] {
		if p.worse(i, id, worst) {
			worst = id
		}
	}
	return worst
}

func (p *plan) worse(i int, a, b cluster.NodeID) bool {
	if da, db := p.nodes[a].State == Draining, p.nodes[b].State == Draining; da != db {
		return da
	}
	if ra, rb := p.inRegion(i, a), p.inRegion(i, b); ra != rb {
		return ra > rb
	}
	return p.load[a] > p.load[b]
}
