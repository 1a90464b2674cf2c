package placement_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/placement"
)

// TestStories runs each file of testdata: lines with "> " are commands, what follows each is its
// output. With -update the outputs are rewritten; read them before a commit.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := &story{t: t}
			var out strings.Builder
			for line := range strings.Lines(string(data)) {
				switch {
				case strings.HasPrefix(line, "> "):
					out.WriteString(line + s.run(strings.Fields(line[2:])))
				case strings.HasPrefix(line, "#") || line == "\n":
					out.WriteString(line)
				}
			}
			if *update {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if out.String() != string(data) {
				t.Errorf("%s tells another story; got:\n%s", file, out.String())
			}
		})
	}
}

var update = flag.Bool("update", false, "rewrite the outputs in testdata")

// story is a cluster being told about.
type story struct {
	t       *testing.T
	nodes   []placement.Node
	factor  int
	target  []placement.Assignment
	members []placement.Member
	goal    placement.Goal
	leader  cluster.NodeID
}

func (s *story) run(words []string) string {
	switch words[0] {
	case "nodes": // id/region[:state] ...
		s.nodes = nil
		for _, w := range words[1:] {
			s.nodes = append(s.nodes, s.node(w))
		}
	case "partitions": // count factor
		s.target = make([]placement.Assignment, s.number(words[1]))
		for i := range s.target {
			s.target[i].Group = cluster.GroupID(i + 1)
		}
		s.factor = s.number(words[2])
	case "place":
		s.target = placement.Place(s.nodes, s.factor, s.target)
		return s.assignments()
	case "balance": // moves
		s.target = placement.Balance(s.nodes, s.factor, s.target, s.number(words[1]))
		return s.assignments()
	case "directory": // present voters
		voters := ids(words[1:])
		goal := placement.PlaceDirectory(s.nodes, voters, "")
		return fmt.Sprintf("voters %v nonvoters %v lead %s\n", goal.Voters, goal.Nonvoters, goal.Preferred)
	case "members": // id:v+ votes and is caught up, n non-voter, - behind; the leader has a star
		s.members = nil
		for _, w := range words[1:] {
			s.member(w)
		}
	case "goal": // voters / nonvoters / preferred
		parts := strings.Split(strings.Join(words[1:], " ")+" / / ", "/")
		s.goal = placement.Goal{Voters: ids(strings.Fields(parts[0])), Nonvoters: ids(strings.Fields(parts[1])),
			Preferred: cluster.NodeID(strings.TrimSpace(parts[2]))}
	case "walk":
		return s.walk()
	case "step":
		return placement.NextStep(s.members, s.goal, s.leader).String() + "\n"
	default:
		s.t.Fatalf("unknown command %q", words)
	}
	return ""
}

func (s *story) number(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func ids(words []string) (out []cluster.NodeID) {
	for _, w := range words {
		out = append(out, cluster.NodeID(w))
	}
	return out
}

func (s *story) node(word string) placement.Node {
	id, rest, _ := strings.Cut(word, "/")
	region, state, _ := strings.Cut(rest, ":")
	states := map[string]placement.State{"": placement.Serving, "draining": placement.Draining, "removed": placement.Removed}
	return placement.Node{ID: cluster.NodeID(id), Region: region, State: states[state]}
}

func (s *story) member(word string) {
	id, how, _ := strings.Cut(word, ":")
	if rest, leads := strings.CutPrefix(id, "*"); leads {
		id, s.leader = rest, cluster.NodeID(rest)
	}
	s.members = append(s.members, placement.Member{ID: cluster.NodeID(id), Voter: how[0] == 'v', CaughtUp: how[1] == '+'})
}

func (s *story) assignments() string {
	var out strings.Builder
	load, leads := map[cluster.NodeID]int{}, map[cluster.NodeID]int{}
	for _, a := range s.target {
		fmt.Fprintf(&out, "%v: %v lead %s\n", a.Group, a.Replicas, a.Preferred)
		for _, id := range a.Replicas {
			load[id]++
		}
		leads[a.Preferred]++
	}
	for _, n := range s.nodes {
		fmt.Fprintf(&out, "%s holds %d leads %d\n", n.ID, load[n.ID], leads[n.ID])
	}
	return out.String()
}

// walk makes steps, with each new member caught up at once, until there is nothing to do.
func (s *story) walk() string {
	var out strings.Builder
	for range 50 {
		step := placement.NextStep(s.members, s.goal, s.leader)
		s.members, s.leader = apply(s.members, s.leader, step, true)
		out.WriteString(step.String() + "\n")
		if step.Kind == placement.Done || step.Kind == placement.Wait {
			break
		}
	}
	return out.String()
}

// apply is what a group does with a step.
func apply(members []placement.Member, leader cluster.NodeID, step placement.Step, caughtUp bool) ([]placement.Member, cluster.NodeID) {
	members = slices.Clone(members)
	at := slices.IndexFunc(members, func(m placement.Member) bool { return m.ID == step.Node })
	switch step.Kind {
	case placement.AddNonvoter:
		members = append(members, placement.Member{ID: step.Node, CaughtUp: caughtUp})
	case placement.PromoteToVoter:
		members[at].Voter = true
	case placement.Demote:
		members[at].Voter = false
	case placement.Remove:
		members = slices.Delete(members, at, at+1)
	case placement.Transfer:
		leader = step.Node
	}
	return members, leader
}
