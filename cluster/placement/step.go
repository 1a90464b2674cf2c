package placement

import (
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/cluster"
)

// Member is one server in a group's present configuration.
type Member struct {
	ID    cluster.NodeID
	Voter bool
	// CaughtUp says that it answers and holds the log up to about its end; of the leader it is true.
	CaughtUp bool
}

// Goal is what a group's configuration should become.
type Goal struct {
	Voters    []cluster.NodeID
	Nonvoters []cluster.NodeID
	Preferred cluster.NodeID // who should lead; empty means anyone
}

// Goal is what the assignment asks of its group.
func (a Assignment) Goal() Goal { return Goal{Voters: a.Replicas, Preferred: a.Preferred} }

// StepKind is what a Step does.
type StepKind uint8

// The kinds of steps.
const (
	Done           StepKind = iota // the goal is reached
	Wait                           // nothing is safe now; Why says what it waits for
	AddNonvoter                    // Node starts to receive the log
	PromoteToVoter                 // Node has caught up and starts to vote
	Demote                         // Node stops to vote and keeps its copy
	Remove                         // Node leaves the group
	Transfer                       // Node becomes the leader
)

// String names the kind.
func (k StepKind) String() string {
	return [...]string{"done", "wait", "add", "promote", "demote", "remove", "transfer"}[k]
}

// Step is the next change to make to a group.
type Step struct {
	Kind StepKind
	Node cluster.NodeID
	Why  string // for Wait
}

// String gives the step as one line.
func (s Step) String() string {
	switch s.Kind {
	case Done:
		return s.Kind.String()
	case Wait:
		return "wait: " + s.Why
	}
	return s.Kind.String() + " " + string(s.Node)
}

// NextStep returns the one change that its leader makes next to bring a group from current to goal.
// New members first receive the log, then vote, and only then do others stop voting; the preferred
// leader comes last.
//
// Invariants: a step leaves a majority of the voters caught up, and never takes away the last voter
// that is. With members that stay caught up, repeating it ends in Done.
func NextStep(current []Member, goal Goal, leader cluster.NodeID) Step {
	c := change{current, goal, leader}
	if len(goal.Voters) == 0 {
		return Step{Kind: Wait, Why: "no node is to hold the group"}
	}
	for _, id := range slices.Concat(goal.Voters, goal.Nonvoters) {
		if _, member := c.member(id); !member {
			return Step{Kind: AddNonvoter, Node: id}
		}
	}
	if step, ok := c.promote(); ok {
		return step
	}
	if step, ok := c.leave(); ok {
		return step
	}
	if m, _ := c.member(goal.Preferred); goal.Preferred != leader && m.Voter && m.CaughtUp {
		return Step{Kind: Transfer, Node: goal.Preferred}
	}
	return Step{Kind: Done}
}

// change is the question NextStep answers.
type change struct {
	current []Member
	goal    Goal
	leader  cluster.NodeID
}

func (c change) member(id cluster.NodeID) (Member, bool) {
	for _, m := range c.current {
		if m.ID == id {
			return m, true
		}
	}
	return Member{}, false
}

// votes counts the voters, and those of them that are caught up.
func (c change) votes() (voters, caughtUp int) {
	for _, m := range c.current {
		if m.Voter {
			voters++
			if m.CaughtUp {
				caughtUp++
			}
		}
	}
	return voters, caughtUp
}

func majority(voters int) int { return voters/2 + 1 }

// promote makes voters of those who are to be. While one is not caught up, the group waits for it
// before anyone leaves.
func (c change) promote() (Step, bool) {
	waiting := Step{}
	for _, id := range c.goal.Voters {
		m, _ := c.member(id)
		if m.Voter {
			continue
		}
		voters, caughtUp := c.votes()
		switch {
		case !m.CaughtUp:
			waiting = Step{Kind: Wait, Why: fmt.Sprintf("%s has not caught up yet", id)}
		case caughtUp+1 < majority(voters+1):
			waiting = Step{Kind: Wait, Why: "too few voters are caught up to add one"}
		default:
			return Step{Kind: PromoteToVoter, Node: id}, true
		}
	}
	return waiting, waiting.Kind == Wait
}

// leave takes out, or stops from voting, those who are not to be members or voters.
func (c change) leave() (Step, bool) {
	waiting := Step{}
	for _, m := range c.current {
		kind := Remove
		switch {
		case slices.Contains(c.goal.Voters, m.ID), !m.Voter && slices.Contains(c.goal.Nonvoters, m.ID):
			continue
		case slices.Contains(c.goal.Nonvoters, m.ID):
			kind = Demote
		}
		if !m.Voter {
			return Step{Kind: kind, Node: m.ID}, true
		}
		voters, caughtUp := c.votes()
		if m.CaughtUp {
			caughtUp--
		}
		if caughtUp < majority(voters-1) {
			waiting = Step{Kind: Wait, Why: fmt.Sprintf("too few other voters are caught up for %s to leave", m.ID)}
			continue
		}
		if m.ID == c.leader {
			return c.handOver()
		}
		return Step{Kind: kind, Node: m.ID}, true
	}
	return waiting, waiting.Kind == Wait
}

// handOver lets a leader that is to leave give its place to a voter that stays.
func (c change) handOver() (Step, bool) {
	for _, id := range slices.Concat([]cluster.NodeID{c.goal.Preferred}, c.goal.Voters) {
		if m, _ := c.member(id); m.Voter && m.CaughtUp && id != c.leader {
			return Step{Kind: Transfer, Node: id}, true
		}
	}
	return Step{Kind: Wait, Why: "no voter that stays is caught up to lead"}, true
}
