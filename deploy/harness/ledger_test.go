package harness

import (
	"strings"
	"testing"
)

// TestLedger tells each kind of outcome apart.
func TestLedger(t *testing.T) {
	corpus := Corpus{Seed: 1, Domain: "example.org"}
	const ada, bert = "ada@example.org", "bert@example.org"
	kept, lost, twice, unpromised, never, changed := corpus.Message(0, ada), corpus.Message(1, ada), corpus.Message(2, ada),
		corpus.Message(3, ada), corpus.Message(4, ada), corpus.Message(5, ada)
	l := NewLedger()
	for _, m := range []Message{kept, lost, twice, unpromised, never, changed} {
		l.Offer(m, ada)
	}
	l.Offer(kept, bert)
	for _, m := range []Message{kept, lost, twice, changed} {
		l.Acknowledge(m, ada)
	}
	l.Acknowledge(kept, bert)
	if got := l.Acknowledged(); got != 5 {
		t.Errorf("Acknowledged() = %d, want 5", got)
	}
	r := l.Compare([]Found{
		{Recipient: ada, Mailbox: "INBOX", ID: kept.ID, Digest: kept.Digest},
		{Recipient: bert, Mailbox: "INBOX", ID: kept.ID, Digest: kept.Digest},
		{Recipient: ada, Mailbox: "INBOX", ID: twice.ID, Digest: twice.Digest},
		{Recipient: ada, Mailbox: "Archive", ID: twice.ID, Digest: twice.Digest},
		{Recipient: ada, Mailbox: "INBOX", ID: unpromised.ID, Digest: unpromised.Digest},
		{Recipient: ada, Mailbox: "INBOX", ID: changed.ID, Digest: kept.Digest},
		{Recipient: ada, Mailbox: "INBOX", ID: "<who@nowhere>"},
	})
	if r.Acknowledged != 5 || r.Readable != 3 || r.Lost != 2 || r.Duplicated != 1 || r.Unpromised != 1 || r.Strange != 1 {
		t.Errorf("got %+v", r)
	}
	if want := "acknowledged=5 readable=3 lost=2 duplicated=1"; r.String() != want || r.Good() {
		t.Errorf("String() = %q, Good() = %v, want %q, false", r.String(), r.Good(), want)
	}
	for _, want := range []string{lost.ID + ", which was acknowledged", twice.ID + " again", "other content", "<who@nowhere>"} {
		if !strings.Contains(r.Explain(10), want) {
			t.Errorf("the details lack %q:\n%s", want, r.Explain(10))
		}
	}
	if got := r.Explain(1); !strings.HasSuffix(got, "more") || strings.Count(got, "\n") != 1 {
		t.Errorf("Explain(1) = %q", got)
	}
}

func TestLedgerGood(t *testing.T) {
	m := Corpus{Seed: 2, Domain: "example.org"}.Message(7, "ada@example.org")
	l := NewLedger()
	l.Offer(m, "ada@example.org")
	l.Acknowledge(m, "ada@example.org")
	r := l.Compare([]Found{{Recipient: "ada@example.org", ID: m.ID, Digest: m.Digest}})
	if !r.Good() || r.Readable != 1 {
		t.Errorf("got %+v", r)
	}
}
