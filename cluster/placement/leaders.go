package placement

import (
	"slices"

	"github.com/rookery-mail/rookery/cluster"
)

// chooseLeaders sets the preferred leader of each partition: who is preferred now stays unless that
// leaves one node with at least two more than another replica's node.
func (p *plan) chooseLeaders() {
	leads := map[cluster.NodeID]int{}
	for i := range p.target {
		a := &p.target[i]
		if !slices.Contains(a.Replicas, a.Preferred) || p.nodes[a.Preferred].State != Serving {
			a.Preferred = ""
			continue
		}
		leads[a.Preferred]++
	}
	for i := range p.target {
		a := &p.target[i]
		if a.Preferred == "" {
			if a.Preferred = p.idlest(a.Replicas, leads); a.Preferred != "" {
				leads[a.Preferred]++
			}
		}
	}
	// Each switch takes from a node with at least two more: the sum of squares falls, so it ends.
	for switched := true; switched; {
		switched = false
		for i := range p.target {
			a := &p.target[i]
			to := p.idlest(a.Replicas, leads)
			if to != "" && leads[a.Preferred] > leads[to]+1 {
				leads[a.Preferred]--
				leads[to]++
				a.Preferred = to
				switched = true
			}
		}
	}
}

// idlest is the replica on the serving node with the fewest leaders; on a draining one only where
// nothing else is left.
func (p *plan) idlest(replicas []cluster.NodeID, leads map[cluster.NodeID]int) (best cluster.NodeID) {
	for _, id := range replicas {
		if best == "" {
			best = id
			continue
		}
		if db, di := p.nodes[best].State == Draining, p.nodes[id].State == Draining; db != di {
			if db {
				best = id
			}
			continue
		}
		if leads[id] < leads[best] {
			best = id
		}
	}
	return best
}
