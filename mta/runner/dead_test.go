package runner

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/partition"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/shaping"
)

// dead is a destination that nobody answers for.
const dead = "dead.example"

// hall is a partition by itself, with a worker whose rounds are called one by one.
type hall struct {
	t testing.TB
	r *Runner

	mu    sync.Mutex // guards what follows
	group *state.Group
	p     *partition.Partition
	last  uint64
	reads int // keys that snapshots were asked for
	tries map[string]int
}

func newHall(t testing.TB) *hall {
	db, err := state.Open("state", state.Config{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	q := queue.New()
	h := &hall{t: t, group: db.Group(1), p: partition.New(partition.Config{More: []partition.Extension{q}}), tries: map[string]int{}}
	h.r = New(Config{Group: 1, Node: "a", Proposer: h, Store: h, Sender: h, Wake: q.Watch, NewID: h.id, Lanes: shaping.New(shaping.Config{Clock: time.Now}),
		Snapshot: func() (kv.Snapshot, error) { return counted{h.group.Snapshot(), h}, nil }})
	h.r.term = 1
	return h
}

func (h *hall) id() (id cluster.CommandID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	binary.BigEndian.PutUint64(id[:], h.last)
	return id
}

// Propose executes a command at once.
func (h *hall) Propose(_ context.Context, _ cluster.GroupID, c command.Command) ([]byte, cluster.LogIndex, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	c.Index = cluster.LogIndex(h.last)
	b := h.group.NewBatch()
	defer b.Close()
	result, err := h.p.Execute(b, c)
	if err == nil {
		err = b.Commit(c.Index)
	}
	h.p.Committed(c.Index)
	return result, c.Index, err
}

// submit queues a message for n recipients at a destination.
func (h *hall) submit(destination string, n int) {
	h.t.Helper()
	now := time.Now()
	e := &queuepb.NewEntry{Account: 7, Sender: "ada@example.org", Expires: now.Add(120 * time.Hour).UnixMilli(), Id: "ABC"}
	for i := range n {
		e.Recipients = append(e.Recipients, &queuepb.NewRecipient{Address: fmt.Sprintf("r%d@%s", i, destination), Destination: destination})
	}
	data, err := (&queuepb.SubmitCommand{Entry: e, Deliver: &indexpb.DeliverCommand{
		Summary: &indexpb.Summary{Size: 10, Envelope: []byte{1}, Structure: []byte{2}},
		Body:    &indexpb.BodyInput{Size: 10, ChunkSize: 10, Chunks: [][]byte{{1, 2, 3}}},
	}}).MarshalVT()
	if err != nil {
		h.t.Fatal(err)
	}
	encoded, _, err := h.Propose(context.Background(), 1, command.Command{ID: h.id(), Kind: command.Submit, Time: now, Payload: data})
	if err != nil {
		h.t.Fatal(err)
	}
	res := new(queuepb.Result)
	if err := res.UnmarshalVT(encoded); err != nil || res.Entry == 0 {
		h.t.Fatal(res, err)
	}
}

// round has the worker look once, settles what it did, and returns how many keys it asked for.
func (h *hall) round() int {
	h.t.Helper()
	h.mu.Lock()
	h.reads = 0
	h.mu.Unlock()
	if _, err := h.r.round(context.Background()); err != nil {
		h.t.Fatal(err)
	}
	_ = h.r.jobs.Wait() // jobs return no errors
	for {
		cmd, done := h.r.outcomes.take(h.r.term)
		if cmd == nil {
			break
		}
		if _, err := h.r.propose(context.Background(), command.SettleRecipients, cmd); err != nil {
			h.t.Fatal(err)
		}
		done()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reads
}

// Deliver reaches all but the dead.
func (h *hall) Deliver(_ context.Context, j remote.Job) []remote.Result {
	h.mu.Lock()
	h.tries[j.Destination]++
	h.mu.Unlock()
	r := remote.Result{Kind: remote.Delivered, Reached: true, Reply: *mta.Replyf(250, mta.OK, "ok")}
	if j.Destination == dead {
		r = remote.Result{Kind: remote.Temporary, Reply: *mta.Replyf(0, "4.4.1", "No host could be reached")}
	}
	out := make([]remote.Result, len(j.Recipients))
	for i := range out {
		out[i] = r
	}
	return out
}

// OpenStored opens a message that is the same for all.
func (h *hall) OpenStored(context.Context, cluster.GroupID, index.BodyID) (mailstore.Body, error) {
	return text{r: strings.NewReader("\r\nhello\r\n")}, nil
}

func (h *hall) NewReport(context.Context, index.AccountID, []byte) Incoming { return nil }

type text struct {
	mailstore.Body
	r *strings.Reader
}

func (t text) ReadAt(p []byte, off int64) (int, error) { return t.r.ReadAt(p, off) }
func (t text) Size() int64                             { return t.r.Size() }
func (t text) Close() error                            { return nil }

// counted counts the keys that are asked for.
type counted struct {
	kv.Snapshot
	h *hall
}

func (c counted) count() { c.h.mu.Lock(); c.h.reads++; c.h.mu.Unlock() }

func (c counted) Get(key []byte) ([]byte, bool, error) { c.count(); return c.Snapshot.Get(key) }

func (c counted) Scan(lower, upper []byte) (kv.Iterator, error) {
	it, err := c.Snapshot.Scan(lower, upper)
	return moves{it, c}, err
}

type moves struct {
	kv.Iterator
	c counted
}

func (m moves) First() bool            { m.c.count(); return m.Iterator.First() }
func (m moves) Next() bool             { m.c.count(); return m.Iterator.Next() }
func (m moves) SeekGE(key []byte) bool { m.c.count(); return m.Iterator.SeekGE(key) }

// bury has many wait for a destination that was found dead.
func (h *hall) bury(n int) {
	h.t.Helper()
	h.submit(dead, 1)
	h.round()
	for ; n > 0; n -= min(n, queue.MaxRecipients) {
		h.submit(dead, min(n, queue.MaxRecipients))
	}
	if h.tries[dead] != 1 {
		h.t.Fatalf("%d attempts", h.tries[dead])
	}
}

// TestDeadCostsNothing: a round asks for as many keys with 10,000 that wait for a dead destination as with 100, and the mail of
// others goes.
func TestDeadCostsNothing(t *testing.T) {
	reads := map[int]string{}
	for _, n := range []int{100, 10_000} {
		h := newHall(t)
		h.bury(n)
		idle := h.round()
		h.submit("live.example", 1)
		busy := h.round()
		reads[n] = fmt.Sprintf("%d keys when idle, %d with a message for another", idle, busy)
		if h.tries["live.example"] != 1 || h.tries[dead] != 1 {
			t.Errorf("with %d that wait, attempts: %v", n, h.tries)
		}
	}
	if reads[100] != reads[10_000] {
		t.Errorf("with 100: %s; with 10,000: %s", reads[100], reads[10_000])
	}
	t.Log(reads[100])
}

// used is the CPU time of this process, which holds on a busy machine better than any time on the wall.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDead is what it costs to have a message queued, sent and settled while others wait for a destination that does not answer.
func BenchmarkDead(b *testing.B) {
	for _, n := range []int{0, 1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := newHall(b)
			if n > 0 {
				h.bury(n)
			}
			h.r.c.Lanes = shaping.New(shaping.Config{Clock: time.Now})
			reads, before := 0, used()
			b.ResetTimer()
			for b.Loop() {
				h.submit("live.example", 1)
				reads += h.round()
			}
			b.ReportMetric(float64(reads)/float64(b.N), "keys/round")
			b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op")
			if h.tries["live.example"] != b.N {
				b.Errorf("%d attempts, %d messages", h.tries["live.example"], b.N)
			}
		})
	}
}

// BenchmarkIdle is a round that finds nothing to do.
func BenchmarkIdle(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := newHall(b)
			h.bury(n)
			before := used()
			b.ResetTimer()
			for b.Loop() {
				h.round()
			}
			b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}
