package queue_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/partition"
	"github.com/rookery-mail/rookery/mta/queue"
)

// applier applies deliveries of 4 KiB to a state of its own.
type applier struct {
	db     *state.DB
	group  *state.Group
	p      *partition.Partition
	n      uint64
	octets int // of commands
	cpu    time.Duration
}

func newApplier(b *testing.B) *applier {
	b.Helper()
	db, err := state.Open("state", state.Config{FS: vfs.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return &applier{db: db, group: db.Group(1), p: partition.New(partition.Config{More: []partition.Extension{queue.New()}})}
}

// apply makes and applies a batch of 32 commands and counts its CPU time.
func (a *applier) apply(b *testing.B, around *access.Around) {
	b.Helper()
	var ids, to [32]string
	for i := range ids {
		n := a.n + uint64(i) + 1
		ids[i], to[i] = fmt.Sprintf("<%016x.%d@mail.example.net>", n*0x9e3779b97f4a7c15, n), fmt.Sprintf("user%d@example.org", n%100+1)
	}
	start := cpuTime(b)
	batch := a.group.NewBatch()
	for i := range 32 {
		a.n++
		var key [16]byte
		binary.BigEndian.PutUint64(key[:], a.n)
		account := a.n%100 + 1
		var kind command.Kind = command.Deliver
		var p access.Payload = &indexpb.DeliverCommand{
			Summary: &indexpb.Summary{Size: 4096, Envelope: make([]byte, 200), Structure: make([]byte, 60), ContentHash: make([]byte, 32)},
			Body:    &indexpb.BodyInput{Size: 4096, ChunkSize: 256 << 10, Chunks: [][]byte{make([]byte, 2300)}},
			Targets: []*indexpb.DeliverTarget{{Account: account, DedupKey: key[:]}},
		}
		if around != nil {
			kind, p = around.Wrap(kind, p, ids[i], []access.Target{{Address: to[i]}})
		}
		data, err := p.MarshalVT()
		if err != nil {
			b.Fatal(err)
		}
		a.octets += len(data)
		c := command.Command{Kind: kind, Time: time.Unix(1_800_000_000, 0), Payload: data, Index: cluster.LogIndex(a.n)}
		result, err := a.p.Execute(batch, c)
		if err == nil && around != nil {
			_, err = around.Unwrap(result)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(batch.Commit(cluster.LogIndex(a.n)), batch.Close()); err != nil {
		b.Fatal(err)
	}
	a.p.Committed(cluster.LogIndex(a.n))
	a.cpu += cpuTime(b) - start
}

// BenchmarkStory makes and applies deliveries with and without their stories, in turns of 32, and tells what both take.
func BenchmarkStory(b *testing.B) {
	plain, told := newApplier(b), newApplier(b)
	for b.Loop() {
		plain.apply(b, nil)
		told.apply(b, queue.Arrival{ID: "7KQ2M4N5P6R7S8T9", Sender: fmt.Sprintf("someone%d@example.net", told.n%1000), Node: "n1",
			Client: "mx, 192.0.2.17, mail.example.net, TLS1.3"}.Told())
	}
	for name, a := range map[string]*applier{"plain": plain, "story": told} {
		if err := a.db.Flush(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(a.cpu.Nanoseconds())/float64(a.n), name+"-cpu-ns/op")
		b.ReportMetric(float64(a.octets)/float64(a.n), name+"-command-octets/op")
		m := a.db.Metrics()
		total := m.Total()
		b.ReportMetric(float64(total.TableBytesFlushed+total.BlobBytesFlushed)/float64(a.n), name+"-flushed-octets/op")
	}
}

// cpuTime is the CPU time this process has used: on a shared machine the wall says little.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
