package queue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// braked is a submission of account 7 under brakes.
func braked(w *world, b *queuepb.Brakes, recipients ...string) *queuepb.SubmitCommand {
	cmd := message(w, recipients...)
	cmd.Entry.Brakes = b
	return cmd
}

func (w *world) conduct() *queuepb.ConductRecord {
	w.t.Helper()
	rec, err := queue.Conduct(w.b, 7)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec
}

func (w *world) unnoticed() int {
	w.t.Helper()
	list, err := queue.Unnoticed(w.b, 10)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(list)
}

// refused checks what a submission is refused for: "" for not at all.
func (w *world) refused(cmd *queuepb.SubmitCommand, what string, until time.Duration) {
	w.t.Helper()
	res := w.do(command.Submit, cmd)
	if what == "" {
		if res.Refusal != nil || res.Mail.Code != 0 || res.Entry == 0 {
			w.t.Errorf("refused: %v", res)
		}
		return
	}
	want := int64(0)
	if until != 0 {
		want = w.now.Add(until).UnixMilli()
	}
	if r := res.Refusal; r.GetWhat() != what || r.GetUntil() != want || res.Entry != 0 || res.Mail.Code == 0 {
		w.t.Errorf("not refused for %q until %d: %v", what, want, res)
	}
}

// release gives the account back its right to send, and returns what its hold kept.
func (w *world) release() []queue.EntryID {
	w.t.Helper()
	if res := w.do(command.EditConduct, &queuepb.EditConductCommand{Account: 7}); res.Changed != 1 {
		w.t.Errorf("released: %v", res)
	}
	kept, err := queue.HeldWith(w.b, 7, 0, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	return kept
}

func TestMessagesAnHour(t *testing.T) {
	w := newWorld(t)
	b := &queuepb.Brakes{MessagesHour: 2}
	w.refused(braked(w, b, "bob@example.com"), "", 0)
	w.now = w.now.Add(20 * time.Minute)
	w.refused(braked(w, b, "bob@example.com"), "", 0)
	w.refused(braked(w, b, "bob@example.com"), "2 messages an hour", 40*time.Minute)
	w.refused(message(w, "bob@example.com"), "", 0) // a report, say
	w.now = w.now.Add(40 * time.Minute)
	w.refused(braked(w, b, "bob@example.com"), "", 0)
	if c := w.conduct(); c.Messages != 1 || c.Recipients != 3 {
		t.Errorf("counted %v", c)
	}
}

// TestRefusedComesAgain: what was refused is not taken for one that was queued, and the account's own copy of it is not delivered.
func TestRefusedComesAgain(t *testing.T) {
	w := newWorld(t)
	b := &queuepb.Brakes{RecipientsDay: 1}
	w.refused(braked(w, b, "bob@example.com"), "", 0)
	cmd := braked(w, b, "eve@example.com")
	cmd.Entry.DedupKey = []byte("0123456789abcdef")
	cmd.Deliver.Targets = []*indexpb.DeliverTarget{{Account: 8}}
	w.refused(cmd, "1 recipients a day", 24*time.Hour)
	w.now = w.now.Add(24 * time.Hour)
	res := w.do(command.Submit, cmd)
	if res.Entry != 2 || res.Again || res.Mail.Targets[0].Uid != 1 {
		t.Errorf("the day after: %v", res)
	}
	w.refused(braked(w, b, "a@example.com", "b@example.com"), "1 recipients a day", 0)
}

// TestNotKeptIsNotSent: a message whose octets are not there is not remembered as one that was queued.
func TestNotKeptIsNotSent(t *testing.T) {
	w := newWorld(t)
	cmd := message(w, "bob@example.com")
	cmd.Entry.DedupKey = []byte("0123456789abcdef")
	good := cmd.Deliver.Body
	cmd.Deliver.Body = &indexpb.BodyInput{Size: 10, ChunkSize: 10, UploadId: make([]byte, 16)}
	if res := w.do(command.Submit, cmd); res.Mail.Code == 0 || res.Entry != 0 {
		t.Errorf("without octets: %v", res)
	}
	cmd.Deliver.Body = good
	if res := w.do(command.Submit, cmd); res.Entry != 1 || res.Again {
		t.Errorf("again: %v", res)
	}
}

func TestStrangers(t *testing.T) {
	w := newWorld(t)
	b := &queuepb.Brakes{StrangersDay: 2}
	const what = "2 recipients a day that it never wrote to before"
	w.refused(braked(w, b, "bob@example.com", "eve@example.com", "Bob@Example.com"), "", 0)
	w.refused(braked(w, b, "joe@example.com"), what, 24*time.Hour)
	w.refused(braked(w, b, "BOB@example.com", "eve@example.com"), "", 0)
	if c := w.conduct(); c.Strangers != 2 || c.Acquaintances != 2 {
		t.Errorf("counted %v", c)
	}
	w.now = w.now.Add(401 * 24 * time.Hour)
	w.refused(braked(w, b, "bob@example.com", "eve@example.com", "joe@example.com"), what, 0)
}

// TestAcquaintancesAreBounded: an account that writes to ever more people is not remembered in full.
func TestAcquaintancesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.verify = false // each step would read them all
	for i := range 12 {
		var to []string
		for j := range 500 {
			to = append(to, fmt.Sprintf("r%d@example.com", 500*i+j))
		}
		w.do(command.Submit, braked(w, &queuepb.Brakes{}, to...))
		w.now = w.now.Add(time.Hour)
	}
	w.verify = true
	w.do(command.Submit, braked(w, &queuepb.Brakes{}, "last@example.com"))
	if c := w.conduct(); c.Acquaintances != 5000 {
		t.Errorf("%d acquaintances", c.Acquaintances)
	}
	before := w.conduct().Strangers
	w.do(command.Submit, braked(w, &queuepb.Brakes{}, "r5999@example.com", "last@example.com"))
	if c := w.conduct(); c.Strangers != before {
		t.Errorf("the latest are forgotten first")
	}
}

