package placement_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/placement"
)

func drawNodes(t *rapid.T) []placement.Node {
	count := rapid.IntRange(1, 9).Draw(t, "nodes")
	nodes := make([]placement.Node, count)
	for i := range nodes {
		nodes[i] = placement.Node{
			ID:     cluster.NodeID(fmt.Sprintf("n%d", i)),
			Region: fmt.Sprintf("r%d", rapid.IntRange(0, 4).Draw(t, "region")),
			State:  rapid.SampledFrom([]placement.State{placement.Serving, placement.Serving, placement.Serving, placement.Draining, placement.Removed}).Draw(t, "state"),
		}
	}
	return nodes
}

func byState(nodes []placement.Node, state placement.State) (ids []cluster.NodeID) {
	for _, n := range nodes {
		if n.State == state {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

func regionsOf(nodes []placement.Node, ids []cluster.NodeID) int {
	regions := map[string]bool{}
	for _, n := range nodes {
		if slices.Contains(ids, n.ID) {
			regions[n.Region] = true
		}
	}
	return len(regions)
}

func TestPlaceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := drawNodes(t)
		factor := rapid.IntRange(1, 5).Draw(t, "factor")
		current := make([]placement.Assignment, rapid.IntRange(1, 12).Draw(t, "partitions"))
		for i := range current {
			current[i].Group = cluster.GroupID(i + 1)
		}
		if rapid.Bool().Draw(t, "placed before") {
			before := drawNodes(t)
			current = placement.Place(before, rapid.IntRange(1, 5).Draw(t, "factor before"), current)
		}
		serving, removed := byState(nodes, placement.Serving), byState(nodes, placement.Removed)
		target := placement.Place(nodes, factor, current)
		for i, a := range target {
			if len(a.Replicas) > factor || a.Group != current[i].Group {
				t.Fatalf("%v became %v", current[i], a)
			}
			on := 0
			for _, id := range a.Replicas {
				if slices.Contains(removed, id) {
					t.Fatalf("%v is on removed node %s", a, id)
				}
				if slices.Contains(serving, id) {
					on++
				}
			}
			if on < min(factor, len(serving)) {
				t.Fatalf("%v has %d of %d replicas on serving nodes", a, on, factor)
			}
			for _, id := range current[i].Replicas {
				if len(current[i].Replicas) <= factor && slices.Contains(serving, id) && !slices.Contains(a.Replicas, id) {
					t.Fatalf("%v lost its replica on %s: %v", current[i], id, a)
				}
			}
			if len(current[i].Replicas) == 0 && regionsOf(nodes, a.Replicas) < min(factor, regionsOf(nodes, serving)) {
				t.Fatalf("%v uses %d of %d regions", a, regionsOf(nodes, a.Replicas), regionsOf(nodes, serving))
			}
			if (a.Preferred == "") != (len(a.Replicas) == 0) || a.Preferred != "" && !slices.Contains(a.Replicas, a.Preferred) {
				t.Fatalf("%v is led from outside", a)
			}
		}
		if again := placement.Place(nodes, factor, target); !slices.EqualFunc(again, target, placement.Assignment.Equal) {
			t.Fatalf("placed twice: %v, then %v", target, again)
		}
	})
}

func TestBalanceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, nodes := drawNodes(t), drawNodes(t)
		factor := rapid.IntRange(1, 3).Draw(t, "factor")
		current := make([]placement.Assignment, 8)
		for i := range current {
			current[i].Group = cluster.GroupID(i + 1)
		}
		current = placement.Place(before, factor, current)
		placed := placement.Place(nodes, factor, current)
		moves := rapid.IntRange(0, 5).Draw(t, "moves")
		balanced := placement.Balance(nodes, factor, current, moves)
		moved := 0
		for i := range placed {
			for _, id := range placed[i].Replicas {
				if !slices.Contains(balanced[i].Replicas, id) {
					moved++
				}
			}
			if len(balanced[i].Replicas) != len(placed[i].Replicas) {
				t.Fatalf("%v became %v", placed[i], balanced[i])
			}
			if regionsOf(nodes, balanced[i].Replicas) < regionsOf(nodes, placed[i].Replicas) &&
				len(byState(nodes, placement.Draining)) == 0 {
				t.Fatalf("%v lost a region: %v", placed[i], balanced[i])
			}
		}
		if moved > moves {
			t.Fatalf("%d replicas moved, %d allowed", moved, moves)
		}
		full := placement.Balance(nodes, factor, current, 1000)
		if again := placement.Balance(nodes, factor, full, 1000); !slices.EqualFunc(again, full, placement.Assignment.Equal) {
			t.Fatalf("balanced twice: %v, then %v", full, again)
		}
	})
}

// TestStepProperties walks groups from anywhere to anywhere, with members that fall behind and
// catch up at any time.
func TestStepProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := make([]cluster.NodeID, 8)
		for i := range ids {
			ids[i] = cluster.NodeID(fmt.Sprintf("n%d", i))
		}
		shuffled := rapid.Permutation(ids).Draw(t, "members")
		members := make([]placement.Member, rapid.IntRange(1, 5).Draw(t, "size"))
		for i := range members {
			members[i] = placement.Member{ID: shuffled[i], Voter: i == 0 || rapid.Bool().Draw(t, "voter"), CaughtUp: true}
		}
		leader := shuffled[0]
		wanted := rapid.Permutation(ids).Draw(t, "wanted")
		voters, all := rapid.IntRange(1, 5).Draw(t, "voters"), rapid.IntRange(5, 8).Draw(t, "all")
		goal := placement.Goal{Voters: wanted[:voters], Nonvoters: wanted[voters:all], Preferred: wanted[rapid.IntRange(0, voters-1).Draw(t, "preferred")]}

		disturbances := rapid.IntRange(0, 20).Draw(t, "disturbances")
		for n := 0; ; n++ {
			if n > 60 {
				t.Fatalf("no end: %v on the way to %v", members, goal)
			}
			for i := range members {
				members[i].CaughtUp = members[i].ID == leader || n >= disturbances || rapid.Bool().Draw(t, "caught up")
			}
			had := hasMajority(members)
			step := placement.NextStep(members, goal, leader)
			members, leader = apply(members, leader, step, n >= disturbances)
			if had && !hasMajority(members) {
				t.Fatalf("%v cost the majority: %v", step, members)
			}
			at := slices.IndexFunc(members, func(m placement.Member) bool { return m.ID == leader })
			if at < 0 || !members[at].Voter || !members[at].CaughtUp {
				t.Fatalf("%v leaves leader %s in %v", step, leader, members)
			}
			if n >= disturbances && step.Kind == placement.Done {
				break
			}
			if n >= disturbances && step.Kind == placement.Wait {
				t.Fatalf("%v though all are caught up: %v to %v", step, members, goal)
			}
		}
		if leader != goal.Preferred || len(members) != all {
			t.Fatalf("ended with %v led by %s, goal %v", members, leader, goal)
		}
		for _, m := range members {
			if m.Voter != slices.Contains(goal.Voters, m.ID) {
				t.Fatalf("ended with %v, goal %v", members, goal)
			}
		}
	})
}

func hasMajority(members []placement.Member) bool {
	voters, caughtUp := 0, 0
	for _, m := range members {
		if m.Voter {
			voters++
			if m.CaughtUp {
				caughtUp++
			}
		}
	}
	return caughtUp >= voters/2+1
}
