package mailstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/uidset"
)

// TestSift: every message that is asked for and there is given once, with its octets, whether its body is of
// one frame, of several, empty, or the same as another's.
func TestSift(t *testing.T) {
	s := mailstoretest.New(t, func(c *mailstore.Config) { c.ChunkSize = 1 << 10 })
	want := map[index.UID]string{}
	for i := range 700 {
		body := strings.Repeat("a line of text\r\n", i%7*30)
		for _, o := range mustDeliver(t, s, text(fmt.Sprint(i), body), mailstore.Target{Account: 1}, mailstore.Target{Account: 2}) {
			want[o.UID] = ""
		}
	}
	m := open(t, s, 2, "INBOX")
	asked := uidset.Of(index.UIDRange{Lo: 3, Hi: 9}, index.UIDRange{Lo: 20, Hi: 4000})
	gone := uidset.Of(index.UIDRange{Lo: 100, Hi: 120})
	if _, err := m.Store(t.Context(), mailstore.StoreRequest{UIDs: gone, Op: mailstore.Add, Flags: index.FlagDeleted}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Expunge(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	for u := range want {
		if !asked.Contains(u) || gone.Contains(u) {
			delete(want, u)
			continue
		}
		want[u] = read(t, m, u)
	}
	var mu sync.Mutex
	got, passed, made := map[index.UID]string{}, 0, 0
	err := m.Sift(t.Context(), asked, func() error { passed++; return nil },
		func() func(*mailstore.Message, mailstore.Body) error {
			made++
			return func(msg *mailstore.Message, b mailstore.Body) error {
				octets, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
				mu.Lock()
				defer mu.Unlock()
				if _, twice := got[msg.UID]; twice {
					t.Errorf("message %d was given twice", msg.UID)
				}
				if len(msg.Structure().Type) == 0 || msg.Envelope().MessageId == nil {
					t.Errorf("message %d came without its summary", msg.UID)
				}
				got[msg.UID] = string(octets)
				return err
			}
		})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) || passed != len(want) || made > 2 {
		t.Errorf("%d messages, %d passed, %d functions, not %d", len(got), passed, made, len(want))
	}
	for u, octets := range want {
		if got[u] != octets {
			t.Errorf("message %d has %d octets, not %d", u, len(got[u]), len(octets))
		}
	}
}

// TestSiftEnds: with the first error of any side, and with its context.
func TestSiftEnds(t *testing.T) {
	s := mailstoretest.New(t)
	for i := range 300 {
		mustDeliver(t, s, text(fmt.Sprint(i), "text"), mailstore.Target{Account: 2})
	}
	m, all := open(t, s, 2, "INBOX"), uidset.Of(index.UIDRange{Lo: 1, Hi: 300})
	enough := errors.New("enough")
	looking := func(err error) func() func(*mailstore.Message, mailstore.Body) error {
		return func() func(*mailstore.Message, mailstore.Body) error {
			return func(*mailstore.Message, mailstore.Body) error { return err }
		}
	}
	n := 0
	stop := func() error {
		if n++; n == 100 {
			return enough
		}
		return nil
	}
	if err := m.Sift(t.Context(), all, stop, looking(nil)); !errors.Is(err, enough) || n != 100 {
		t.Error(err, n)
	}
	if err := m.Sift(t.Context(), all, func() error { return nil }, looking(enough)); !errors.Is(err, enough) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n = 0
	err := m.Sift(ctx, all, func() error {
		if n++; n == 40 {
			cancel()
		}
		return nil
	}, looking(nil))
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
