package node

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// TestQueueAdmin: an operator finds what waits, and does something about it, whatever the partitions.
func TestQueueAdmin(t *testing.T) {
	s := newSite(t, 62)
	s.more = "[outbound]\nenabled = true\nrelay = \"127.0.0.1:1\"\nresolvers = [\"127.0.0.1\"]\n" // nobody is there
	s.start(1)
	for i, to := range []string{"bob@sink.test", "eve@other.test"} {
		text := fmt.Sprintf("From: ada@example.org\r\nSubject: plan %d\r\nMessage-ID: <q%d@example.org>\r\nDate: today\r\n\r\nwatches %d\r\n", i, i, i)
		s.eventually("a message is queued", func() error { return s.submit(1, text, to) })
	}
	list := func(f adminapi.QueueFilter) (l adminapi.QueueListing) {
		t.Helper()
		if err := s.ask(1, "POST", "/v1/queue/list", adminapi.QueueQuery{Filter: f}, &l); err != nil || len(l.Problems) > 0 {
			t.Fatal(err, l.Problems)
		}
		return l
	}
	s.eventually("both were tried", func() error {
		if l := list(adminapi.QueueFilter{Error: "."}); l.Matched != 2 {
			return fmt.Errorf("%d were", l.Matched)
		}
		return nil
	})
	if l := list(adminapi.QueueFilter{Account: "ada@example.org", Header: "Subject: plan 1", Body: "watches"}); l.Matched != 1 || l.Entries[0].Recipients[0].Address != "eve@other.test" {
		t.Errorf("%+v", l)
	}
	if err := s.ask(1, "POST", "/v1/queue/list", adminapi.QueueQuery{Filter: adminapi.QueueFilter{Body: "("}}, nil); err == nil {
		t.Error("half an expression was taken")
	}
	bob := list(adminapi.QueueFilter{Domain: "sink.test"}).Entries[0].ID
	edit := func(e adminapi.QueueEdit) (out adminapi.QueueEdited) {
		t.Helper()
		if err := s.ask(1, "POST", "/v1/queue/edit", e, &out); err != nil || len(out.Problems) > 0 {
			t.Fatal(err, out.Problems)
		}
		return out
	}
	if out := edit(adminapi.QueueEdit{Action: "delete", All: true, DryRun: true}); out.Matched != 2 || out.Changed != 0 || !slices.Contains(out.IDs, bob) {
		t.Errorf("%+v", out)
	}
	if err := s.ask(1, "POST", "/v1/queue/edit", adminapi.QueueEdit{Action: "delete"}, nil); err == nil {
		t.Error("everything was deleted, and nobody had asked for that")
	}
	if out := edit(adminapi.QueueEdit{Action: "hold", Filter: adminapi.QueueFilter{Sender: "ada@*"}, Why: "looked at"}); out.Changed != 2 {
		t.Errorf("%+v", out)
	}
	var sum adminapi.QueueSummary
	if err := s.ask(1, "POST", "/v1/queue/summary", adminapi.QueueFilter{}, &sum); err != nil || sum.Entries != 2 || sum.Held != 2 || len(sum.Destinations) != 2 ||
		sum.Destinations[1].Destination != "sink.test" || sum.Destinations[1].LastError == "" {
		t.Errorf("%+v, %v", sum, err)
	}
	edit(adminapi.QueueEdit{Action: "bounce", Filter: adminapi.QueueFilter{IDs: []string{bob}}, Why: "No such place"})
	s.eventually("it is returned", func() error {
		if err := s.ask(1, "GET", "/v1/queue/"+bob, nil, nil); err == nil || !strings.Contains(err.Error(), "rookery trace") {
			return fmt.Errorf("the entry: %w", err)
		}
		return nil
	})
	if out := edit(adminapi.QueueEdit{Action: "delete", Filter: adminapi.QueueFilter{Held: true}}); out.Changed != 1 {
		t.Errorf("%+v", out)
	}
	s.told(bob)
}

// told looks at the stories of the two messages of TestQueueAdmin, of which one is returned.
func (s *site) told(bob string) {
	s.t.Helper()
	trace := func(name string) (out adminapi.Traces) {
		s.t.Helper()
		if err := s.ask(1, "POST", "/v1/trace", adminapi.TraceQuery{Name: name}, &out); err != nil || len(out.Problems) > 0 {
			s.t.Fatal(err, out.Problems)
		}
		return out
	}
	var what []string
	var report string
	if m := trace("BOB@sink.test").Messages; len(m) == 1 {
		for _, e := range m[0].Events {
			if e.What != "deferred" {
				what = append(what, e.What)
			}
			if e.What == "reported" {
				_, report, _ = strings.Cut(e.Text, ", in ")
			}
			if e.What == "queued" && e.Entry != bob || e.What == "received" && (e.Node != "n1" || e.Login != "ada@example.org") {
				s.t.Errorf("%+v", e)
			}
		}
	}
	if got := strings.Join(what, " "); got != "received queued edited edited failed reported" {
		s.t.Errorf("the story of what was returned: %s", got)
	}
	m := trace(report).Messages
	if len(m) != 1 || len(m[0].Events) != 2 || m[0].Events[1].What != "stored" || m[0].Events[1].Account != "ada@example.org" || m[0].Events[1].Mailbox != "INBOX" {
		s.t.Errorf("the report %s: %+v", report, m)
	}
	if m := trace("ada@example.org").Messages; len(m) != 3 || m[0].Transaction != report {
		s.t.Errorf("all of the sender: %+v", m)
	}
}
