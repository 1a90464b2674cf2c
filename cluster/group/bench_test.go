package group

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster/raftlog"
	"github.com/rookery-mail/rookery/cluster/state"
)

// diskNode is a node on the real file system, with the timing of production.
func diskNode(b *testing.B, id string) *node {
	n := newNode(b, id, vfs.Default)
	dir := b.TempDir()
	var err error
	if n.logs, err = raftlog.Open(dir+"/log", raftlog.Config{}); err != nil {
		b.Fatal(err)
	}
	if n.state, err = state.Open(dir+"/state", state.Config{}); err != nil {
		b.Fatal(err)
	}
	_, n.trans = raft.NewInmemTransport(raft.ServerAddress(id))
	n.group, err = Open(context.Background(), Config{
		ID: 3, Node: n.id, Logs: n.logs, State: n.state, Machine: new(journal), Transport: n.trans,
		Timing: WAN(), // heartbeats queue behind fsyncs in the in-memory transport
		Dir:    dir + "/snapshots",
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { n.close(over()) })
	return n
}

func BenchmarkPropose(b *testing.B) {
	for _, replicas := range []int{1, 3} {
		for _, parallel := range []int{1, 20, 100} {
			b.Run(fmt.Sprintf("replicas=%d/parallel=%d", replicas, parallel), func(b *testing.B) {
				benchmarkPropose(b, replicas, parallel)
			})
		}
	}
}

func benchmarkPropose(b *testing.B, replicas, parallel int) {
	nodes := []*node{diskNode(b, "n1")}
	leader := nodes[0].group
	for i := 1; i < replicas; i++ {
		nodes = append(nodes, diskNode(b, fmt.Sprintf("n%d", i+1)))
	}
	connect(nodes...)
	form(b, nodes[:1])
	for _, n := range nodes[1:] {
		if err := leader.AddVoter(within(b), n.id, string(n.id)); err != nil {
			b.Fatal(err)
		}
	}
	before, err := nodes[0].logs.Fsyncs()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(4096)
	b.SetParallelism(parallel) // times GOMAXPROCS
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := leader.Propose(context.Background(), bytes.Repeat([]byte{'x'}, 4096)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	after, err := nodes[0].logs.Fsyncs()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(after-before)/float64(b.N), "fsyncs/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}
