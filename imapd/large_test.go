package imapd_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/uidset"
)

// large makes a mailbox of n messages, which is a power of two times 1,000, by copying it to itself.
func large(t *testing.T, s *mailstore.Store, who index.AccountID, n int) {
	t.Helper()
	for i := range 1000 {
		in := s.NewIncoming(t.Context(), []index.AccountID{who}, nil)
		if _, err := fmt.Fprintf(in, "Subject: number %d\r\n\r\ntext\r\n", i); err != nil {
			t.Fatal(err)
		}
		if _, _, err := in.Append(t.Context(), "INBOX", mailstore.AppendOptions{}); err != nil {
			t.Fatal(err)
		}
		in.Discard()
	}
	box, err := s.Account(who).Open(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	for have := 1000; have < n; have *= 2 {
		if _, err := box.Copy(t.Context(), uidset.Of(index.UIDRange{Lo: 1, Hi: index.UID(have)}), "INBOX"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLargeMailboxHoldsLittle: a session opens, flags and searches a mailbox without holding it: 32,000 messages, and with
// ROOKERY_LARGE=1 a million and a little, for which it may hold no more.
func TestLargeMailboxHoldsLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("memory is weighed without the race detector, which makes pools forget")
	}
	messages := 32_000
	if os.Getenv("ROOKERY_LARGE") != "" {
		messages = 1_024_000
	}
	c := mailstoretest.NewCachedCluster(t, 1) // what is cached is on the heap that is looked at
	h := newHouse(t, func(config *imapd.Config) { config.Mail = imapd.Mailstore(c.Store()) })
	large(t, c.Store(), h.ann, messages)
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	w, other := h.dialTLS(), h.dialTLS()
	for _, x := range []*wire{w, other} {
		if err := x.SetDeadline(time.Now().Add(9 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		x.do(login1)
	}
	// What others do to the heap meanwhile, as Pebble's compactions, is not the session's: the least of some rounds counts.
	measured := func(command string, before func()) {
		t.Helper()
		var seen *heap
		for range 4 {
			before()
			began := time.Now()
			seen = newHeap(c)
			w.say("fetched %s", command)
			w.readSlowly(seen)
			t.Logf("%s took %v", command, time.Since(began).Round(time.Millisecond))
			if seen.most-seen.before <= held {
				break
			}
		}
		seen.grown(t, command, held)
	}
	nothing := func() {}
	w.do("ENABLE CONDSTORE")
	measured("EXAMINE INBOX", nothing) // what all sessions share is there from now on: the view of the mailbox
	measured("SELECT INBOX", nothing)
	other.do("SELECT INBOX")
	other.say("s STATUS INBOX (MESSAGES)")
	if got := other.until("* STATUS"); !strings.Contains(got, fmt.Sprintf("(MESSAGES %d)", messages)) {
		t.Fatalf("there are not %d messages: %s", messages, got)
	}
	other.until("s OK")
	sign := "-"
	store := func() { // each message is another than before
		sign = map[string]string{"+": "-", "-": "+"}[sign]
		other.do(fmt.Sprintf(`STORE 1:%d %sFLAGS.SILENT (\Flagged)`, messages/2, sign))
		other.do(fmt.Sprintf(`STORE %d:* %sFLAGS.SILENT (\Flagged)`, messages/2+1, sign))
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	measured("NOOP", store) // which tells of every message
	for _, command := range []string{
		"FETCH 1:* (FLAGS)",
		"SEARCH FLAGGED",
		"SEARCH RETURN (COUNT) UNSEEN",
		"UID SEARCH RETURN (MIN MAX COUNT) SUBJECT 999",
		"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)",
	} {
		measured(command, nothing)
	}
}
