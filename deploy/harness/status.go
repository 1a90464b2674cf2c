package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Status is what `rookery status --json` prints, as far as the harness needs it.
type Status struct {
	Healthy  bool          `json:"healthy"`
	Nodes    []NodeStatus  `json:"nodes"`
	Groups   []GroupStatus `json:"groups"`
	Problems []struct {
		What string `json:"what"`
	} `json:"problems"`
}

// NodeStatus is one node as the cluster sees it.
type NodeStatus struct {
	ID    string `json:"id"`
	Alive bool   `json:"alive"`
}

// GroupStatus is one Raft group.
type GroupStatus struct {
	Group   string            `json:"group"` // "directory" or "p1", "p2", …
	Leader  string            `json:"leader"`
	Voters  []string          `json:"voters"`
	Wanted  []string          `json:"wanted"` // replicas, the preferred leader first
	Commit  uint64            `json:"commit"`
	Applied uint64            `json:"applied"`
	Lag     map[string]uint64 `json:"lag"`
}

// Account is what `rookery account show --json` prints, as far as the harness needs it.
type Account struct {
	Address   string `json:"address"`
	Partition string `json:"partition"` // a group's name
}

// Status asks the node how the cluster is.
func (n *Node) Status(ctx context.Context) (Status, error) {
	var s Status
	err := n.JSON(ctx, &s, "status")
	return s, err
}

// Accounts lists the accounts with their partitions.
func (n *Node) Accounts(ctx context.Context) ([]Account, error) {
	var a []Account
	err := n.JSON(ctx, &a, "account", "list")
	return a, err
}

// Queued is what `rookery queue list --json` prints, as far as the harness needs it.
type Queued struct {
	Matched  int      `json:"matched"`  // messages that wait for a recipient
	Problems []string `json:"problems"` // partitions that did not say
	Entries  []struct {
		ID         string `json:"id"`
		Held       bool   `json:"held"`
		Recipients []struct {
			Address string `json:"address"`
			State   string `json:"state"`
			Last    struct {
				Reply string `json:"reply"`
			} `json:"last"`
		} `json:"recipients"`
	} `json:"entries"` // the oldest
}

// Queue asks what waits for other domains.
func (n *Node) Queue(ctx context.Context) (Queued, error) {
	var q Queued
	err := n.JSON(ctx, &q, "queue", "list")
	return q, err
}

// Get asks the node's admin socket, as with curl --unix-socket. An answer other than 200 is an
// error with its text.
func (n *Node) Get(ctx context.Context, path string) ([]byte, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", n.Socket())
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", n.Name, path, err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", n.Name, path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(body)))
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", n.Name, path, err)
	}
	return body, nil
}

// pollEvery is how often the harness asks a node whether it has come so far.
const pollEvery = 100 * time.Millisecond

// WaitReady waits until the node's /readyz says so. It gives up at once when the process ended.
func (n *Node) WaitReady(ctx context.Context) error {
	err := poll(ctx, pollEvery, func() error {
		if err := n.Crashed(); err != nil {
			return &finalError{err}
		}
		_, err := n.Get(ctx, "/readyz")
		return err
	})
	if err != nil {
		return fmt.Errorf("wait until %s is ready: %w", n.Name, err)
	}
	return nil
}

// WaitWhole waits until every node runs, is ready and is seen alive by the others, every group has
// a leader and all of its replicas, and none is behind by more than a moment.
func (c *Cluster) WaitWhole(ctx context.Context) error {
	for _, n := range c.nodes {
		if err := n.WaitReady(ctx); err != nil {
			return err
		}
	}
	err := poll(ctx, 2*pollEvery, func() error {
		s, err := c.nodes[0].Status(ctx)
		if err != nil {
			return err
		}
		return c.whole(s)
	})
	if err != nil {
		return fmt.Errorf("wait until the cluster is whole: %w", err)
	}
	return nil
}

// maxLag is how many entries a replica may be behind in a cluster that is called whole; it is never
// quite 0 while mail flows.
const maxLag = 64

