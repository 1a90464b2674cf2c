package queue_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/partition"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

var epoch = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// tester is a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Cleanup(func())
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// world executes commands in a batch that is never committed.
type world struct {
	t    tester
	b    kv.Batch
	p    *partition.Partition
	now  time.Time
	next uint64

	verify bool // after each command
}

func newWorld(t tester) *world {
	t.Helper()
	db, err := state.Open("state", state.Config{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	b := db.Group(1).NewBatch()
	t.Cleanup(func() {
		_ = b.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{t: t, b: b, p: partition.New(partition.Config{More: []partition.Extension{queue.New()}}), now: epoch, verify: true}
}

// do executes a command and returns its result.
func (w *world) do(k command.Kind, p interface{ MarshalVT() ([]byte, error) }) *queuepb.Result {
	w.t.Helper()
	data, err := p.MarshalVT()
	if err != nil {
		w.t.Fatal(err)
	}
	w.next++
	var id cluster.CommandID
	binary.BigEndian.PutUint64(id[:], w.next)
	encoded, err := w.p.Execute(w.b, command.Command{ID: id, Kind: k, Time: w.now, Payload: data, Index: cluster.LogIndex(w.next)})
	if err != nil {
		w.t.Fatalf("%v: %v", k, err)
	}
	res := new(queuepb.Result)
	if err := res.UnmarshalVT(encoded); err != nil {
		w.t.Fatal(err)
	}
	if !w.verify {
		return res
	}
	if err := errors.Join(queue.Verify(w.b), mailbox.VerifyAlso(w.b, (*queue.Queue)(nil).Users)); err != nil {
		w.t.Fatalf("after %v: %v", k, err)
	}
	return res
}

// message is a submission of account 7 for recipients local@destination.
func message(w *world, recipients ...string) *queuepb.SubmitCommand {
	e := &queuepb.NewEntry{Account: 7, Sender: "ada@example.org", Expires: w.now.Add(120 * time.Hour).UnixMilli(),
		Notice: w.now.Add(4 * time.Hour).UnixMilli(), Id: "ABC", MessageId: "<1@example.org>"}
	for _, r := range recipients {
		_, domain, _ := strings.Cut(r, "@")
		e.Recipients = append(e.Recipients, &queuepb.NewRecipient{Address: r, Destination: domain})
	}
	return &queuepb.SubmitCommand{Entry: e, Deliver: &indexpb.DeliverCommand{
		Summary: &indexpb.Summary{Size: 10, Envelope: []byte{1}, Structure: []byte{2}},
		Body:    &indexpb.BodyInput{Size: 10, ChunkSize: 10, Chunks: [][]byte{{1, 2, 3}}},
	}}
}

// show is the queue as text: the agenda, then entries with their recipients.
func (w *world) show() string {
	w.t.Helper()
	var out strings.Builder
	due, next, err := queue.Agenda(w.b, queue.Due{}, w.now.UnixMilli(), 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range due {
		fmt.Fprintf(&out, "due: %s\n", d.Destination)
	}
	if next != 0 {
		fmt.Fprintf(&out, "next: in %v\n", time.UnixMilli(next).Sub(w.now))
	}
	err = queue.Entries(w.b, 0, func(id queue.EntryID, _ *queuepb.EntryRecord) (bool, error) {
		e, list, ok, err := queue.Entry(w.b, id)
		if err != nil || !ok {
			return false, fmt.Errorf("entry %d: %v, %w", id, ok, err)
		}
		fmt.Fprintf(&out, "%d from <%s>", id, e.Sender)
		if e.Held {
			fmt.Fprintf(&out, " held: %s", e.HeldWhy)
		}
		out.WriteByte('\n')
		for _, r := range list {
			rec := r.Record
			fmt.Fprintf(&out, "  %d <%s> %s", r.Place.Recipient, rec.Address, strings.ToLower(strings.TrimPrefix(rec.State.String(), "RECIPIENT_STATE_")))
			if rec.Term != 0 {
				fmt.Fprintf(&out, " in term %d", rec.Term)
			}
			if in := time.UnixMilli(rec.Due).Sub(w.now); in > 0 && rec.Term == 0 {
				fmt.Fprintf(&out, " due in %v", in)
			}
			if rec.Last != nil {
				fmt.Fprintf(&out, ", %d attempts: %d %s", rec.Attempts, rec.Last.Code, rec.Last.Text)
			}
			out.WriteByte('\n')
		}
		return true, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.String()
}

func (w *world) shows(want string) {
	w.t.Helper()
	want = strings.ReplaceAll(strings.TrimPrefix(want, "\n"), "\t", "")
	if got := w.show(); got != want {
		w.t.Errorf("the queue is\n%s\nand not\n%s", got, want)
	}
}
