package mailstore_test

import (
	"errors"
	"io"
	"testing"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
)

// TestAppendAll: small and large messages go into one command, in order; parked ones beyond the room are
// staged; a refused one takes the others along.
func TestAppendAll(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	s := c.Store()
	a := s.Account(1)
	texts := []string{text("a", noise(200<<10)), text("b", noise(900<<10)), text("c", "small"), text("d", noise(250<<10)), text("e", noise(240<<10))}
	take := func() (all []*mailstore.Incoming) {
		room := 256 << 10
		for _, msg := range texts {
			in := s.NewIncoming(t.Context(), []index.AccountID{1}, nil)
			t.Cleanup(in.Discard)
			if _, err := io.WriteString(in, msg); err != nil {
				t.Fatal(err)
			}
			held, err := in.Park(room)
			if err != nil || held > room {
				t.Fatalf("parked with %d octets of %d: %v", held, room, err)
			}
			room -= held
			all = append(all, in)
		}
		return all
	}
	options := make([]mailstore.AppendOptions, len(texts))
	if _, err := a.AppendAll(t.Context(), "nowhere", take(), options); !errors.Is(err, index.ErrNoMailbox) {
		t.Fatalf("into no mailbox: %v", err)
	}
	res, err := a.AppendAll(t.Context(), index.Inbox, take(), options)
	if err != nil || len(res.To) != 1 || res.To[0] != (index.UIDRange{Lo: 1, Hi: 5}) {
		t.Fatalf("appended %v: %v", res, err)
	}
	m := open(t, s, 1, index.Inbox)
	for i, want := range texts {
		if got := read(t, m, index.UID(i+1)); got != want {
			t.Errorf("message %d has %d octets, want %d", i+1, len(got), len(want))
		}
	}
	verify(t, c)
}
