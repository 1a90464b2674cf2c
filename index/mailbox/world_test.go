package mailbox_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/partition"
)

// world executes commands in a batch that is never committed.
type world struct {
	t    testing.TB
	b    kv.Batch
	p    *partition.Partition
	now  time.Time
	next uint64
}

func openState(t testing.TB) *state.DB {
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
	return db
}

var epoch = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func newWorld(t testing.TB) *world {
	t.Helper()
	b := openState(t).Group(1).NewBatch()
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{t: t, b: b, p: partition.New(partition.Config{}), now: epoch}
}

type payload interface{ MarshalVT() ([]byte, error) }

// encode makes the command that does proposes at the world's time.
func (w *world) encode(k command.Kind, p payload) command.Command {
	data, err := p.MarshalVT()
	if err != nil {
		panic(err)
	}
	w.next++
	var id cluster.CommandID
	binary.BigEndian.PutUint64(id[:], w.next)
	return command.Command{ID: id, Kind: k, Time: w.now, Payload: data, Index: cluster.LogIndex(w.next)}
}

// do executes a command and returns its result.
func (w *world) do(k command.Kind, p payload) *indexpb.Result {
	encoded, err := w.p.Execute(w.b, w.encode(k, p))
	if err != nil {
		panic(err)
	}
	w.p.Committed(cluster.LogIndex(w.next))
	res := new(indexpb.Result)
	if err := res.UnmarshalVT(encoded); err != nil {
		panic(err)
	}
	return res
}

// inline is a body of size octets in chunks of 10, and a summary of it.
func inline(size int) (*indexpb.BodyInput, *indexpb.Summary) {
	in := &indexpb.BodyInput{Size: uint64(size), ChunkSize: 10}
	for n := 0; n < size; n += 10 {
		in.Chunks = append(in.Chunks, []byte{byte(n), 1, 2})
	}
	return in, &indexpb.Summary{Size: uint64(size), InternalDate: 5, Envelope: []byte{1}, Structure: []byte{2}}
}

func span(lo, hi uint32) []*indexpb.UIDRange { return []*indexpb.UIDRange{{Lo: lo, Hi: hi}} }