// whole says what is missing, in the first group where something is.
func (c *Cluster) whole(s Status) error {
	for _, n := range s.Nodes {
		if !n.Alive {
			return fmt.Errorf("node %s is not seen alive", n.ID)
		}
	}
	if len(s.Nodes) < len(c.nodes) {
		return fmt.Errorf("%d of %d nodes are known", len(s.Nodes), len(c.nodes))
	}
	for _, g := range s.Groups {
		if g.Leader == "" {
			return fmt.Errorf("group %s has no leader", g.Group)
		}
		if want := min(len(c.nodes), 3); len(g.Voters) < want {
			return fmt.Errorf("group %s has %d of %d voters", g.Group, len(g.Voters), want)
		}
		for node, lag := range g.Lag {
			if lag > maxLag {
				return fmt.Errorf("%s is %d entries behind in group %s", node, lag, g.Group)
			}
		}
	}
	return nil
}

// WaitSpread waits until every group is led by the node that the partition map prefers.
func (c *Cluster) WaitSpread(ctx context.Context) error {
	err := poll(ctx, 2*pollEvery, func() error {
		s, err := c.nodes[0].Status(ctx)
		if err != nil {
			return err
		}
		for _, g := range s.Groups {
			if len(g.Wanted) > 0 && g.Leader != g.Wanted[0] {
				return fmt.Errorf("group %s is led by %q, wanted is %s", g.Group, g.Leader, g.Wanted[0])
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait until the leaders are spread: %w", err)
	}
	return nil
}

// ReplicaHash is the hash of one replica, from `rookery debug hash --json`.
type ReplicaHash struct {
	Group   string `json:"group"`
	Applied uint64 `json:"applied"`
	Hash    string `json:"hash"`
}

// Hashes gives the hashes of the node's replicas.
func (n *Node) Hashes(ctx context.Context) ([]ReplicaHash, error) {
	var answer struct {
		Groups []ReplicaHash `json:"groups"`
	}
	err := n.JSON(ctx, &answer, "debug", "hash")
	return answer.Groups, err
}

// Unequal says how replicas of one group differ.
type Unequal struct {
	Group    string
	Replicas []string // "n1: applied 17, hash …"
}

// Error implements error.
func (u *Unequal) Error() string {
	return fmt.Sprintf("the replicas of %s differ: %s", u.Group, strings.Join(u.Replicas, "; "))
}

// WaitEqual waits until all replicas of every group are equal, and gives the number of groups. Replicas
// that differ though they have applied the same are an *Unequal at once; the cluster must be at rest.
func (c *Cluster) WaitEqual(ctx context.Context) (groups int, err error) {
	err = poll(ctx, 5*pollEvery, func() error {
		byNode := map[string][]ReplicaHash{}
		for _, n := range c.nodes {
			hashes, err := n.Hashes(ctx)
			if err != nil {
				return err
			}
			byNode[n.Name] = hashes
		}
		groups, err = compareHashes(byNode)
		return err
	})
	if err != nil {
		return groups, fmt.Errorf("compare the replicas: %w", err)
	}
	return groups, nil
}

// compareHashes compares replicas group by group. Different hashes at the same entry end a poll.
func compareHashes(byNode map[string][]ReplicaHash) (groups int, err error) {
	first := map[string]ReplicaHash{}
	lines := map[string][]string{}
	var moving, different []string
	for _, node := range slices.Sorted(maps.Keys(byNode)) {
		for _, h := range byNode[node] {
			lines[h.Group] = append(lines[h.Group], fmt.Sprintf("%s: applied %d, hash %.16s", node, h.Applied, h.Hash))
			seen, ok := first[h.Group]
			switch {
			case !ok:
				first[h.Group] = h
			case seen.Hash == h.Hash: // the applied index may differ by entries of Raft's own
			case seen.Applied != h.Applied:
				moving = append(moving, h.Group)
			default:
				different = append(different, h.Group)
			}
		}
	}
	switch {
	case len(first) == 0:
		return 0, errors.New("no node has a replica of any group")
	case len(different) > 0:
		return len(first), &finalError{&Unequal{Group: different[0], Replicas: lines[different[0]]}}
	case len(moving) > 0:
		return len(first), &Unequal{Group: moving[0], Replicas: lines[moving[0]]}
	}
	return len(first), nil
}
