package mailstore_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/uidset"
)

// TestLargeMailbox changes a mailbox that is large enough to be cached, in steps, through two stores
// over the same partitions: both always see what a store without a cache sees.
func TestLargeMailbox(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	fill(t, c, 14_000)
	a, b := open(t, c.Store(), 1, "INBOX"), open(t, c.Store(), 1, "INBOX")
	same := func(what string, want int) {
		t.Helper()
		fresh, err := open(t, c.Store(), 1, "INBOX").View(t.Context())
		if err != nil || fresh.UIDs.Len() != want {
			t.Fatalf("%s: %d messages, %v; want %d", what, fresh.UIDs.Len(), err, want)
		}
		for i, m := range []*mailstore.Mailbox{a, b} {
			v, err := m.View(t.Context())
			if err != nil || v.FirstUnseen != fresh.FirstUnseen || !slices.Equal(slices.Collect(v.UIDs.Ranges()), slices.Collect(fresh.UIDs.Ranges())) {
				t.Fatalf("%s: store %d sees UIDs or a first unseen (%d) other than %d, %v", what, i, v.FirstUnseen, fresh.FirstUnseen, err)
			}
			v.UIDs.RemoveRange(1, 5000) // the caller's own
		}
	}
	same("filled", 14_000)
	everything := uidset.Of(index.UIDRange{Lo: 1, Hi: 1 << 20})
	third := uidset.New()
	for u := index.UID(1); u <= 9000; u += 3 {
		third.Add(u)
	}
	res, err := a.Store(t.Context(), mailstore.StoreRequest{UIDs: third, Op: mailstore.Add, Flags: index.FlagDeleted})
	if err != nil || res.Changed.Len() != 3000 {
		t.Fatalf("stored %d, %v", res.Changed.Len(), err)
	}
	same("flagged", 14_000)
	if _, err := b.Store(t.Context(), mailstore.StoreRequest{UIDs: uidset.Of(index.UIDRange{Lo: 1, Hi: 700}), Op: mailstore.Add, Flags: index.FlagSeen}); err != nil {
		t.Fatal(err)
	}
	same("read", 14_000)
	gone, err := b.Expunge(t.Context(), nil)
	if err != nil || gone.Len() != 3000 {
		t.Fatalf("expunged %d, %v", gone.Len(), err)
	}
	same("expunged", 11_000)
	moved, err := a.Move(t.Context(), uidset.Of(index.UIDRange{Lo: 1, Hi: 6000}), "Archive")
	if err != nil || !slices.Equal(moved.To, []index.UIDRange{{Lo: 1, Hi: 4000}}) {
		t.Fatalf("moved to %v, %v", moved.To, err)
	}
	same("moved", 7_000)
	copied, err := b.Copy(t.Context(), everything, "INBOX")
	if err != nil || !slices.Equal(copied.To, []index.UIDRange{{Lo: 14_001, Hi: 21_000}}) {
		t.Fatalf("copied to %v, %v", copied.To, err)
	}
	same("copied", 14_000)
	verify(t, c)
}

func TestWatchAndChanges(t *testing.T) {
	s := mailstoretest.New(t)
	mustDeliver(t, s, text("a", ""), mailstore.Target{Account: 1})
	changed, stop := s.Account(1).Watch()
	m := open(t, s, 1, "INBOX")
	v, err := m.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustDeliver(t, s, text("b", ""), mailstore.Target{Account: 3}) // of the same partition
	select {
	case <-changed:
		t.Fatal("woken for another account")
	default:
	}
	mustDeliver(t, s, text("c", ""), mailstore.Target{Account: 1})
	mustDeliver(t, s, text("d", ""), mailstore.Target{Account: 1})
	<-changed
	got, err := m.Changes(t.Context(), v.Mailbox.HighestModSeq)
	if err != nil || got.Changed.Len() != 2 || got.Changed.Min() != 2 || got.Vanished.Len() != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	stop()
	mustDeliver(t, s, text("e", ""), mailstore.Target{Account: 1})
	select {
	case <-changed:
		t.Fatal("woken after stop")
	default:
	}
}

func TestFolders(t *testing.T) {
	s := mailstoretest.New(t)
	a, ctx := s.Account(5), t.Context()
	if _, err := a.Create(ctx, "Work/2026", index.UseAll); err != nil {
		t.Fatal(err)
	}
	m := open(t, s, 5, "Work/2026")
	for _, c := range []struct {
		what      string
		got, want error
	}{
		{"create again", second(a.Create(ctx, "Work/2026", 0)), index.ErrMailboxExists},
		{"create nonsense", second(a.Create(ctx, "a//b", 0)), index.ErrInvalidName},
		{"open nothing", second(a.Open(ctx, "Nowhere")), index.ErrNoMailbox},
		{"rename", a.Rename(ctx, "Work", "Job"), nil},
		{"rename nothing", a.Rename(ctx, "Work", "Job2"), index.ErrNoMailbox},
		{"subscribe to no mailbox", a.Subscribe(ctx, "News", true), nil},
		{"a handle survives a rename", second(m.View(ctx)), nil},
		{"delete", a.Delete(ctx, "Job/2026"), nil},
		{"a handle of a deleted mailbox", second(m.View(ctx)), index.ErrGone},
		{"delete INBOX", a.Delete(ctx, "inbox"), index.ErrInvalidName},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	all, err := a.Mailboxes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range all {
		names = append(names, fmt.Sprintf("%s:%v", m.Name, m.ID != 0))
	}
	want := []string{"Archive:true", "Drafts:true", "INBOX:true", "Job:true", "Junk:true", "News:false", "Sent:true", "Trash:true"}
	if !slices.Equal(names, want) {
		t.Fatalf("%v", names)
	}
}

func second[T any](_ T, err error) error { return err }

func TestDeletedMailboxIsDrained(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	s := c.Store()
	fill(t, c, 2000)
	if err := s.Account(1).Rename(t.Context(), "INBOX", "Old"); err != nil {
		t.Fatal(err)
	}
	if err := s.Account(1).Delete(t.Context(), "Old"); err != nil {
		t.Fatal(err)
	}
	verify(t, c)
	if u, err := s.Account(1).Usage(t.Context()); err != nil || u.Bytes != 0 || u.Messages != 0 {
		t.Fatalf("usage %+v, %v", u, err)
	}
	full := count(t, c.Group(2))
	if err := s.DrainGraveyard(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	verify(t, c)
	if left := count(t, c.Group(2)); left > full-2000 {
		t.Fatalf("%d keys of %d are left", left, full)
	}
}

func TestEmptyMessage(t *testing.T) {
	s := mailstoretest.New(t)
	in := s.NewIncoming(t.Context(), []index.AccountID{1}, nil)
	defer in.Discard()
	if _, _, err := in.Append(t.Context(), "INBOX", mailstore.AppendOptions{}); err != nil {
		t.Fatal(err)
	}
	b, err := open(t, s, 1, "INBOX").OpenBody(t.Context(), 1)
	if err != nil || b.Size() != 0 {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.ReadAt(make([]byte, 1), 0); err != io.EOF {
		t.Fatalf("read of nothing: %v", err)
	}
}
