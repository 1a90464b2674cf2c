package queue_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/queue/story"
)

// arrives has a message have a story.
func arrives(cmd *queuepb.SubmitCommand, local ...string) *queuepb.SubmitCommand {
	cmd.Arrival = &queuepb.Arrival{Node: "n1", Client: "submission, 192.0.2.1, pc, TLS 1.3", Login: "ada@example.org", Recipients: local}
	for i := range local {
		cmd.Deliver.Targets = append(cmd.Deliver.Targets, &indexpb.DeliverTarget{Account: uint64(20 + i), DedupKey: []byte(fmt.Sprintf("%016d", i))})
	}
	return cmd
}

// story is what is known by a name, the latest message first.
func (w *world) story(name string) string {
	w.t.Helper()
	list, err := story.Find(w.b, name, 0, story.Never-1, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	var out strings.Builder
	for _, s := range list {
		h := s.Pieces[0]
		fmt.Fprintf(&out, "%s %s <%s> to %s\n", h.Id, h.MessageId, h.Sender, strings.Join(h.Recipients, " "))
		for _, p := range s.Pieces {
			for _, e := range p.Events {
				fmt.Fprintf(&out, "  %v %s", time.UnixMilli(p.At).Sub(epoch), strings.ToLower(strings.TrimPrefix(e.Kind.String(), "STORY_KIND_")))
				for _, word := range []string{e.Recipient, e.Node, e.Client, e.Login, e.Text, e.Attempt.GetHost(), e.Attempt.GetText()} {
					if word != "" {
						out.WriteString(" " + word)
					}
				}
				if e.Uid != 0 {
					fmt.Fprintf(&out, " UID %d in %d of %d", e.Uid, e.Mailbox, e.Account)
				}
				if e.Entry != 0 {
					fmt.Fprintf(&out, " entry %d", e.Entry)
				}
				if e.Attempt.GetAt() != 0 {
					fmt.Fprintf(&out, " at %v", time.UnixMilli(e.Attempt.At).Sub(epoch))
				}
				out.WriteByte('\n')
			}
		}
	}
	return out.String()
}

func (w *world) tells(name, want string) {
	w.t.Helper()
	want = strings.ReplaceAll(strings.TrimPrefix(want, "\n"), "\t", "")
	if got := w.story(name); got != want {
		w.t.Errorf("the story of %s is\n%s\nand not\n%s", name, got, want)
	}
}

// TestStory: a message with recipients here and elsewhere, tried twice, held, given up in part, with a report.
func TestStory(t *testing.T) {
	w := newWorld(t)
	cmd := arrives(message(w, "bob@example.com", "eve@example.net"), "cid@example.org")
	w.do(command.Submit, cmd)
	w.claim(1, at(1, 0), at(1, 1))
	w.now = w.now.Add(time.Minute)
	w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 1, Outcomes: []*queuepb.Outcome{
		{Place: at(1, 0), Kind: queuepb.OutcomeKind_OUTCOME_KIND_DELIVERED, Attempt: &queuepb.Attempt{Host: "mx.example.com", Text: "got it", At: w.now.UnixMilli()}},
		w.retry(at(1, 1), time.Hour, "greylisted")}})
	w.claim(1, at(1, 1))
	w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 1, Outcomes: []*queuepb.Outcome{ // no attempt was made
		{Place: at(1, 1), Kind: queuepb.OutcomeKind_OUTCOME_KIND_RETRY, Uncounted: true, Attempt: &queuepb.Attempt{Text: "no room today"}}}})
	w.do(command.EditQueue, &queuepb.EditCommand{Edit: queuepb.Edit_EDIT_HOLD, Entries: []uint64{1}, Why: "looked at"})
	w.do(command.EditQueue, &queuepb.EditCommand{Edit: queuepb.Edit_EDIT_HOLD, Entries: []uint64{1}, Why: "again"}) // changes nothing
	w.do(command.EditQueue, &queuepb.EditCommand{Edit: queuepb.Edit_EDIT_BOUNCE, Entries: []uint64{1}, Why: "spam"})
	w.now = w.now.Add(2 * time.Hour)
	w.claim(1, at(1, 1))
	report := &queuepb.SubmitCommand{Deliver: message(w).Deliver, Arrival: &queuepb.Arrival{Id: "R1", Node: "n1", Client: "the queue, about ABC", Recipients: []string{"ada@example.org"}}}
	report.Deliver.Targets = []*indexpb.DeliverTarget{{Account: 7}}
	w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 1, Reports: []*queuepb.Report{{Entry: 1, Submit: report}}, Outcomes: []*queuepb.Outcome{
		{Place: at(1, 1), Kind: queuepb.OutcomeKind_OUTCOME_KIND_FAILED, Attempt: &queuepb.Attempt{Text: "greylisted", At: w.now.Add(-time.Hour).UnixMilli()}}}})
	w.shows("")
	const whole = `
		ABC <1@example.org> <ada@example.org> to cid@example.org bob@example.com eve@example.net
		  0s received n1 submission, 192.0.2.1, pc, TLS 1.3 ada@example.org
		  0s queued bob@example.com and 1 more entry 1
		  0s stored cid@example.org UID 1 in 1 of 20
		  1m0s delivered bob@example.com mx.example.com got it
		  1m0s deferred eve@example.net greylisted
		  1m0s edited held: looked at
		  1m0s edited to be returned: spam
		  2h1m0s failed eve@example.net greylisted at 1h1m0s
		  2h1m0s reported of how it ended, in R1
	`
	for _, name := range []string{"abc", "1@example.org", "bob@example.com", "cid@example.org"} {
		w.tells(name, whole)
	}
	w.tells("R1", `
		R1  <> to ada@example.org
		  2h1m0s received n1 the queue, about ABC
		  2h1m0s stored UID 1 in 1 of 7
	`)
	if got := w.story("ada@example.org"); !strings.HasPrefix(got, "R1") || !strings.Contains(got, "\nABC") {
		t.Errorf("of the sender:\n%s", got)
	}
}

