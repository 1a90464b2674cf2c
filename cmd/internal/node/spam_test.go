package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// TestUsersTeach: what a user moves to Junk and out of it is learnt, tells about the next message, and can be taken back and
// forgotten; an account that goes takes it along.
func TestUsersTeach(t *testing.T) {
	t.Parallel()
	s := newSite(t, 85)
	s.start(1)
	do := func(method, path string, in, out any) {
		t.Helper()
		if err := s.ask(1, method, path, in, out); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	do("PUT", "/v1/settings/bayes_least", adminapi.Setting{Value: "1"}, nil)
	const account = "/v1/accounts/ada@example.org"
	status := func(spam, ham uint64) {
		t.Helper()
		s.eventually(fmt.Sprintf("%d and %d are learnt", spam, ham), func() error {
			var st adminapi.SpamStatus
			if err := s.ask(1, "GET", account+"/spam", nil, &st); err != nil {
				return err
			}
			if a := st.Account; a.Spam != spam || a.Ham != ham || a.SharedSpam != spam || a.SharedHam != ham {
				return fmt.Errorf("%+v, %v", *a, st.Lessons)
			}
			return nil
		})
	}
	note := func(subject, text string) string {
		return "From: a@sender.test\r\nSubject: " + subject + "\r\n\r\n" + text + "\r\n"
	}
	offer, minutes := note("offer", "cheap pills for you"), note("minutes", "the meeting was attended by all")
	k := s.talk(1)
	k.ok("APPEND INBOX {%d+}\r\n%s", len(offer), offer)
	k.ok("APPEND Junk {%d+}\r\n%s", len(minutes), minutes)
	s.eventually("a message is learnt", func() error { // not before the level is raised
		var out adminapi.SpamTrained
		return s.ask(1, "POST", account+"/spam/train", adminapi.SpamLesson{Message: []byte(note("x", "x y z"))}, &out)
	})
	var undone adminapi.SpamTrained
	do("POST", account+"/spam/undo", adminapi.SpamUndo{Message: []byte(strings.ReplaceAll(note("x", "x y z"), "\r", ""))}, &undone)
	if !undone.Changed || undone.Was != "ham" {
		t.Errorf("taken back: %+v", undone)
	}
	k.ok("SELECT INBOX")
	k.ok("MOVE 1 Junk")
	k.ok("SELECT Junk")
	k.ok("MOVE 1 INBOX") // the minutes
	status(1, 1)

	var o adminapi.SpamOpinion
	do("POST", account+"/spam/explain", adminapi.SpamMessage{Message: []byte(note("offer", "pills, cheap"))}, &o)
	if !o.Known || o.Probability < 0.7 || len(o.Weightiest) == 0 || o.Weightiest[0].Spam != 1 || o.Weightiest[0].Of != "account" {
		t.Errorf("of another offer: %+v", o)
	}
	do("POST", account+"/spam/explain", adminapi.SpamMessage{Message: []byte(note("minutes", "was the meeting attended"))}, &o)
	if !o.Known || o.Probability > 0.3 {
		t.Errorf("of other minutes: %+v", o)
	}

	k.ok("MOVE 1 INBOX") // the offer: it was a mistake
	status(0, 2)
	var list []adminapi.SpamTraining
	do("GET", account+"/spam/trainings", nil, &list)
	if len(list) != 2 || list[0].Class != "ham" || !list[0].Shared {
		t.Fatalf("trainings %+v", list)
	}
	do("POST", account+"/spam/undo", adminapi.SpamUndo{ID: list[0].ID[:12]}, &undone)
	status(0, 1)
	if err := s.ask(1, "POST", account+"/spam/undo", adminapi.SpamUndo{ID: list[0].ID}, nil); err == nil {
		t.Error("taken back twice")
	}
	var forgotten adminapi.SpamForgotten
	do("POST", account+"/spam/forget", adminapi.SpamForget{Shared: true}, &forgotten)
	if !forgotten.Changed || forgotten.TakenBack != 1 {
		t.Errorf("forgotten: %+v", forgotten)
	}
	status(0, 0)
	k.ok("LOGOUT")
	do("DELETE", account, nil, nil)
}