// TestHold: above a bound all is kept, also what waits already, until the account is released, and what was kept with it.
func TestHold(t *testing.T) {
	w := newWorld(t)
	b := &queuepb.Brakes{MessagesHour: 1, Hold: true}
	w.refused(braked(w, b, "bob@example.com"), "", 0)
	w.refused(braked(w, b, "eve@example.net"), "", 0)
	w.refused(message(w, "ada@example.org"), "", 0)
	if res := w.claim(1, at(1, 0)); len(res.Places) != 0 {
		t.Errorf("claimed %v", res.Places)
	}
	w.shows(`
		due: example.org
		1 from <ada@example.org> held: more than 1 messages an hour
		  0 <bob@example.com> waiting
		2 from <ada@example.org> held: more than 1 messages an hour
		  0 <eve@example.net> waiting
		3 from <ada@example.org>
		  0 <ada@example.org> waiting
	`)
	if w.unnoticed() != 1 {
		t.Error("nobody is to be told")
	}
	since := w.conduct().HeldSince
	note := &queuepb.EditConductCommand{Account: 7, Noticed: true, HeldSince: since + 1}
	w.do(command.EditConduct, note) // of another hold
	if w.unnoticed() != 1 {
		t.Error("told of another hold")
	}
	note.HeldSince = since
	w.do(command.EditConduct, note)
	if w.unnoticed() != 0 {
		t.Error("told, and to be told")
	}
	kept := w.release()
	if len(kept) != 2 || kept[0] != 1 || kept[1] != 2 {
		t.Errorf("kept %v", kept)
	}
	w.refused(braked(w, b, "bob@example.com"), "", 0) // with a clean slate
	if res := w.do(command.EditQueue, &queuepb.EditCommand{Edit: queuepb.Edit_EDIT_RELEASE, Entries: []uint64{1, 2}}); res.Changed != 2 {
		t.Errorf("released %v", res)
	}
	if res := w.claim(1, at(1, 0), at(2, 0)); len(res.Places) != 2 {
		t.Errorf("claimed %v", res.Places)
	}
}

// TestHeldFlood: a held account cannot fill the queue.
func TestHeldFlood(t *testing.T) {
	w := newWorld(t)
	w.do(command.EditConduct, &queuepb.EditConductCommand{Account: 7, Hold: true, Why: "on the phone"})
	if w.unnoticed() != 0 || w.conduct().HeldWhy != "on the phone" {
		t.Errorf("held by an operator: %v", w.conduct())
	}
	w.verify = false
	for range 1000 {
		w.do(command.Submit, braked(w, &queuepb.Brakes{}, "bob@example.com"))
	}
	w.verify = true
	w.refused(braked(w, &queuepb.Brakes{}, "bob@example.com"), "1000 messages while it is held", time.Hour)
	if c := w.conduct(); c.Acquaintances != 0 {
		t.Errorf("acquainted by mail that did not leave: %v", c)
	}
}