// TestStoryOfDelivery: what comes again, and what a mailbox does not take, is told too.
func TestStoryOfDelivery(t *testing.T) {
	w := newWorld(t)
	cmd := arrives(&queuepb.SubmitCommand{Deliver: message(w).Deliver}, "cid@example.org", "dan@example.org")
	cmd.Deliver.Targets[1].Limits = &indexpb.Limits{Bytes: 1}
	cmd.Arrival.Id, cmd.Arrival.Sender, cmd.Arrival.Checked = "Q1", "eve@example.net", "spam, 7 of 5"
	w.do(command.Submit, cmd)
	cmd.Arrival.Id = "Q2"
	w.do(command.Submit, cmd)
	w.tells("eve@example.net", `
		Q2  <eve@example.net> to cid@example.org dan@example.org
		  0s received n1 submission, 192.0.2.1, pc, TLS 1.3 ada@example.org spam, 7 of 5
		  0s repeated cid@example.org UID 1 in 1 of 20
		  0s refused dan@example.org CODE_OVER_QUOTA
		Q1  <eve@example.net> to cid@example.org dan@example.org
		  0s received n1 submission, 192.0.2.1, pc, TLS 1.3 ada@example.org spam, 7 of 5
		  0s stored cid@example.org UID 1 in 1 of 20
		  0s refused dan@example.org CODE_OVER_QUOTA
	`)
	bad := arrives(&queuepb.SubmitCommand{Deliver: message(w).Deliver})
	bad.Arrival.Client = strings.Repeat("x", 2000)
	if res := w.do(command.Submit, bad); res.Mail.Code != indexpb.Code_CODE_INVALID {
		t.Errorf("%v", res)
	}
}

// TestStoryOfHeldAccount: what waits is held when its account is, and its story says so.
func TestStoryOfHeldAccount(t *testing.T) {
	w := newWorld(t)
	w.do(command.Submit, arrives(braked(w, &queuepb.Brakes{MessagesHour: 10}, "bob@example.com")))
	w.do(command.EditConduct, &queuepb.EditConductCommand{Account: 7, Hold: true, Why: "stolen"})
	w.claim(1, at(1, 0))
	w.tells("bob@example.com", `
		ABC <1@example.org> <ada@example.org> to bob@example.com
		  0s received n1 submission, 192.0.2.1, pc, TLS 1.3 ada@example.org
		  0s queued entry 1
		  0s held stolen entry 1
	`)
}

