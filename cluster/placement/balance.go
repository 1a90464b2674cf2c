package placement

import (
	"slices"

	"github.com/rookery-mail/rookery/cluster"
)

// Balance returns what Place would, with at most moves replicas moved on purpose besides: first out of
// regions that hold two replicas of a partition while another serving region holds none, then from
// the fullest nodes to the emptiest until they differ by at most one, as far as that costs no
// partition a region. It is what an operator asks for after adding nodes; each move copies a
// partition's data over the network.
func Balance(nodes []Node, factor int, current []Assignment, moves int) []Assignment {
	p := newPlan(nodes, factor, current)
	for i := range p.target {
		p.fill(i)
	}
	for ; moves > 0 && p.moveOne(); moves-- {
	}
	for i := range p.target {
		slices.Sort(p.target[i].Replicas)
	}
	p.chooseLeaders()
	return p.target
}

// move is one replica of a partition from one node to another.
type move struct {
	partition int
	from, to  cluster.NodeID
	regions   int // how many replicas fewer share their region
	load      int // how much fuller from is than to
}

// moveOne makes the most useful move and reports whether there was one.
func (p *plan) moveOne() bool {
	best, found := move{}, false
	for i := range p.target {
		for _, from := range p.target[i].Replicas {
			for _, to := range p.order {
				m, useful := p.consider(i, from, to)
				if useful && (!found || m.regions > best.regions || m.regions == best.regions && m.load > best.load) {
					best, found = m, true
				}
			}
		}
	}
	if found {
		p.drop(best.partition, best.from)
		p.add(best.partition, best.to)
	}
	return found
}

func (p *plan) consider(i int, from, to cluster.NodeID) (move, bool) {
	if p.nodes[to].State != Serving || p.nodes[from].State != Serving || slices.Contains(p.target[i].Replicas, to) {
		return move{}, false
	}
	shared := p.inRegion(i, to)
	if p.nodes[to].Region == p.nodes[from].Region {
		shared-- // from itself leaves the region
	}
	m := move{partition: i, from: from, to: to, regions: p.inRegion(i, from) - shared, load: p.load[from] - p.load[to]}
	return m, m.regions > 0 || m.regions == 0 && m.load > 1
}
