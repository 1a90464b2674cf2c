package node

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/group"
)

// TestFresh holds that mail is not read from a replica before it has caught up.
func TestFresh(t *testing.T) {
	const g = cluster.GroupID(3)
	n := &Node{id: "n1", host: newHost(hostConfig{}), book: newBook(nil)}
	r := &replica{Group: new(group.Group), fresh: make(chan struct{})} // which leads nothing
	n.host.replicas[g] = r
	for name, read := range map[string]func() error{
		"replica": func() error { _, err := n.mailReplica(g); return err },
		"feed":    func() error { _, err := n.mailFeed(g); return err },
	} {
		if err := read(); !errors.Is(err, cluster.ErrNoReplica) {
			t.Errorf("%s of a replica that is catching up: %v, want ErrNoReplica", name, err)
		}
	}
	close(r.fresh)
	if _, err := n.mailReplica(g); err != nil {
		t.Errorf("a fresh replica: %v", err)
	}
	for _, c := range []struct {
		nodes []cluster.NodeID
		want  error
	}{{[]cluster.NodeID{"n1", "n2"}, nil}, {[]cluster.NodeID{"n2", "n3"}, cluster.ErrNoReplica}} {
		n.book.update(nil, directory.PartitionMap{Groups: []directory.Replicas{{Group: g, Nodes: c.nodes}}})
		if _, err := n.mailReplica(g); !errors.Is(err, c.want) {
			t.Errorf("a replica of n1 where the map has %v: %v, want %v", c.nodes, err, c.want)
		}
	}
}

// TestWithin holds that a step of the stop is waited for, but not for ever.
func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
		defer cancel()
		problem := errors.New("a problem")
		if err := within(ctx, func(context.Context) error { return problem }); err != problem {
			t.Errorf("got %v, want the step's own error", err)
		}
		slow := func(ctx context.Context) error { <-ctx.Done(); time.Sleep(time.Second); return ctx.Err() }
		if err := within(ctx, slow); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a step that heeds its deadline: %v", err)
		}
		release := make(chan struct{})
		began := time.Now()
		if err := within(ctx, func(context.Context) error { <-release; return nil }); !errors.Is(err, errHangs) {
			t.Errorf("a step that hangs: %v, want errHangs", err)
		}
		if took := time.Since(began); took != hangAfter {
			t.Errorf("it was given up after %v, want %v", took, hangAfter)
		}
		close(release)
	})
}
