package mailstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
)

// TestUndelete: what was expunged, or went with its mailbox, comes back until its time is over.
func TestUndelete(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	keep, quota := 14*24*time.Hour, uint64(0)
	s := c.Store(func(c *mailstore.Config) {
		c.Clock = func() time.Time { return now }
		c.Keep = func() time.Duration { return keep }
		c.Limits = func(index.AccountID) (uint64, uint64) { return 0, quota }
	})
	a := s.Account(1)
	for i := range 4 {
		mustDeliver(t, s, text(fmt.Sprint("m", i), "hello"), mailstore.Target{Account: 1, Address: fmt.Sprint(i), Mailbox: []string{"INBOX", "INBOX", "Lists/Go", "Lists/Go"}[i],
			Flags: index.FlagDeleted | index.FlagFlagged, Keywords: []string{"$Work"}})
	}
	inbox := open(t, s, 1, "INBOX")
	if gone, err := inbox.Expunge(t.Context(), nil); err != nil || gone.Len() != 2 {
		t.Fatal(gone, err)
	}
	now = now.Add(time.Hour)
	if err := a.Delete(t.Context(), "Lists/Go"); err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct {
		mailstore.KeptQuery
		want int
	}{
		{mailstore.KeptQuery{}, 4},
		{mailstore.KeptQuery{Mailbox: "inbox"}, 2},
		{mailstore.KeptQuery{Most: 3}, 3},
		{mailstore.KeptQuery{Since: now.Add(-time.Minute), Until: now}, 0},
		{mailstore.KeptQuery{Until: now.Add(-time.Minute)}, 2},
		{mailstore.KeptQuery{MessageID: "m2@example.org"}, 1},
		{mailstore.KeptQuery{MessageID: "<m2@example.org>", Mailbox: "INBOX"}, 0},
	} {
		if got, err := a.Kept(t.Context(), q.KeptQuery); err != nil || len(got) != q.want {
			t.Errorf("%+v: %+v, %v", q, got, err)
		}
	}
	verify(t, c)

	quota = 1
	if n, err := a.Undelete(t.Context(), mailstore.KeptQuery{Mailbox: "INBOX"}, ""); n != 0 || !errors.Is(err, index.ErrOverQuota) {
		t.Fatalf("%d came back over the quota: %v", n, err)
	}
	quota = 0
	if n, err := a.Undelete(t.Context(), mailstore.KeptQuery{MessageID: "m0@example.org"}, "Back/Here"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := a.Undelete(t.Context(), mailstore.KeptQuery{Mailbox: "Lists/Go"}, ""); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	for name, want := range map[string]int{"Back/Here": 1, "Lists/Go": 2, "INBOX": 0} {
		v, err := open(t, s, 1, name).View(t.Context())
		if err != nil || v.UIDs.Len() != want || v.Mailbox.Deleted != 0 {
			t.Errorf("%s: %+v, %v", name, v.Mailbox, err)
		}
	}
	if got := read(t, open(t, s, 1, "Back/Here"), 1); got != trace+text("m0", "hello") {
		t.Errorf("came back as %q", got)
	}
	verify(t, c)

	keptMessages := func() uint64 {
		u, err := s.LocalUsage(mailbox.KeptOf(1))
		if err != nil {
			t.Fatal(err)
		}
		return u.Messages
	}
	expunged := now.Add(-time.Hour)
	if err := s.Maintain(t.Context(), 2, expunged.Add(keep)); err != nil || keptMessages() != 1 {
		t.Fatalf("at the end of its time: %d, %v", keptMessages(), err)
	}
	if err := s.Maintain(t.Context(), 2, expunged.Add(keep+time.Minute)); err != nil || keptMessages() != 1 {
		t.Fatalf("within an hour of the last look: %d, %v", keptMessages(), err)
	}
	if err := s.Maintain(t.Context(), 2, expunged.Add(keep+time.Hour)); err != nil || keptMessages() != 0 {
		t.Fatalf("after its time: %d, %v", keptMessages(), err)
	}
	if n, err := a.Undelete(t.Context(), mailstore.KeptQuery{}, ""); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	verify(t, c)
}

// TestNothingIsKept where the window is 0, and where the account's quota is full of kept mail.
func TestNothingIsKept(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	keep, limit := time.Duration(0), uint64(1)
	s := c.Store(func(c *mailstore.Config) {
		c.Keep = func() time.Duration { return keep }
		c.Limits = func(index.AccountID) (uint64, uint64) { return 0, limit }
	})
	for i, want := range []int{0, 1, 1} {
		mustDeliver(t, s, text(fmt.Sprint(i), "x"), mailstore.Target{Account: 1, Address: fmt.Sprint(i), Flags: index.FlagDeleted})
		if gone, err := open(t, s, 1, "INBOX").Expunge(t.Context(), nil); err != nil || gone.Len() != 1 {
			t.Fatal(gone, err)
		}
		if got, err := s.Account(1).Kept(t.Context(), mailstore.KeptQuery{}); err != nil || len(got) != want {
			t.Fatalf("round %d keeps %+v, %v", i, got, err)
		}
		keep = time.Hour
	}
	verify(t, c)
}
