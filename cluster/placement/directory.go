package placement

import (
	"slices"

	"github.com/rookery-mail/rookery/cluster"
)

// MaxDirectoryVoters is how many nodes vote in the directory group at most: five survive two
// failures, and more would only make each commit wait for more disks.
const MaxDirectoryVoters = 5

// PlaceDirectory plans the directory group: a copy on each node that is not removed, of which an odd
// number of up to MaxDirectoryVoters vote (two where there are only two nodes), spread over regions.
// voters are those of now: one that is fine stays.
func PlaceDirectory(nodes []Node, voters []cluster.NodeID, preferred cluster.NodeID) Goal {
	// A draining node counts: it goes on voting until another one can.
	present := 0
	for _, n := range nodes {
		if n.State != Removed {
			present++
		}
	}
	factor := min(present, MaxDirectoryVoters)
	if factor > 2 && factor%2 == 0 {
		factor-- // a fourth voter survives no more failures than three do
	}
	p := newPlan(nodes, factor, []Assignment{{Group: cluster.DirectoryGroup, Replicas: voters, Preferred: preferred}})
	p.fill(0)
	p.chooseLeaders()
	goal := Goal{Voters: p.target[0].Replicas, Preferred: p.target[0].Preferred}
	for _, id := range p.order {
		if !slices.Contains(goal.Voters, id) {
			goal.Nonvoters = append(goal.Nonvoters, id)
		}
	}
	return goal
}
