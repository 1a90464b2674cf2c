package site

import (
	"context"
	"fmt"
)

// status is what `rookery status --json` prints, as far as a bench needs it.
type status struct {
	Nodes []struct {
		ID    string `json:"id"`
		Alive bool   `json:"alive"`
	} `json:"nodes"`
	Groups []struct {
		Group  string            `json:"group"` // "directory" or "p1", "p2", …
		Leader string            `json:"leader"`
		Voters []string          `json:"voters"`
		Wanted []string          `json:"wanted"` // the preferred leader first
		Lag    map[string]uint64 `json:"lag"`
	} `json:"groups"`
}

func (n *node) status(ctx context.Context) (status, error) {
	var s status
	err := n.json(ctx, &s, "status")
	return s, err
}

// maxLag is how many entries a replica of a whole cluster may be behind.
const maxLag = 64

// whole says what is missing until every group has its replicas and is led by the node that the
// partition map prefers, so that runs begin alike.
func (s status) whole(nodes int) error {
	if len(s.Nodes) < nodes {
		return fmt.Errorf("%d of %d nodes are known", len(s.Nodes), nodes)
	}
	for _, n := range s.Nodes {
		if !n.Alive {
			return fmt.Errorf("node %s is not seen alive", n.ID)
		}
	}
	for _, g := range s.Groups {
		if want := min(nodes, 3); len(g.Voters) < want {
			return fmt.Errorf("group %s has %d of %d voters", g.Group, len(g.Voters), want)
		}
		if g.Leader == "" || len(g.Wanted) > 0 && g.Leader != g.Wanted[0] {
			return fmt.Errorf("group %s is led by %q, and %q should", g.Group, g.Leader, append(g.Wanted, "")[0])
		}
		for node, lag := range g.Lag {
			if lag > maxLag {
				return fmt.Errorf("%s is %d entries behind in group %s", node, lag, g.Group)
			}
		}
	}
	return nil
}