// TestOldStoryGoesOn: what waits longer than stories are kept begins a new one; where none are kept, nothing is written.
func TestOldStoryGoesOn(t *testing.T) {
	w := newWorld(t)
	w.do(command.Submit, arrives(message(w, "bob@example.com", "eve@example.net")))
	today := story.DayOf(w.now.UnixMilli())
	w.now = w.now.Add(48 * time.Hour)
	w.do(command.ForgetStories, &queuepb.ForgetStoriesCommand{Before: today + 1})
	w.tells("ABC", "")
	w.claim(1, at(1, 0))
	w.do(command.SettleRecipients, &queuepb.SettleCommand{Term: 1, Outcomes: []*queuepb.Outcome{w.retry(at(1, 0), 0, "later")}})
	w.do(command.EditQueue, &queuepb.EditCommand{Edit: queuepb.Edit_EDIT_HOLD, Entries: []uint64{1}})
	const rest = `
		ABC <1@example.org> <ada@example.org> to bob@example.com eve@example.net
		  48h0m0s deferred bob@example.com later
		  48h0m0s edited held
	`
	w.tells("ABC", rest)
	w.do(command.ForgetStories, &queuepb.ForgetStoriesCommand{Before: story.Never})
	w.do(command.EditQueue, &queuepb.EditCommand{Edit: queuepb.Edit_EDIT_RELEASE, Entries: []uint64{1}})
	w.do(command.Submit, arrives(message(w, "joe@example.com")))
	w.do(command.EditQueue, &queuepb.EditCommand{Edit: queuepb.Edit_EDIT_HOLD, Entries: []uint64{2}})
	w.do(command.ForgetStories, &queuepb.ForgetStoriesCommand{Before: today + 1})
	w.tells("ABC", "")
	w.do(command.EditQueue, &queuepb.EditCommand{Edit: queuepb.Edit_EDIT_DELETE, Entries: []uint64{1, 2}, Why: "done"})
	w.shows("")
	w.tells("ABC", `
		ABC <1@example.org> <ada@example.org> to 
		  48h0m0s edited deleted: done
	`)
}

// TestStoryOfRefusal: a message that was not taken has a story, and nothing else of it is there.
func TestStoryOfRefusal(t *testing.T) {
	w := newWorld(t)
	a := queue.Arrival{ID: "Q7", Sender: "eve@example.net", Node: "n2", Client: "mx, 192.0.2.66", Checked: "refuse, score 16.0: it looks like spam\n+8.0 dnsbl listed: bl.example"}
	w.do(command.Submit, a.Refused("cid@example.org", mta.Replyf(550, mta.NotAuthorized, "The message looks like spam")))
	for _, name := range []string{"Q7", "eve@example.net", "cid@example.org"} {
		w.tells(name, `
			Q7  <eve@example.net> to cid@example.org
			  0s received n2 mx, 192.0.2.66 refuse, score 16.0: it looks like spam
			+8.0 dnsbl listed: bl.example
			  0s refused cid@example.org 550 5.7.1 The message looks like spam
			`)
	}
	long := queue.Arrival{ID: "Q8", Checked: strings.Repeat("ö", queue.MaxChecked)}
	w.do(command.Submit, long.Refused("cid@example.org", mta.Replyf(550, mta.NotAuthorized, "%s", strings.Repeat("no ", 1000))))
	if told := w.story("Q8"); len(told) > queue.MaxChecked+500 || !strings.Contains(told, "no no") {
		t.Errorf("a long refusal is told in %d octets", len(told))
	}
	mixed := a.Refused("cid@example.org", mta.Replyf(550, mta.NotAuthorized, "no"))
	mixed.Entry = message(w, "bob@example.com").Entry
	if res := w.do(command.Submit, mixed); res.Mail.Code != indexpb.Code_CODE_INVALID {
		t.Errorf("a refusal that queues something: %v", res.Mail)
	}
}
