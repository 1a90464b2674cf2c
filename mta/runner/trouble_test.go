package runner_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/index/staging"
)

func (s *site) spoil(err error) { s.mu.Lock(); defer s.mu.Unlock(); s.body = err }

// TestBodyGone: a message that is lost is given up at once, and its sender is told without it.
func TestBodyGone(t *testing.T) {
	s := newSite(t)
	s.send = all(taken)
	s.spoil(fmt.Errorf("body 7: %w", staging.ErrCorrupt))
	s.run(1)
	s.submit(to("bob@example.com", 0))
	s.await("")
	texts := s.inbox()
	if len(texts) != 1 || !strings.Contains(texts[0], "Final-Recipient: rfc822; bob@example.com\r\nAction: failed") || !strings.Contains(texts[0], "The message cannot be read") {
		t.Errorf("%d reports: %q", len(texts), texts)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) > 0 {
		t.Errorf("attempts: %q", s.jobs)
	}
}

// TestBodyAway: a message that cannot be read for now is tried again; where it never comes back, its sender is told
// without it in the end.
func TestBodyAway(t *testing.T) {
	s := newSite(t)
	s.send = all(taken)
	s.spoil(errors.New("the object store does not answer"))
	stop := s.run(1)
	s.submit(to("bob@example.com", 0), to("joe@example.net", 0))
	const waits = " after 1 attempts: The message cannot be read: the object store does not answer"
	s.await("bob@example.com" + waits + "\njoe@example.net" + waits)
	stop()
	s.spoil(nil)
	s.later(3 * time.Minute)
	s.run(2)
	s.await("")
	if texts := s.inbox(); len(texts) != 0 {
		t.Errorf("reports: %q", texts)
	}

	s = newSite(t)
	s.send = all(taken)
	s.spoil(errors.New("the object store does not answer"))
	stop = s.run(1)
	s.submit(to("bob@example.com", 0))
	s.await("bob@example.com" + waits)
	stop()
	s.later(200 * time.Hour)
	s.run(2)
	s.await("")
	if texts := s.inbox(); len(texts) != 1 || !strings.Contains(texts[0], "Action: failed") {
		t.Errorf("%d reports: %q", len(texts), texts)
	}
}

// TestClockForward: what waits when the clock jumps on is tried, and only what still fails then is given up.
func TestClockForward(t *testing.T) {
	s := newSite(t)
	s.send = all(nobody)
	stop := s.run(1)
	s.submit(to("bob@example.com", 0))
	s.submit(to("joe@example.net", 0))
	const waits = " after 1 attempts: No host could be reached"
	s.await("bob@example.com" + waits + "\njoe@example.net" + waits)
	stop()
	s.later(3 * 365 * 24 * time.Hour)
	s.send = all(taken)
	s.run(2)
	s.await("")
	if texts := s.inbox(); len(texts) != 0 {
		t.Errorf("reports: %q", texts)
	}
}

// TestClockBack: what was queued while the clock was ahead is not lost when it is set right, and what comes then is not
// held up by it.
func TestClockBack(t *testing.T) {
	s := newSite(t)
	s.send = all(nobody)
	stop := s.run(1)
	s.submit(to("bob@example.com", 0))
	s.await("bob@example.com after 1 attempts: No host could be reached")
	stop()
	s.later(-24 * time.Hour)
	s.send = all(taken)
	stop = s.run(2)
	s.submit(to("joe@example.net", 0))
	s.await("bob@example.com after 1 attempts: No host could be reached")
	stop()
	s.later(25 * time.Hour)
	s.run(3)
	s.await("")
	if texts := s.inbox(); len(texts) != 0 {
		t.Errorf("reports: %q", texts)
	}
}
