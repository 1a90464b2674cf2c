package mailstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/uidset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const trace = "Received: from a by b; Sat, 21 Nov 2026 10:00:00 +0000\r\n"

func text(id, body string) string {
	return "Message-ID: <" + id + "@example.org>\r\nSubject: " + id + "\r\nFrom: a@example.org\r\n\r\n" + body + "\r\n"
}

func deliver(t testing.TB, s *mailstore.Store, msg string, targets ...mailstore.Target) []mailstore.Outcome {
	t.Helper()
	var accounts []index.AccountID
	for _, target := range targets {
		accounts = append(accounts, target.Account)
	}
	in := s.NewIncoming(t.Context(), accounts, []byte(trace))
	defer in.Discard()
	if _, err := io.WriteString(in, msg); err != nil {
		t.Fatal(err)
	}
	out, err := in.Deliver(t.Context(), mailstore.Delivery{Targets: targets})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mustDeliver(t testing.TB, s *mailstore.Store, msg string, targets ...mailstore.Target) []mailstore.Outcome {
	t.Helper()
	out := deliver(t, s, msg, targets...)
	for i, o := range out {
		if o.Err != nil {
			t.Fatalf("target %d: %v", i, o.Err)
		}
	}
	return out
}

func open(t testing.TB, s *mailstore.Store, a index.AccountID, name string) *mailstore.Mailbox {
	t.Helper()
	m, err := s.Account(a).Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func read(t testing.TB, m *mailstore.Mailbox, u index.UID) string {
	t.Helper()
	b, err := m.OpenBody(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func verify(t testing.TB, c *mailstoretest.Cluster) {
	t.Helper()
	for g := cluster.GroupID(1); g <= mailstoretest.Partitions; g++ {
		snap := c.Group(g).Snapshot()
		if err := mailbox.Verify(snap); err != nil {
			t.Errorf("%v: %v", g, err)
		}
		if err := snap.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestDeliverAndRead(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	s := c.Store()
	msg := text("one", "hello")
	out := mustDeliver(t, s, msg, mailstore.Target{Account: 1, Address: "A@x"}, mailstore.Target{Account: 2, Mailbox: "Lists/Go"},
		mailstore.Target{Account: 3, Flags: index.FlagFlagged, Keywords: []string{"$Work"}})
	if out[0].UID != 1 || out[0].UIDValidity == 0 {
		t.Fatalf("outcome %+v", out[0])
	}
	for a, name := range map[index.AccountID]string{1: "inbox", 2: "Lists/Go", 3: "INBOX"} {
		m := open(t, s, a, name)
		if got := read(t, m, 1); got != trace+msg {
			t.Errorf("account %d reads %q", a, got)
		}
		v, err := m.View(t.Context())
		if err != nil || v.UIDs.Len() != 1 || v.FirstUnseen != 1 || v.Mailbox.Bytes != uint64(len(trace+msg)) {
			t.Errorf("view of account %d: %+v, %v", a, v, err)
		}
	}
	m := open(t, s, 3, "INBOX")
	n := 0
	err := m.Messages(t.Context(), uidset.Of(index.UIDRange{Lo: 1, Hi: 9}), func(msg mailstore.Message) error {
		n++
		if got := string(msg.Envelope().Subject); got != "one" {
			t.Errorf("subject %q", got)
		}
		if got := msg.Structure(); string(got.Type) != "text" || got.BodyOffset != msg.HeaderSize {
			t.Errorf("structure %v, header of %d octets", got, msg.HeaderSize)
		}
		if msg.State.System != index.FlagFlagged || !slices.Equal(msg.State.Keywords, []string{"$Work"}) {
			t.Errorf("state %+v", msg.State)
		}
		return nil
	})
	if err != nil || n != 1 {
		t.Fatalf("%d messages, %v", n, err)
	}
	verify(t, c)
}

func TestSecondDeliveryIsFoundOut(t *testing.T) {
	s := mailstoretest.New(t)
	msg := text("again", "x")
	first := mustDeliver(t, s, msg, mailstore.Target{Account: 1, Address: "me@x"})
	second := mustDeliver(t, s, msg, mailstore.Target{Account: 1, Address: "ME@X"})
	if first[0].Duplicate || !second[0].Duplicate || first[0].UID != second[0].UID {
		t.Fatalf("%+v, then %+v", first[0], second[0])
	}
	other := mustDeliver(t, s, msg, mailstore.Target{Account: 1, Address: "alias@x"})
	changed := mustDeliver(t, s, text("again", "y"), mailstore.Target{Account: 1, Address: "me@x"})
	if other[0].Duplicate || changed[0].Duplicate || changed[0].UID != 3 {
		t.Fatalf("another recipient %+v, other content %+v", other[0], changed[0])
	}
}

// noise is text that does not compress below a given size.
func noise(size int) string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, size)
	for i := range b {
		b[i] = ' ' + byte(r.IntN(90))
		if i%78 == 76 {
			b[i], b[min(i+1, size-1)] = '\r', '\n'
		}
	}
	return string(b)
}

func TestLargeMessageIsStagedOnce(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	s := c.Store()
	msg := text("big", noise(3<<20))
	mustDeliver(t, s, msg, mailstore.Target{Account: 1}, mailstore.Target{Account: 2}, mailstore.Target{Account: 3})
	for _, a := range []index.AccountID{1, 2, 3} {
		if got := read(t, open(t, s, a, "INBOX"), 1); got != trace+msg {
			t.Fatalf("account %d reads %d octets, want %d", a, len(got), len(trace+msg))
		}
	}
	b, err := open(t, s, 1, "INBOX").OpenBody(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p := make([]byte, 1000)
	off := int64(256<<10 - 500) // over the edge of a chunk
	if n, err := b.ReadAt(p, off); n != len(p) || err != nil || string(p) != (trace + msg)[off:off+1000] {
		t.Fatalf("ReadAt across chunks: %d, %v", n, err)
	}
	verify(t, c)
}

func TestAbandonedUploadIsSwept(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	s := c.Store()
	in := s.NewIncoming(t.Context(), []index.AccountID{1}, nil)
	if _, err := io.WriteString(in, noise(2<<20)); err != nil {
		t.Fatal(err)
	}
	in.Discard()
	if _, err := in.Write([]byte("x")); err == nil {
		t.Fatal("a discarded message takes octets")
	}
	keys := func() int { return count(t, c.Group(2)) }
	staged := keys()
	if err := s.Maintain(t.Context(), 2, time.Now()); err != nil || keys() != staged {
		t.Fatalf("a fresh upload was swept (%v): %d keys of %d", err, keys(), staged)
	}
	if err := s.Maintain(t.Context(), 2, time.Now().Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	snap := c.Group(2).Snapshot()
	defer snap.Close()
	if err := mailbox.Verify(snap); err != nil || keys() >= staged-4 {
		t.Fatalf("%v, %d keys of %d", err, keys(), staged)
	}
}

// count returns the number of keys of a partition.
func count(t *testing.T, g *mailstoretest.Group) (n int) {
	t.Helper()
	snap := g.Snapshot()
	defer snap.Close()
	it, err := snap.Scan([]byte{0x10}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n
}

func TestTooLarge(t *testing.T) {
	s := mailstoretest.New(t, func(c *mailstore.Config) { c.MaxMessage = 1000 })
	in := s.NewIncoming(t.Context(), []index.AccountID{1}, nil)
	defer in.Discard()
	if _, err := in.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte{'x'}); !errors.Is(err, index.ErrTooLarge) {
		t.Fatalf("got %v", err)
	}
	if _, err := in.Deliver(t.Context(), mailstore.Delivery{}); !errors.Is(err, index.ErrTooLarge) {
		t.Fatalf("deliver after that: %v", err)
	}
}

func TestManyPartsStillFit(t *testing.T) {
	var msg strings.Builder
	msg.WriteString("Message-ID: <parts@x>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n")
	for i := range 3000 {
		fmt.Fprintf(&msg, "--b\r\nContent-Type: text/x-%060d; name=%060d\r\nContent-ID: <%050d>\r\n\r\nx\r\n", i, i, i)
	}
	msg.WriteString("--b--\r\n")
	msg.WriteString(noise(200 << 10))
	s := mailstoretest.New(t)
	mustDeliver(t, s, msg.String(), mailstore.Target{Account: 1})
	if got := read(t, open(t, s, 1, "INBOX"), 1); got != trace+msg.String() {
		t.Fatal("the octets changed")
	}
}

func TestAppend(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	s := c.Store(func(c *mailstore.Config) {
		c.Limits = func(index.AccountID) (uint64, uint64) { return 1 << 20, 2 }
	})
	put := func(name string) error {
		in := s.NewIncoming(t.Context(), []index.AccountID{1}, nil)
		defer in.Discard()
		if _, err := io.WriteString(in, text("a", "b")); err != nil {
			t.Fatal(err)
		}
		_, _, err := in.Append(t.Context(), name, mailstore.AppendOptions{Flags: index.FlagSeen, InternalDate: time.Unix(1e9, 0)})
		return err
	}
	if err := put("Nowhere"); !errors.Is(err, index.ErrNoMailbox) {
		t.Fatalf("append to no mailbox: %v", err)
	}
	for range 2 {
		if err := put("Sent"); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("Sent"); !errors.Is(err, index.ErrOverQuota) {
		t.Fatalf("third of two messages: %v", err)
	}
	u, err := s.Account(1).Usage(t.Context())
	if err != nil || u.Messages != 2 || u.MessagesLimit != 2 {
		t.Fatalf("usage %+v, %v", u, err)
	}
	verify(t, c)
}

func TestUnavailable(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	s := c.Store()
	mustDeliver(t, s, text("a", ""), mailstore.Target{Account: 1})
	c.Fail(cluster.ErrUnavailable)
	if out := deliver(t, s, text("b", ""), mailstore.Target{Account: 1}); !errors.Is(out[0].Err, cluster.ErrUnavailable) {
		t.Fatalf("small message: %v", out[0].Err)
	}
	if out := deliver(t, s, text("c", noise(2<<20)), mailstore.Target{Account: 1}); !errors.Is(out[0].Err, cluster.ErrUnavailable) {
		t.Fatalf("large message: %v", out[0].Err)
	}
	if v, err := open(t, s, 1, "INBOX").View(t.Context()); err != nil || v.UIDs.Len() != 1 {
		t.Fatalf("reads go on: %+v, %v", v, err)
	}
	if out := deliver(t, s, text("d", ""), mailstore.Target{Account: 0}); !errors.Is(out[0].Err, index.ErrNoAccount) {
		t.Fatalf("no account: %v", out[0].Err)
	}
}

func TestNoReplica(t *testing.T) {
	s := mailstoretest.New(t, func(c *mailstore.Config) {
		c.Replica = func(cluster.GroupID) (mailstore.Replica, error) { return nil, cluster.ErrNoReplica }
		c.RemoteUsage = func(context.Context, cluster.GroupID, index.AccountID) (index.Usage, error) {
			return index.Usage{Bytes: 7}, nil
		}
	})
	mustDeliver(t, s, text("a", ""), mailstore.Target{Account: 1})
	if _, err := s.Account(1).Open(t.Context(), "INBOX"); !errors.Is(err, cluster.ErrNoReplica) {
		t.Fatalf("open: %v", err)
	}
	if u, err := s.Account(1).Usage(t.Context()); err != nil || u.Bytes != 7 {
		t.Fatalf("usage %+v, %v", u, err)
	}
	if m, err := s.Account(1).Create(t.Context(), "x", 0); err != nil || m.ID == 0 {
		t.Fatalf("create: %+v, %v", m, err)
	}
}

func TestBodyOutlivesExpunge(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	s := c.Store()
	msg := text("gone", noise(1<<20))
	mustDeliver(t, s, msg, mailstore.Target{Account: 1, Flags: index.FlagDeleted})
	m := open(t, s, 1, "INBOX")
	b, err := m.OpenBody(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	gone, err := m.Expunge(t.Context(), nil)
	if err != nil || gone.Len() != 1 {
		t.Fatalf("expunged %d, %v", gone.Len(), err)
	}
	var got bytes.Buffer
	if _, err := io.Copy(&got, io.NewSectionReader(b, 0, b.Size())); err != nil || got.String() != trace+msg {
		t.Fatalf("read %d octets, %v", got.Len(), err)
	}
	if _, err := m.OpenBody(t.Context(), 1); !errors.Is(err, index.ErrNoMessage) {
		t.Fatalf("open anew: %v", err)
	}
	verify(t, c)
}
