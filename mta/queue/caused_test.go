package queue_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

func sixteen(s string) []byte { return fmt.Appendf(nil, "%-16s", s) }

// arriving is a message into the mailbox of account 7.
func arriving(w *world) *queuepb.SubmitCommand {
	cmd := &queuepb.SubmitCommand{Deliver: message(w).Deliver}
	cmd.Deliver.Targets = []*indexpb.DeliverTarget{{Account: 7, DedupKey: sixteen("inbox")}}
	return cmd
}

func answer(w *world, key, to string, days time.Duration) *queuepb.Answer {
	submit := message(w, to)
	submit.Entry.Sender = ""
	return &queuepb.Answer{Account: 7, Key: sixteen(key), Until: w.now.Add(days * 24 * time.Hour).UnixMilli(), Submit: submit}
}

// TestCausedOnce: a message that is redirected twice and answered, whose acknowledgement was lost, or which another node has taken
// as well, comes again: what it causes is done once.
func TestCausedOnce(t *testing.T) {
	w := newWorld(t)
	send := func() *queuepb.Result {
		cmd := arriving(w)
		cmd.Entry = message(w, "there@example.com").Entry
		cmd.Entry.DedupKey = sixteen("there")
		cmd.Entries = []*queuepb.NewEntry{message(w, "away@example.net").Entry, message(w, "away@example.net").Entry}
		cmd.Entries[0].DedupKey, cmd.Entries[1].DedupKey = sixteen("away"), sixteen("away")
		cmd.Answers = []*queuepb.Answer{answer(w, "vacation bob", "bob@example.com", 7)}
		cmd.Notes = []*queuepb.Note{{Account: 7, Key: sixteen("id 1"), Until: w.now.Add(time.Hour).UnixMilli()}}
		return w.do(command.Submit, cmd)
	}
	const want = `
		due: example.com
		due: example.net
		1 from <ada@example.org>
		  0 <there@example.com> waiting
		2 from <ada@example.org>
		  0 <away@example.net> waiting
		3 from <>
		  0 <bob@example.com> waiting
	`
	if res := send(); res.Entry != 1 || !res.Again {
		t.Errorf("%v", res)
	}
	w.shows(want)
	if res := send(); res.Entry != 0 || !res.Again || res.Mail.Targets[0].Code != indexpb.Code_CODE_DUPLICATE {
		t.Errorf("again: %v", res)
	}
	w.shows(want)
	for key, want := range map[string]bool{"id 1": true, "id 2": false, "vacation bob": true} {
		if got, err := queue.Remembered(w.b, 7, sixteen(key), w.now.UnixMilli()); got != want || err != nil {
			t.Errorf("%s remembered: %v, %v", key, got, err)
		}
	}
	if got, err := queue.Remembered(w.b, 8, sixteen("id 1"), w.now.UnixMilli()); got || err != nil {
		t.Errorf("remembered for another account: %v, %v", got, err)
	}
	// A week later the same sender is answered again.
	w.now = w.now.Add(7 * 24 * time.Hour)
	cmd := arriving(w)
	cmd.Answers = []*queuepb.Answer{answer(w, "vacation bob", "bob@example.com", 7)}
	w.do(command.Submit, cmd)
	if _, list, ok, err := queue.Entry(w.b, 4); !ok || err != nil || len(list) != 1 {
		t.Errorf("the answer a week later: %v, %v", list, err)
	}
}

// TestNothingOfWhatIsRefused: an account that is full gets the message again, so nothing is answered and nothing remembered.
func TestNothingOfWhatIsRefused(t *testing.T) {
	w := newWorld(t)
	cmd := arriving(w)
	cmd.Deliver.Targets[0].Limits = &indexpb.Limits{Bytes: 1}
	cmd.Answers = []*queuepb.Answer{answer(w, "vacation bob", "bob@example.com", 7)}
	cmd.Notes = []*queuepb.Note{{Account: 7, Key: sixteen("id 1"), Until: w.now.Add(time.Hour).UnixMilli()}}
	if res := w.do(command.Submit, cmd); res.Mail.Targets[0].Code != indexpb.Code_CODE_OVER_QUOTA {
		t.Fatalf("%v", res)
	}
	w.shows("")
	for _, key := range []string{"id 1", "vacation bob"} {
		if got, err := queue.Remembered(w.b, 7, sixteen(key), w.now.UnixMilli()); got || err != nil {
			t.Errorf("%s remembered: %v, %v", key, got, err)
		}
	}
}

// TestCausedInvalid: what no node proposes changes nothing.
func TestCausedInvalid(t *testing.T) {
	w := newWorld(t)
	for name, spoil := range map[string]func(*queuepb.SubmitCommand){
		"answers of an answer": func(c *queuepb.SubmitCommand) {
			c.Answers[0].Submit.Answers = []*queuepb.Answer{answer(w, "x", "y@z", 1)}
		},
		"no message":          func(c *queuepb.SubmitCommand) { c.Answers[0].Submit = nil },
		"short key":           func(c *queuepb.SubmitCommand) { c.Answers[0].Key = []byte("k") },
		"no time":             func(c *queuepb.SubmitCommand) { c.Answers[0].Until = 0 },
		"nobody's note":       func(c *queuepb.SubmitCommand) { c.Notes = []*queuepb.Note{{Key: sixteen("x"), Until: 5}} },
		"nil":                 func(c *queuepb.SubmitCommand) { c.Notes = []*queuepb.Note{nil} },
		"brakes of an answer": func(c *queuepb.SubmitCommand) { c.Answers[0].Submit.Entry.Brakes = &queuepb.Brakes{} },
		"second alone":        func(c *queuepb.SubmitCommand) { c.Entries = []*queuepb.NewEntry{message(w, "a@b").Entry} },
		"brakes of a second": func(c *queuepb.SubmitCommand) {
			c.Entry, c.Entries = message(w, "a@b").Entry, []*queuepb.NewEntry{message(w, "a@b").Entry}
			c.Entries[0].Brakes = &queuepb.Brakes{}
		},
	} {
		cmd := arriving(w)
		cmd.Answers = []*queuepb.Answer{answer(w, "vacation bob", "bob@example.com", 7)}
		spoil(cmd)
		if res := w.do(command.Submit, cmd); res.Mail.Code != indexpb.Code_CODE_INVALID {
			t.Errorf("%s: %v", name, res)
		}
	}
	w.shows("")
}

// TestRememberedModel: a key is known until the latest time that was said of it, and nothing is left of old ones for long.
func TestRememberedModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		known := map[string]time.Time{}
		t.Repeat(map[string]func(*rapid.T){
			"note": func(t *rapid.T) {
				key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "key")
				until := w.now.Add(time.Duration(rapid.IntRange(-1, 20).Draw(t, "hours")) * time.Hour)
				cmd := arriving(w)
				cmd.Notes = []*queuepb.Note{{Account: 7, Key: sixteen(key), Until: until.UnixMilli()}}
				w.do(command.Submit, cmd)
				if until.After(known[key]) {
					known[key] = until
				}
			},
			"wait": func(t *rapid.T) { w.now = w.now.Add(time.Duration(rapid.IntRange(0, 12).Draw(t, "hours")) * time.Hour) },
			"": func(t *rapid.T) {
				for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
					got, err := queue.Remembered(w.b, 7, sixteen(key), w.now.UnixMilli())
					if want := known[key].After(w.now); got != want || err != nil {
						t.Fatalf("%s at %v: %v, not %v; %v", key, w.now, got, want, err)
					}
				}
			},
		})
	})
}
