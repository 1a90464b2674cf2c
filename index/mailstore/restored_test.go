package mailstore_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/uidset"
)

// replaced is a replica whose state is replaced right after the next snapshots were taken.
type replaced struct {
	*mailstoretest.Group
	t     *testing.T
	times int
}

func (r *replaced) Snapshot() kv.Snapshot {
	snap := r.Group.Snapshot()
	if r.times > 0 {
		r.times--
		if err := r.Replace(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
	}
	return snap
}

// TestReadersOutliveARestore holds that a reader of a replica that is sent a snapshot sees the new
// state, and an error that goes away where that does not end.
func TestReadersOutliveARestore(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	var replica *replaced
	s := c.Store(func(config *mailstore.Config) {
		config.Replica = func(g cluster.GroupID) (mailstore.Replica, error) {
			if replica == nil {
				replica = &replaced{Group: c.Group(g), t: t}
			}
			return replica, nil
		}
		config.InlineLimit, config.ChunkSize = 1<<10, 1<<10
	})
	content := text("long", string(bytes.Repeat([]byte("0123456789abcdef\r\n"), 1000)))
	u := mustDeliver(t, s, content, mailstore.Target{Account: 2})[0].UID
	m := open(t, s, 2, "INBOX")
	all := uidset.Of(index.UIDRange{Lo: 1, Hi: 10})
	for name, read := range map[string]func() error{
		"mailboxes": func() error { _, err := s.Account(2).Mailboxes(t.Context()); return err },
		"mailbox":   func() error { _, err := s.Account(2).Open(t.Context(), "Sent"); return err },
		"usage":     func() error { _, err := s.Account(2).Usage(t.Context()); return err },
		"view":      func() error { _, err := m.View(t.Context()); return err },
		"changes":   func() error { _, err := m.Changes(t.Context(), 0); return err },
		"messages": func() error {
			n := 0
			err := m.Messages(t.Context(), all, func(mailstore.Message) error { n++; return nil })
			if err == nil && n != 1 {
				t.Errorf("told of %d messages", n)
			}
			return err
		},
		"bodies": func() error {
			n := 0
			err := m.Bodies(t.Context(), all, func(mailstore.Message, mailstore.Body) error { n++; return nil })
			if err == nil && n != 1 {
				t.Errorf("told of the bodies of %d messages", n)
			}
			return err
		},
		"body": func() error {
			b, err := m.OpenBody(t.Context(), u)
			if err == nil {
				err = b.Close()
			}
			return err
		},
	} {
		replica.times = 2
		if err := read(); err != nil || replica.times != 0 {
			t.Errorf("%s: %v, %d replacements are left", name, err, replica.times)
		}
		replica.times = 100
		if err := read(); !errors.Is(err, cluster.ErrUnavailable) || errors.Is(err, kv.ErrRestored) {
			t.Errorf("%s of a state that is replaced for ever: %v", name, err)
		}
		replica.times = 0
	}
}

// TestBodyGoesOnAfterARestore reads a body of several chunks over two states.
func TestBodyGoesOnAfterARestore(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	s := c.Store(func(config *mailstore.Config) { config.ChunkSize = 1 << 10 })
	content := text("long", string(bytes.Repeat([]byte("0123456789abcdef\r\n"), 1000)))
	u := mustDeliver(t, s, content, mailstore.Target{Account: 2})[0].UID
	m := open(t, s, 2, "INBOX")
	b, err := m.OpenBody(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got := make([]byte, b.Size())
	for at, n := 0, 0; at < len(got); at += n {
		if n, err = b.ReadAt(got[at:min(at+3000, len(got))], int64(at)); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if err := c.Group(1).Replace(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if string(got) != trace+content {
		t.Error("the body read over two states is another")
	}
	deleteMessage(t, m, u)
	if err := c.Group(1).Replace(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.ReadAt(make([]byte, 10), 0); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a body that is gone after a restore: %v", err)
	}
}

func deleteMessage(t *testing.T, m *mailstore.Mailbox, u index.UID) {
	t.Helper()
	one := uidset.Of(index.UIDRange{Lo: u, Hi: u})
	if _, err := m.Store(t.Context(), mailstore.StoreRequest{UIDs: one, Op: mailstore.Add, Flags: index.FlagDeleted}); err != nil {
		t.Fatal(err)
	}
	if gone, err := m.Expunge(t.Context(), one); err != nil || gone.Len() != 1 {
		t.Fatal(gone, err)
	}
}
