package queue_test

import (
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

func failed(p *queuepb.Place) *queuepb.Outcome {
	return &queuepb.Outcome{Place: p, Kind: queuepb.OutcomeKind_OUTCOME_KIND_FAILED}
}

// reporting settles outcomes of entry 1 with a report into the mailbox of account 7.
func reporting(w *world, term uint64, list ...*queuepb.Outcome) *queuepb.SettleCommand {
	submit := &queuepb.SubmitCommand{Deliver: message(w).Deliver}
	submit.Deliver.Targets = []*indexpb.DeliverTarget{{Account: 7}}
	return &queuepb.SettleCommand{Term: term, Outcomes: list, Reports: []*queuepb.Report{{Entry: 1, Submit: submit}}}
}

// nextUID is the UID that the next message for account 7 gets; the message is delivered.
func (w *world) nextUID() uint32 {
	w.t.Helper()
	submit := &queuepb.SubmitCommand{Deliver: message(w).Deliver}
	submit.Deliver.Targets = []*indexpb.DeliverTarget{{Account: 7}}
	return w.do(command.Submit, submit).Mail.Targets[0].Uid
}

// TestOnce: a leader that is killed between claim and settlement leaves a recipient to the next one; one that was recorded
// as delivered or given up is never tried again, and is reported once, whoever repeats what.
func TestOnce(t *testing.T) {
	w := newWorld(t)
	w.do(command.Submit, message(w, "bob@example.com", "joe@example.com", "eve@example.com"))
	w.claim(1, at(1, 0), at(1, 1), at(1, 2))
	settle := reporting(w, 1, delivered(at(1, 0)), failed(at(1, 1)))
	if res := w.do(command.SettleRecipients, settle); res.Changed != 2 {
		t.Fatalf("%v", res)
	}
	if uid := w.nextUID(); uid != 2 {
		t.Errorf("%d reports of one failure", uid-1)
	}
	// The answer got lost: the same comes again, as a new command.
	if res := w.do(command.SettleRecipients, settle); res.Changed != 0 {
		t.Errorf("repeated: %v", res)
	}
	if uid := w.nextUID(); uid != 3 {
		t.Errorf("%d reports of one failure, which came again", uid-2)
	}
	// The leader is killed; eve's attempt is under way, or was made, and nobody knows.
	if res := w.do(command.RetakeClaims, &queuepb.RetakeCommand{Term: 2}); res.Changed != 1 {
		t.Errorf("retaken: %v", res)
	}
	w.shows(`
		due: example.com
		1 from <ada@example.org>
		  2 <eve@example.com> waiting
	`)
	if res := w.claim(2, at(1, 0), at(1, 1), at(1, 2)); len(res.Places) != 1 || res.Places[0].Recipient != 2 {
		t.Errorf("granted %v", res.Places)
	}
	// What the dead leader had sent before comes through after all.
	if res := w.do(command.SettleRecipients, reporting(w, 1, delivered(at(1, 2)))); res.Mail.Code != indexpb.Code_CODE_STALE {
		t.Errorf("the dead leader's word: %v", res)
	}
	if res := w.do(command.SettleRecipients, reporting(w, 2, failed(at(1, 2)), delivered(at(1, 0)))); res.Changed != 1 {
		t.Errorf("%v", res)
	}
	w.shows("")
	if uid := w.nextUID(); uid != 5 {
		t.Errorf("%d reports of two failures", uid-3)
	}
}

// TestHeldStandsStill: the time of a message does not go on while it is held, but for a sender who set its end himself.
func TestHeldStandsStill(t *testing.T) {
	w := newWorld(t)
	w.do(command.Submit, message(w, "bob@example.com"))
	cmd := message(w, "bob@example.com")
	cmd.Entry.DeliverBy, cmd.Entry.DeliverByMode = w.now.Add(48*time.Hour).UnixMilli(), "R"
	cmd.Entry.Expires = cmd.Entry.DeliverBy
	w.do(command.Submit, cmd)
	w.do(command.EditQueue, &queuepb.EditCommand{Edit: queuepb.Edit_EDIT_HOLD, Entries: []uint64{1, 2}, Why: "looked at"})
	w.now = w.now.Add(1000 * time.Hour)
	if list, next, err := queue.Alarms(w.b, w.now.UnixMilli(), 1<<62, 10); len(list) != 0 || next != 0 || err != nil {
		t.Errorf("alarms of what is held: %v, %v, %v", list, next, err)
	}
	w.do(command.EditQueue, &queuepb.EditCommand{Edit: queuepb.Edit_EDIT_RELEASE, Entries: []uint64{1, 2}})
	for id, want := range map[queue.EntryID]time.Duration{1: 120 * time.Hour, 2: 48*time.Hour - 1000*time.Hour} {
		e, _, err := queue.Record(w.b, id)
		if err != nil || time.UnixMilli(e.Expires).Sub(w.now) != want {
			t.Errorf("entry %d expires in %v, not %v: %v", id, time.UnixMilli(e.GetExpires()).Sub(w.now), want, err)
		}
	}
	if list, _, err := queue.Alarms(w.b, w.now.UnixMilli(), 1<<62, 10); len(list) != 1 || list[0] != 2 || err != nil {
		t.Errorf("alarms: %v, %v", list, err)
	}
}
