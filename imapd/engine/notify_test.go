package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/index"
)

// TestNotificationOverflow: an account with more mailboxes than a session watches is told so, at once or
// when it comes to that, and after that hears nothing more.
func TestNotificationOverflow(t *testing.T) {
	const most = 5000
	st := newStage(t)
	account := st.store.Account(2)
	all, err := account.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	create := func(n int) {
		t.Helper()
		if _, err := account.Create(t.Context(), fmt.Sprint("box", n), 0); err != nil {
			t.Fatal(err)
		}
	}
	for n := len(all); n < most; n++ {
		create(n)
	}
	got := st.play("! user C1 2\nC1: a NOTIFY SET (personal (MailboxName MessageNew MessageExpunge))\n")
	if !strings.HasSuffix(got, "S1: a OK NOTIFY completed\n") {
		t.Fatalf("with %d mailboxes: %s", most, got)
	}

	st.out.Reset()
	st.actors, st.order = map[string]*actor{}, nil
	const set = "NOTIFY SET (personal (MailboxName MessageNew MessageExpunge))\n"
	st.happen(strings.Fields("user C1 2"))
	a := st.actors["1"]
	a.say("a " + set)
	create(most)
	st.hear()
	const overflow = "S1: * OK [NOTIFICATIONOVERFLOW] too many mailboxes to tell of\n"
	if got := st.out.String(); !strings.HasSuffix(got, overflow) {
		t.Fatalf("with one mailbox more: %s", got)
	}
	st.out.Reset()
	st.deliver(2, index.Inbox, "plain")
	a.say("b NOOP\r\n")
	a.say("c " + set)
	st.hear()
	if got := st.out.String(); got != "S1: b OK NOOP completed\nS1: c NO [NOTIFICATIONOVERFLOW] too many mailboxes to tell of\n" {
		t.Fatalf("after the overflow: %s", got)
	}
	a.hangUp()
}
