package queue_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/staging"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

func at(entry uint64, recipient uint32) *queuepb.Place {
	return &queuepb.Place{Entry: entry, Recipient: recipient}
}

func (w *world) claim(term uint64, places ...*queuepb.Place) *queuepb.Result {
	w.t.Helper()
	return w.do(command.ClaimRecipients, &queuepb.ClaimCommand{Term: term, Places: places})
}

func delivered(p *queuepb.Place) *queuepb.Outcome {
	return &queuepb.Outcome{Place: p, Kind: queuepb.OutcomeKind_OUTCOME_KIND_DELIVERED}
}

func (w *world) retry(p *queuepb.Place, after time.Duration, text string) *queuepb.Outcome {
	return &queuepb.Outcome{Place: p, Kind: queuepb.OutcomeKind_OUTCOME_KIND_RETRY, Due: w.now.Add(after).UnixMilli(),
		Attempt: &queuepb.Attempt{Code: 451, Text: text}}
}

func TestMessageGoesItsWay(t *testing.T) {
	w := newWorld(t)
	cmd := message(w, "bob@example.com", "eve@example.net", "joe@example.com")
	cmd.Deliver.Targets = []*indexpb.DeliverTarget{{Account: 8}}
	res := w.do(command.Submit, cmd)
	if res.Mail.Code != 0 || res.Entry != 1 || res.Mail.Targets[0].Uid != 1 {
		t.Fatalf("%v", res)
	}
	w.shows(`
		due: example.com
		due: example.net
		1 from <ada@example.org>
		  0 <bob@example.com> waiting
		  1 <eve@example.net> waiting
		  2 <joe@example.com> waiting
	`)
	if res := w.claim(4, at(1, 0), at(1, 2), at(1, 2), at(9, 9)); len(res.Places) != 2 {
		t.Errorf("granted %v", res.Places)
	}
	if res := w.claim(4, at(1, 0)); len(res.Places) != 0 {
		t.Errorf("claimed twice: %v", res.Places)
	}
	w.shows(`
		due: example.net
		1 from <ada@example.org>
		  0 <bob@example.com> claimed in term 4
		  1 <eve@example.net> waiting
		  2 <joe@example.com> claimed in term 4
	`)
	w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 4, Outcomes: []*queuepb.Outcome{
		delivered(at(1, 0)), w.retry(at(1, 2), 15*time.Minute, "try later")}})
	w.shows(`
		due: example.net
		next: in 15m0s
		1 from <ada@example.org>
		  1 <eve@example.net> waiting
		  2 <joe@example.com> waiting due in 15m0s, 1 attempts: 451 try later
	`)
	w.now = w.now.Add(15 * time.Minute)
	w.claim(4, at(1, 1), at(1, 2))
	if rec, err := staging.Record(w.b, 1); err != nil || rec.Refs != 2 {
		t.Errorf("body %v, %v", rec, err)
	}
	w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 4, Outcomes: []*queuepb.Outcome{delivered(at(1, 1)), delivered(at(1, 2))}})
	w.shows("")
	if rec, err := staging.Record(w.b, 1); err != nil || rec.Refs != 1 {
		t.Errorf("the account's own copy: %v, %v", rec, err)
	}
}

// TestDeposedLeader: what an earlier leader claimed is taken back, and its word is refused.
func TestDeposedLeader(t *testing.T) {
	w := newWorld(t)
	w.do(command.Submit, message(w, "bob@example.com"))
	w.claim(4, at(1, 0))
	if res := w.do(command.RetakeClaims, &queuepb.RetakeCommand{Term: 6}); res.Changed != 1 || res.More {
		t.Errorf("retaken: %v", res)
	}
	w.shows(`
		due: example.com
		1 from <ada@example.org>
		  0 <bob@example.com> waiting
	`)
	if res := w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 4, Outcomes: []*queuepb.Outcome{delivered(at(1, 0))}}); res.Mail.Code != indexpb.Code_CODE_STALE {
		t.Errorf("the deposed leader's word: %v", res)
	}
	if res := w.claim(5, at(1, 0)); res.Mail.Code != indexpb.Code_CODE_STALE {
		t.Errorf("a claim of a term between: %v", res)
	}
	w.claim(6, at(1, 0))
	if res := w.do(command.RetakeClaims, &queuepb.RetakeCommand{Term: 6}); res.Changed != 0 {
		t.Errorf("its own: %v", res)
	}
}

