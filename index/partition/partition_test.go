package partition_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/partition"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openGroup(t testing.TB) *state.Group {
	t.Helper()
	db, err := state.Open("state", state.Config{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db.Group(1)
}

// delivery is a Deliver of a body of size octets, as index/mailstore makes them.
func delivery(t testing.TB, n uint64, account index.AccountID, size int) command.Command {
	t.Helper()
	var key [16]byte
	binary.BigEndian.PutUint64(key[:], n)
	payload, err := (&indexpb.DeliverCommand{
		Summary: &indexpb.Summary{Size: uint64(size), Envelope: make([]byte, 200), Structure: make([]byte, 60), ContentHash: make([]byte, 32)},
		Body:    &indexpb.BodyInput{Size: uint64(size), ChunkSize: 256 << 10, Chunks: [][]byte{make([]byte, size/2)}},
		Targets: []*indexpb.DeliverTarget{{Account: uint64(account), DedupKey: key[:]}},
	}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return command.Command{Kind: command.Deliver, Time: time.Unix(1_800_000_000, 0), Payload: payload, Index: cluster.LogIndex(n)}
}

func TestWatchersWakeOnceCommitted(t *testing.T) {
	g, p := openGroup(t), partition.New(partition.Config{})
	b := g.NewBatch()
	defer b.Close()
	mine, stop := p.Watch(1)
	defer stop()
	others, stopOthers := p.Watch(2)
	woken := func(ch <-chan struct{}) bool {
		select {
		case <-ch:
			return true
		default:
			return false
		}
	}
	for n := range uint64(3) {
		if _, err := p.Execute(b, delivery(t, n+1, 1, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if woken(mine) {
		t.Fatal("woken before the batch was committed")
	}
	p.Committed(3)
	if !woken(mine) || woken(mine) || woken(others) {
		t.Fatal("after the commit, watchers of the account wake, once, and no others")
	}
	if err := p.Restored(b); err != nil || !woken(mine) || !woken(others) {
		t.Fatal("after a restore all watchers wake", err)
	}
	stopOthers()
	if err := p.Restored(b); err != nil || woken(others) {
		t.Fatal("woken after its end", err)
	}
}

func TestUnknownKindHalts(t *testing.T) {
	b := openGroup(t).NewBatch()
	defer b.Close()
	for _, k := range []command.Kind{0x02ff, command.PutDomain} {
		if _, err := partition.New(partition.Config{}).Execute(b, command.Command{Kind: k}); !errors.Is(err, partition.ErrKind) {
			t.Errorf("%v: %v", k, err)
		}
	}
}

// BenchmarkDeliver4K is the CPU time of applying one delivery, in batches of 32 commands, into
// INBOXes of few and of many messages.
func BenchmarkDeliver4K(b *testing.B) {
	for _, accounts := range []int{1, 1000} {
		b.Run(fmt.Sprintf("accounts=%d", accounts), func(b *testing.B) {
			g, p := openGroup(b), partition.New(partition.Config{})
			b.ReportAllocs()
			n := uint64(0)
			batch := g.NewBatch()
			start := cpuTime(b)
			for b.Loop() {
				n++
				if _, err := p.Execute(batch, delivery(b, n, index.AccountID(n%uint64(accounts)+1), 4096)); err != nil {
					b.Fatal(err)
				}
				if n%32 == 0 {
					if err := errors.Join(batch.Commit(cluster.LogIndex(n)), batch.Close()); err != nil {
						b.Fatal(err)
					}
					p.Committed(cluster.LogIndex(n))
					batch = g.NewBatch()
				}
			}
			reportCPU(b, start)
			if err := batch.Close(); err != nil {
				b.Fatal(err)
			}
		})
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

// reportCPU reports the CPU time since start by iteration.
func reportCPU(b *testing.B, start time.Duration) {
	b.Helper()
	b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
}