// TestStolenAccount: many strangers and many rejections hold an account whatever is done above a bound.
func TestStolenAccount(t *testing.T) {
	w := newWorld(t)
	b := &queuepb.Brakes{StrangersDay: 6, RejectionsDay: 4}
	w.refused(braked(w, b, "a@example.com", "b@example.com", "c@example.com"), "", 0)
	w.refused(braked(w, b, "a@example.com"), "", 0)
	w.claim(1, at(1, 0), at(1, 1), at(1, 2))
	fail := func(p *queuepb.Place, code uint32, host string) *queuepb.Outcome {
		return &queuepb.Outcome{Place: p, Kind: queuepb.OutcomeKind_OUTCOME_KIND_FAILED, Attempt: &queuepb.Attempt{Code: code, Host: host}}
	}
	w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 1, Outcomes: []*queuepb.Outcome{fail(at(1, 0), 550, "mx.example.com"), fail(at(1, 1), 0, "")}})
	if c := w.conduct(); c.Rejections != 1 || c.HeldSince != 0 {
		t.Errorf("after one rejection, and one that could not be tried: %v", c)
	}
	w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 1, Outcomes: []*queuepb.Outcome{fail(at(1, 2), 550, "mx.example.com")}})
	const why = "like a stolen account: 3 recipients that it never wrote to before, 2 refused by their hosts, since 2026-11-21 10:00 UTC"
	if c := w.conduct(); c.HeldWhy != why || w.unnoticed() != 1 {
		t.Errorf("after two: %v", c)
	}
	w.refused(braked(w, b, "a@example.com"), "", 0) // held
	w.claim(1, at(2, 0))
	w.shows(`
		2 from <ada@example.org> held: ` + why + `
		  0 <a@example.com> waiting
		3 from <ada@example.org> held: ` + why + `
		  0 <a@example.com> waiting
	`)
	w.now = w.now.Add(121 * time.Hour)
	if res := w.claim(1, at(2, 0)); len(res.Places) != 1 { // to give it up
		t.Errorf("nobody can give it up: %v", res)
	}
}

func TestRejectionsADay(t *testing.T) {
	for _, hold := range []bool{false, true} {
		w := newWorld(t)
		b := &queuepb.Brakes{RejectionsDay: 1, Hold: hold}
		w.refused(braked(w, b, "a@example.com", "b@example.com"), "", 0)
		w.claim(1, at(1, 0), at(1, 1))
		bad := &queuepb.Attempt{Code: 554, Host: "mx.example.com"}
		w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 1, Outcomes: []*queuepb.Outcome{
			{Place: at(1, 0), Kind: queuepb.OutcomeKind_OUTCOME_KIND_FAILED, Attempt: bad}, {Place: at(1, 1), Kind: queuepb.OutcomeKind_OUTCOME_KIND_FAILED, Attempt: bad}}})
		if held := w.conduct().HeldWhy; hold != (held == "more than 1 rejections a day") {
			t.Errorf("hold %v: held for %q", hold, held)
		}
		if !hold {
			w.refused(braked(w, b, "a@example.com"), "1 recipients a day that their hosts refuse", 24*time.Hour)
		}
	}
}

func TestForgottenConduct(t *testing.T) {
	w := newWorld(t)
	w.refused(braked(w, &queuepb.Brakes{MessagesHour: 1, Hold: true}, "bob@example.com"), "", 0)
	w.refused(braked(w, &queuepb.Brakes{MessagesHour: 1, Hold: true}, "bob@example.com"), "", 0)
	other := braked(w, &queuepb.Brakes{}, "bob@example.com")
	other.Entry.Account = 8
	w.refused(other, "", 0)
	w.do(command.EditConduct, &queuepb.EditConductCommand{Account: 7, Forget: true})
	if c := w.conduct(); c.HeldSince != 0 || c.Day != 0 || w.unnoticed() != 0 {
		t.Errorf("known still: %v", c)
	}
	if c, err := queue.Conduct(w.b, index.AccountID(8)); err != nil || c.Acquaintances != 1 {
		t.Errorf("the other account: %v, %v", c, err)
	}
	for name, cmd := range map[string]*queuepb.EditConductCommand{"nobody's": {}, "a long reason": {Account: 7, Hold: true, Why: string(make([]byte, 2000))}} {
		if res := w.do(command.EditConduct, cmd); res.Mail.Code == 0 {
			t.Errorf("%s: %v", name, res)
		}
	}
}