// TestClosedDestination: however many wait for one that does not answer, the agenda has one time for it.
func TestClosedDestination(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.do(command.Submit, message(w, "bob@example.com"))
	}
	w.claim(1, at(1, 0))
	w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 1,
		Outcomes: []*queuepb.Outcome{w.retry(at(1, 0), time.Minute, "no answer")},
		Closures: []*queuepb.Closure{{Destination: "example.com", Until: w.now.Add(10 * time.Minute).UnixMilli(), Attempt: &queuepb.Attempt{Text: "no answer"}}}})
	w.shows(`
		next: in 10m0s
		1 from <ada@example.org>
		  0 <bob@example.com> waiting due in 1m0s, 1 attempts: 451 no answer
		2 from <ada@example.org>
		  0 <bob@example.com> waiting
		3 from <ada@example.org>
		  0 <bob@example.com> waiting
	`)
	w.do(command.Submit, message(w, "joe@example.com")) // does not open it
	w.now = w.now.Add(10 * time.Minute)
	if got := w.waiting("example.com"); got != "2.0 3.0 4.0 1.0" {
		t.Errorf("%s wait", got)
	}
	w.claim(1, at(2, 0))
	w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 1, Outcomes: []*queuepb.Outcome{delivered(at(2, 0))},
		Closures: []*queuepb.Closure{{Destination: "example.com"}}})
	if rec, err := queue.Destination(w.b, "example.com"); err != nil || rec.Waiting != 3 || rec.Failures != 0 || rec.Next > w.now.UnixMilli() {
		t.Errorf("%v, %v", rec, err)
	}
}

// TestGivenUp: with the last recipient go entry and body; the report is in the same step, and goes once.
func TestGivenUp(t *testing.T) {
	w := newWorld(t)
	w.do(command.Submit, message(w, "bob@example.com"))
	report := &queuepb.Report{Entry: 1, Submit: &queuepb.SubmitCommand{Deliver: message(w).Deliver}}
	report.Submit.Deliver.Targets = []*indexpb.DeliverTarget{{Account: 7}}
	settle := &queuepb.SettleCommand{Term: 1, Reports: []*queuepb.Report{report},
		Outcomes: []*queuepb.Outcome{{Place: at(1, 0), Kind: queuepb.OutcomeKind_OUTCOME_KIND_FAILED}}}
	w.claim(1, at(1, 0))
	w.do(command.SettleRecipients, settle)
	w.do(command.SettleRecipients, settle) // nothing is told twice
	w.shows("")
	if _, err := staging.Record(w.b, 1); err == nil {
		t.Error("the body of an entry that is gone is kept")
	}
	if rec, err := staging.Record(w.b, 2); err != nil || rec.Refs != 1 {
		t.Errorf("the report: %v, %v", rec, err)
	}
	if _, err := staging.Record(w.b, index.BodyID(3)); err == nil {
		t.Error("a second report")
	}
}

func TestDelayIsToldOnce(t *testing.T) {
	w := newWorld(t)
	w.do(command.Submit, message(w, "bob@example.com"))
	alarms := func() int {
		t.Helper()
		list, _, err := queue.Alarms(w.b, w.now.UnixMilli(), 1<<62, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if alarms() != 0 {
		t.Error("an alarm at once")
	}
	w.now = w.now.Add(5 * time.Hour)
	if alarms() != 1 {
		t.Error("no alarm for the delay")
	}
	w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 1, Reports: []*queuepb.Report{{Entry: 1, Delay: true}}})
	if alarms() != 0 {
		t.Error("told, and still an alarm")
	}
	w.now = w.now.Add(200 * time.Hour)
	if alarms() != 1 {
		t.Error("no alarm at the end")
	}
}

