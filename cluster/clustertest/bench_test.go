package clustertest_test

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/clustertest"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/group"
)

// proposeInParallel proposes 4 KiB commands to four groups through every node.
func proposeInParallel(b *testing.B, nodes []*clustertest.Node) {
	var next atomic.Uint64
	b.SetBytes(4 << 10)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := next.Add(1)
			payload := make([]byte, 4<<10)
			binary.BigEndian.PutUint64(payload, n)
			_, _, err := nodes[n%uint64(len(nodes))].Propose(b.Context(), cluster.GroupID(1+n%4),
				command.Command{Kind: command.Deliver, Payload: payload})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkPropose(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			ids := []cluster.NodeID{"a", "b", "c"}[:nodes]
			c := clustertest.Start(b, clustertest.Config{Machine: clustertest.Ledger, Nodes: ids, Groups: 4})
			running := c.Running()
			b.SetParallelism(10)
			proposeInParallel(b, running)
		})
	}
}

// BenchmarkProposeAlone is the latency of one proposer at the leader, and of one that is forwarded.
func BenchmarkProposeAlone(b *testing.B) {
	for _, where := range []string{"leader", "follower"} {
		b.Run(where, func(b *testing.B) {
			c := clustertest.Start(b, clustertest.Config{Machine: clustertest.Ledger, Timing: group.LAN()})
			n := c.WaitLeader(1)
			if where == "follower" {
				n = c.Follower(1)
			}
			payload := make([]byte, 4096)
			b.ResetTimer()
			for range b.N {
				if _, _, err := n.Propose(b.Context(), 1, command.Command{Kind: command.Deliver, Payload: payload}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
