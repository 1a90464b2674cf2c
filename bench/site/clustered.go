package site

import (
	"context"
	"fmt"
)

// Partitions asks the cluster.
func (s *Rookery) Partitions(ctx context.Context, n int) (map[string]string, error) {
	var list []struct{ Address, Partition string }
	if err := s.alive().json(ctx, &list, "account", "list"); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, a := range list {
		out[a.Address] = a.Partition
	}
	known := map[string]string{}
	for _, l := range s.accounts[:min(n, len(s.accounts))] {
		known[l.Address] = out[l.Address]
	}
	return known, nil
}

// Leaders asks a node that runs.
func (s *Rookery) Leaders(ctx context.Context) (map[string]string, error) {
	st, err := s.alive().status(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, g := range st.Groups {
		out[g.Group] = g.Leader
	}
	return out, nil
}

// Nodes are n1, n2 and so on.
func (s *Rookery) Nodes() []string {
	var out []string
	for _, n := range s.nodes {
		out = append(out, n.name)
	}
	return out
}

// alive is a node that runs, or the first.
func (s *Rookery) alive() *node {
	for _, n := range s.nodes {
		if n.process != nil {
			return n
		}
	}
	return s.nodes[0]
}

func (s *Rookery) node(name string) (*node, error) {
	for _, n := range s.nodes {
		if n.name == name {
			return n, nil
		}
	}
	return nil, fmt.Errorf("there is no node %q", name)
}

// Kill ends a node at once.
func (s *Rookery) Kill(name string) error {
	n, err := s.node(name)
	if err != nil {
		return err
	}
	s.remember(context.Background(), n)
	n.kill()
	return nil
}

// Stop ends a node with SIGTERM.
func (s *Rookery) Stop(ctx context.Context, name string) error {
	n, err := s.node(name)
	if err != nil {
		return err
	}
	s.remember(ctx, n)
	return n.stop(ctx)
}

// remember keeps what a process used that is about to end.
func (s *Rookery) remember(ctx context.Context, n *node) {
	if n.process == nil {
		return
	}
	if u, err := n.usage(ctx); err == nil { // else it just ended, and its share is lost
		u.Memory = 0
		u.FsyncsKnown = true
		s.past = plus(s.past, u)
	}
}

// Start starts a node again.
func (s *Rookery) Start(ctx context.Context, name, binary string) error {
	n, err := s.node(name)
	if err != nil {
		return err
	}
	if binary != "" {
		n.binary = binary
	}
	return n.start(ctx)
}

// WaitWhole asks the first node until nothing is missing.
func (s *Rookery) WaitWhole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := poll(ctx, func() error {
		st, err := s.alive().status(ctx)
		if err != nil {
			return err
		}
		return st.whole(len(s.nodes))
	})
	if err != nil {
		return fmt.Errorf("wait until the cluster is whole: %w", err)
	}
	return nil
}