func TestOperator(t *testing.T) {
	w := newWorld(t)
	w.do(command.Submit, message(w, "bob@example.com", "eve@example.net"))
	w.claim(1, at(1, 1))
	edit := func(e queuepb.Edit) uint32 {
		t.Helper()
		return w.do(command.EditQueue, &queuepb.EditCommand{Edit: e, Entries: []uint64{1, 1, 5}, Why: "stolen account"}).Changed
	}
	if edit(queuepb.Edit_EDIT_HOLD) != 1 || edit(queuepb.Edit_EDIT_HOLD) != 0 {
		t.Error("hold")
	}
	w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 1, Outcomes: []*queuepb.Outcome{w.retry(at(1, 1), time.Hour, "later")}})
	if res := w.claim(1, at(1, 0)); len(res.Places) != 0 {
		t.Error("what is held was claimed")
	}
	w.shows(`
		1 from <ada@example.org> held: stolen account
		  0 <bob@example.com> waiting
		  1 <eve@example.net> waiting due in 1h0m0s, 1 attempts: 451 later
	`)
	if edit(queuepb.Edit_EDIT_RELEASE) != 1 || edit(queuepb.Edit_EDIT_RETRY) != 1 {
		t.Error("release, retry")
	}
	w.shows(`
		due: example.com
		due: example.net
		1 from <ada@example.org>
		  0 <bob@example.com> waiting
		  1 <eve@example.net> waiting, 1 attempts: 451 later
	`)
	w.claim(1, at(1, 0))
	if edit(queuepb.Edit_EDIT_DELETE) != 1 {
		t.Error("delete")
	}
	w.shows(`
		1 from <ada@example.org>
		  0 <bob@example.com> claimed in term 1
	`)
}

// TestReturned: what an operator has returned is tried by nobody; whoever hears its alarm gives it up with a report.
func TestReturned(t *testing.T) {
	w := newWorld(t)
	w.do(command.Submit, message(w, "bob@example.com", "eve@example.net"))
	w.do(command.EditQueue, &queuepb.EditCommand{Edit: queuepb.Edit_EDIT_HOLD, Entries: []uint64{1}, Why: "looked at"})
	edit := func(e queuepb.Edit) uint32 {
		t.Helper()
		return w.do(command.EditQueue, &queuepb.EditCommand{Edit: e, Entries: []uint64{1}, Why: "spam"}).Changed
	}
	if edit(queuepb.Edit_EDIT_BOUNCE) != 1 || edit(queuepb.Edit_EDIT_BOUNCE) != 0 || edit(queuepb.Edit_EDIT_RELEASE) != 0 || edit(queuepb.Edit_EDIT_RETRY) != 0 {
		t.Error("returned once, for good")
	}
	w.shows(`
		1 from <ada@example.org> held: looked at
		  0 <bob@example.com> waiting
		  1 <eve@example.net> waiting
	`)
	if list, _, err := queue.Alarms(w.b, w.now.UnixMilli(), 1<<62, 10); len(list) != 1 || err != nil {
		t.Errorf("alarms %v, %v", list, err)
	}
	if res := w.claim(1, at(1, 0), at(1, 1)); len(res.Places) != 2 {
		t.Errorf("granted %v", res.Places)
	}
	w.do(command.RetakeClaims, &queuepb.RetakeCommand{Term: 2})
	w.claim(2, at(1, 0), at(1, 1))
	w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 2, Outcomes: []*queuepb.Outcome{
		{Place: at(1, 0), Kind: queuepb.OutcomeKind_OUTCOME_KIND_FAILED}, {Place: at(1, 1), Kind: queuepb.OutcomeKind_OUTCOME_KIND_FAILED}}})
	w.shows("")
}

