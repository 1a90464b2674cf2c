package mailstore_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/uidset"
)

// TestBodies reads messages of one and of several chunks, whose bodies are not in the order of UIDs, with
// gaps, while the state is replaced and one of them is expunged.
func TestBodies(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	s := c.Store(func(config *mailstore.Config) { config.InlineLimit, config.ChunkSize = 1<<10, 1<<10 })
	var want []string
	for i := range 6 {
		content := text(fmt.Sprint(i), strings.Repeat("0123456789abcdef\r\n", 1+i%3*100))
		mustDeliver(t, s, content, mailstore.Target{Account: 2})
		want = append(want, trace+content)
	}
	m := open(t, s, 2, "INBOX")
	if _, err := m.Copy(t.Context(), uidset.Of(index.UIDRange{Lo: 1, Hi: 2}), "INBOX"); err != nil { // UIDs 7 and 8
		t.Fatal(err)
	}
	want = append(want, want[:2]...)
	deleteMessage(t, m, 4)

	var told []index.UID
	err := m.Bodies(t.Context(), uidset.Of(index.UIDRange{Lo: 2, Hi: 9}), func(msg mailstore.Message, b mailstore.Body) error {
		if len(told) == 0 {
			deleteMessage(t, m, 6) // after the moment of the walk
			if err := c.Group(1).Replace(t.Context()); err != nil {
				return err
			}
		}
		told = append(told, msg.UID)
		got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		if err != nil || string(got) != want[msg.UID-1] {
			t.Errorf("body of message %d: %d octets of %d, or others, %v", msg.UID, len(got), len(want[msg.UID-1]), err)
		}
		if n, err := b.ReadAt(make([]byte, 4), 16); n != 4 || err != nil { // back in the first chunk
			t.Errorf("message %d again: %d, %v", msg.UID, n, err)
		}
		return b.Close()
	})
	if err != nil || !slices.Equal(told, []index.UID{2, 3, 5, 6, 7, 8}) {
		t.Fatalf("told %v, %v", told, err)
	}
	stop := errors.New("stop")
	if err := m.Bodies(t.Context(), uidset.Of(index.UIDRange{Lo: 1, Hi: 9}), func(mailstore.Message, mailstore.Body) error { return stop }); err != stop {
		t.Errorf("an error of the callback became %v", err)
	}
}
