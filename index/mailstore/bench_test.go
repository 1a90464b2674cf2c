package mailstore_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/uidset"
)

// letter is a message of about 4 KiB of text.
func letter(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Message-ID: <%d@example.org>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: Ann Example <ann@example.org>\r\n"+
		"To: Bob <bob@example.com>, Carl <carl@example.com>\r\nSubject: the minutes of meeting %d\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/plain; charset=utf-8\r\n\r\n", n, n)
	for i := 0; b.Len() < 4096; i++ {
		fmt.Fprintf(&b, "Line %d of letter %d, with some words %x that differ.\r\n", i, n, uint64(i*n+1)*0x9e3779b97f4a7c15)
	}
	return b.String()
}

// accepting answers every Deliver with success and applies nothing: what is left is the work of the
// store itself.
type accepting struct{ result []byte }

func (a accepting) Propose(context.Context, cluster.GroupID, command.Command) ([]byte, cluster.LogIndex, error) {
	return a.result, 1, nil
}

func BenchmarkDeliver4K(b *testing.B) {
	var letters [64]string
	for i := range letters {
		letters[i] = letter(i)
	}
	run := func(b *testing.B, s *mailstore.Store) {
		b.ReportAllocs()
		n := 0
		start := cpuTime(b)
		defer func() { reportCPU(b, start) }()
		for b.Loop() {
			in := s.NewIncoming(b.Context(), []index.AccountID{1}, []byte(trace))
			if _, err := io.WriteString(in, letters[n%len(letters)]); err != nil {
				b.Fatal(err)
			}
			out, err := in.Deliver(b.Context(), mailstore.Delivery{
				Targets: []mailstore.Target{{Account: 1, Address: fmt.Sprintf("a%d@example.com", n)}}})
			if err != nil || out[0].Err != nil {
				b.Fatal(err, out)
			}
			in.Discard()
			n++
		}
	}
	b.Run("store", func(b *testing.B) {
		result, err := (&indexpb.Result{Targets: []*indexpb.TargetResult{{Uid: 1}}}).MarshalVT()
		if err != nil {
			b.Fatal(err)
		}
		run(b, mailstoretest.New(b, func(c *mailstore.Config) { c.Proposer = accepting{result} }))
	})
	b.Run("store+apply", func(b *testing.B) { run(b, mailstoretest.New(b)) })
}

// BenchmarkMailbox reads mailboxes of a thousand and of a million messages.
func BenchmarkMailbox(b *testing.B) {
	for _, size := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := filled(b, size)
			m := reopened(b, c)
			b.Run("View", func(b *testing.B) {
				b.ReportAllocs()
				start := cpuTime(b)
				defer func() { reportCPU(b, start) }()
				for b.Loop() {
					if v, err := m.View(b.Context()); err != nil || v.UIDs.Len() != size {
						b.Fatal(v.UIDs.Len(), err)
					}
				}
			})
			b.Run("ViewCold", func(b *testing.B) {
				start := cpuTime(b)
				defer func() { reportCPU(b, start) }()
				for b.Loop() {
					b.StopTimer()
					fresh := reopened(b, c)
					b.StartTimer()
					if v, err := fresh.View(b.Context()); err != nil || v.UIDs.Len() != size {
						b.Fatal(v.UIDs.Len(), err)
					}
				}
			})
			some := uidset.Of(index.UIDRange{Lo: 1, Hi: 5000})
			b.Run("Flags5000", func(b *testing.B) {
				start := cpuTime(b)
				defer func() { reportCPU(b, start) }()
				for b.Loop() {
					if err := m.Flags(b.Context(), some, func(index.UID, index.FlagState) error { return nil }); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("Messages5000", func(b *testing.B) {
				start := cpuTime(b)
				defer func() { reportCPU(b, start) }()
				for b.Loop() {
					err := m.Messages(b.Context(), some, func(msg mailstore.Message) error {
						msg.Envelope()
						msg.Structure()
						return nil
					})
					if err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("Changes1", func(b *testing.B) {
				v, err := m.View(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				start := cpuTime(b)
				defer func() { reportCPU(b, start) }()
				for b.Loop() {
					if _, err := m.Changes(b.Context(), v.Mailbox.HighestModSeq-1); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// filled returns partitions with a mailbox of size messages, a tenth of them read, made by commands in large batches.
func filled(b *testing.B, size int) *mailstoretest.Cluster {
	b.Helper()
	c := mailstoretest.NewCluster(b)
	fill(b, c, size)
	if err := c.Flush(); err != nil {
		b.Fatal(err)
	}
	return c
}

// fill delivers size messages to the INBOX of account 1, by commands of a thousand targets.
func fill(b testing.TB, c *mailstoretest.Cluster, size int) {
	b.Helper()
	first := indexpb.DeliverCommand{}
	capture := c.Store(func(c *mailstore.Config) { c.Proposer = recording{&first} })
	in := capture.NewIncoming(b.Context(), []index.AccountID{1}, []byte(trace))
	defer in.Discard()
	if _, err := io.WriteString(in, letter(1)); err != nil {
		b.Fatal(err)
	}
	if _, err := in.Deliver(b.Context(), mailstore.Delivery{Targets: []mailstore.Target{{Account: 1}}}); err != nil {
		b.Fatal(err)
	}
	body := &indexpb.BodyInput{Size: 1, ChunkSize: 1, Chunks: [][]byte{{0}}} // the octets do not matter here
	for done := 0; done < size; done += mailbox.MaxTargets {
		cmd := indexpb.DeliverCommand{Summary: first.Summary, Body: body}
		for i := range mailbox.MaxTargets {
			t := &indexpb.DeliverTarget{Account: 1}
			if i%10 == 0 {
				t.SystemFlags = uint32(index.FlagSeen)
			}
			cmd.Targets = append(cmd.Targets, t)
		}
		payload, err := cmd.MarshalVT()
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.Propose(b.Context(), 2, command.Command{ID: nextID(), Kind: command.Deliver, Time: time.Now(), Payload: payload}); err != nil {
			b.Fatal(err)
		}
	}
}

// reopened opens the mailbox through a store that has nothing cached.
func reopened(b *testing.B, c *mailstoretest.Cluster) *mailstore.Mailbox {
	b.Helper()
	return open(b, c.Store(), 1, "INBOX")
}

// recording keeps the last Deliver.
type recording struct{ last *indexpb.DeliverCommand }

func (r recording) Propose(_ context.Context, _ cluster.GroupID, c command.Command) ([]byte, cluster.LogIndex, error) {
	return nil, 0, r.last.UnmarshalVT(c.Payload)
}

var ids atomic.Uint64

func nextID() (id cluster.CommandID) {
	n := ids.Add(1)
	for i := range 8 {
		id[i] = byte(n >> (8 * i))
	}
	return id
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