func TestSubmittedTwice(t *testing.T) {
	w := newWorld(t)
	cmd := message(w, "bob@example.com")
	cmd.Entry.DedupKey = []byte("0123456789abcdef")
	if res := w.do(command.Submit, cmd); res.Entry != 1 || res.Again {
		t.Errorf("%v", res)
	}
	if res := w.do(command.Submit, cmd); res.Entry != 0 || !res.Again || res.Mail.Code != 0 {
		t.Errorf("again: %v", res)
	}
	w.now = w.now.Add(25 * time.Hour)
	if res := w.do(command.Submit, cmd); res.Entry != 2 {
		t.Errorf("the next day: %v", res)
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t)
	for name, spoil := range map[string]func(*queuepb.SubmitCommand){
		"no message":           func(c *queuepb.SubmitCommand) { c.Deliver = nil },
		"no recipients":        func(c *queuepb.SubmitCommand) { c.Entry.Recipients = nil },
		"no destination":       func(c *queuepb.SubmitCommand) { c.Entry.Recipients[0].Destination = "" },
		"zero in destination":  func(c *queuepb.SubmitCommand) { c.Entry.Recipients[0].Destination = "a\x00b" },
		"no end":               func(c *queuepb.SubmitCommand) { c.Entry.Expires = 0 },
		"nobody's":             func(c *queuepb.SubmitCommand) { c.Entry.Account = 0 },
		"a long text":          func(c *queuepb.SubmitCommand) { c.Entry.Sender = string(make([]byte, 2000)) },
		"an upload that isn't": func(c *queuepb.SubmitCommand) { c.Deliver.Body.UploadId = make([]byte, 16) },
	} {
		cmd := message(w, "bob@example.com")
		spoil(cmd)
		if res := w.do(command.Submit, cmd); res.Mail.Code == 0 || res.Entry != 0 {
			t.Errorf("%s: %v", name, res)
		}
	}
	w.shows("")
}

// TestUncounted: what was put off before an attempt waits on, its attempts are those that were made, and others go to
// its destination as before.
func TestUncounted(t *testing.T) {
	w := newWorld(t)
	w.do(command.Submit, message(w, "bob@example.com", "joe@example.com"))
	w.claim(1, at(1, 0))
	later := w.retry(at(1, 0), time.Hour, "the budget is spent")
	later.Uncounted = true
	w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 1, Outcomes: []*queuepb.Outcome{later}})
	w.shows(`
		due: example.com
		1 from <ada@example.org>
		  0 <bob@example.com> waiting due in 1h0m0s, 0 attempts: 451 the budget is spent
		  1 <joe@example.com> waiting
	`)
}

// waiting are those who may be tried, in order.
func (w *world) waiting(destination string) string {
	var out []string
	rec, err := queue.Destination(w.b, destination)
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := queue.NewWaiters(w.b)
	if err != nil {
		w.t.Fatal(err)
	}
	defer all.Close()
	err = all.Due(destination, rec, w.now.UnixMilli(), func(r queue.Recipient) (bool, error) {
		out = append(out, fmt.Sprintf("%d.%d", r.Place.Entry, r.Place.Recipient))
		return true, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(out, " ")
}

// TestPriority: among those who are due a higher priority goes first; one that is not due yet holds nobody up.
func TestPriority(t *testing.T) {
	w := newWorld(t)
	for i, priority := range []int32{0, -9, 9, 4, 0} {
		cmd := message(w, "bob@example.com")
		cmd.Entry.Priority = priority
		if i == 2 {
			cmd.Entry.Recipients[0].Due = w.now.Add(time.Hour).UnixMilli()
		}
		w.do(command.Submit, cmd)
		w.now = w.now.Add(time.Second)
	}
	if got := w.waiting("example.com"); got != "4.0 1.0 5.0 2.0" {
		t.Errorf("%s wait", got)
	}
	w.now = w.now.Add(time.Hour)
	if got := w.waiting("example.com"); got != "3.0 4.0 1.0 5.0 2.0" {
		t.Errorf("an hour later %s wait", got)
	}
	w.claim(1, at(3, 0), at(4, 0))
	if got := w.waiting("example.com"); got != "1.0 5.0 2.0" {
		t.Errorf("then %s wait", got)
	}
	cmd := message(w, "bob@example.com")
	cmd.Entry.Priority = 10
	if res := w.do(command.Submit, cmd); res.Mail.Code != indexpb.Code_CODE_INVALID {
		t.Errorf("priority 10: %v", res)
	}
}
