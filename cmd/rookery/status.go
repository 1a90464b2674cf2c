package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func statusCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Nodes, groups, leaders, lag; what is degraded and what to do about it",
		Example: "  rookery status\n  rookery status --json", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var s adminapi.Status
			if err := call("GET", "/v1/status", nil, &s); err != nil {
				return err
			}
			return o.print(cmd, s, func(p *printer) { printStatus(p, s) })
		}),
	}
}

func printStatus(p *printer, s adminapi.Status) {
	health := "healthy"
	if !s.Healthy {
		health = "degraded"
	}
	p.line("cluster %s: %s (seen from %s, version %s)\n", s.Cluster, health, s.Node, s.Version)
	p.row("NODE", "REGION", "ADDRESS", "STATE", "ANSWERS", "VERSION")
	for _, n := range s.Nodes {
		answers := "yes"
		if !n.Alive {
			answers = "NO"
		}
		p.row(n.ID, n.Region, n.Address, n.State, answers, n.Version)
	}
	p.line("")
	p.row("GROUP", "LEADER", "TERM", "VOTERS", "OTHERS", "COMMIT", "LAG")
	for _, g := range s.Groups {
		leader := g.Leader
		if leader == "" {
			leader = "NONE"
		}
		p.row(g.Group, leader, g.Term, strings.Join(g.Voters, ","), strings.Join(g.Nonvoters, ","), g.Commit, lag(g))
	}
	for _, problem := range s.Problems {
		p.line("\n! %s\n  %s", problem.What, problem.Do)
	}
}

// lag names the replicas that are behind and by how many entries, in the order of the members.
func lag(g adminapi.GroupStatus) string {
	var behind []string
	for _, id := range append(append([]string(nil), g.Voters...), g.Nonvoters...) {
		if n := g.Lag[id]; n > 0 {
			behind = append(behind, fmt.Sprintf("%s:%d", id, n))
		}
	}
	if len(behind) == 0 {
		return "-"
	}
	return strings.Join(behind, " ")
}
