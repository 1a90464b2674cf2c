package runner_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/runner"
)

// wish queues a message of ada's, changed.
func (s *site) wish(change func(*queue.Submission), to ...mta.Recipient) {
	s.t.Helper()
	now := s.clock()
	sub := queue.Submission{Account: ada, ID: "Q1", Envelope: mta.Envelope{From: "ada@example.org", Return: mta.ReturnFull}, Recipients: to,
		Expires: now.Add(120 * time.Hour), Notice: now.Add(4 * time.Hour)}
	change(&sub)
	in := s.store.NewIncoming(context.Background(), []index.AccountID{ada}, mta.ReturnPath(sub.Envelope.From))
	defer in.Discard()
	if _, err := io.WriteString(in, "Subject: plan\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"); err != nil {
		s.t.Fatal(err)
	}
	outcomes, err := in.Deliver(context.Background(), mailstore.Delivery{Received: now, Also: []*mailstore.Also{also(sub)}})
	if err != nil || len(outcomes) != 1 || outcomes[0].Err != nil {
		s.t.Fatal(outcomes, err)
	}
}

// also is Submission.Also, of a message that is forwarded where its sender is not ada.
func also(sub queue.Submission) *mailstore.Also {
	a := sub.Also()
	wrap := a.Wrap
	a.Wrap = func(k command.Kind, p access.Payload, id string) (command.Kind, access.Payload) {
		kind, p := wrap(k, p, id)
		p.(*queuepb.SubmitCommand).Entry.Forward = !strings.HasPrefix(sub.Envelope.From, "ada@")
		return kind, p
	}
	return a
}

// TestReturnedInTime: a message that is wanted by a time comes back then (RFC 2852).
func TestReturnedInTime(t *testing.T) {
	s := newSite(t)
	s.send = all(nobody)
	stop := s.run(1)
	s.wish(func(sub *queue.Submission) {
		sub.Envelope.By = mta.By{Time: s.clock().Add(time.Hour), Mode: mta.ByReturn}
	}, to("bob@example.com", 0))
	s.await("bob@example.com after 1 attempts: No host could be reached")
	stop()
	s.later(time.Hour)
	s.run(2)
	s.await("")
	texts := s.inbox()
	if len(texts) != 1 || !strings.Contains(texts[0], "Action: failed\r\nStatus: 5.4.7") || !strings.Contains(texts[0], "by the time that was asked for; the last attempt ended with: No host") {
		t.Errorf("%d reports: %q", len(texts), texts)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) != 1 {
		t.Errorf("%d attempts, one of them too late: %q", len(s.jobs), s.jobs)
	}
}

// TestToldInTime: or its sender is told then, and it is tried on; who hands it to a host that keeps no times says so.
func TestToldInTime(t *testing.T) {
	s := newSite(t)
	s.send = all(nobody)
	stop := s.run(1)
	by := mta.By{Time: s.clock().Add(time.Hour), Mode: mta.ByNotify}
	s.wish(func(sub *queue.Submission) { sub.Envelope.By = by }, to("bob@example.com", 0))
	s.await("bob@example.com after 1 attempts: No host could be reached")
	stop()
	s.later(time.Hour)
	stop = s.run(2)
	s.awaitInbox(1)
	stop()
	s.later(2 * time.Hour)
	s.mu.Lock()
	s.send = all(taken)
	s.mu.Unlock()
	s.run(3)
	s.await("")
	s.awaitInbox(2)
	all := strings.Join(s.inbox(), "\n")
	if !strings.Contains(all, "Action: delayed\r\nStatus: 4.4.7") || !strings.Contains(all, "Action: relayed") {
		t.Errorf("the reports are %s", all)
	}
}

// TestForwardReported: a report about a message that came from elsewhere goes back there, through the queue, and makes no report
// of its own.
func TestForwardReported(t *testing.T) {
	s := newSite(t)
	said := new(said)
	s.config.Logger = slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s.send = all(refused)
	stop := s.run(1)
	s.wish(func(sub *queue.Submission) { sub.Envelope.From, sub.Envelope.RequireTLS = "eve@example.net", true }, to("bob@example.com", 0))
	s.await("")
	if texts := s.inbox(); len(texts) != 0 {
		t.Errorf("ada got %q", texts)
	}
	stop()
	if text := said.text(); text != "" {
		t.Errorf("it warns:\n%s", text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) != 2 || !strings.HasPrefix(s.jobs[1], "<> to eve@example.net") || !strings.Contains(s.jobs[1], "Action: failed") || strings.Contains(s.jobs[1], "hello") {
		t.Errorf("the attempts are %q", s.jobs)
	}
}

// said is a log.
type said struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *said) Write(p []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.b.Write(p) }

func (s *said) text() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// forgetful commits, and loses the answer to the first settlement.
type forgetful struct {
	runner.Proposer
	once sync.Once
}

var errLost = errors.New("the answer is lost")

func (f *forgetful) Propose(ctx context.Context, g cluster.GroupID, c command.Command) ([]byte, cluster.LogIndex, error) {
	result, at, err := f.Proposer.Propose(ctx, g, c)
	if c.Kind == command.SettleRecipients && err == nil {
		f.once.Do(func() { err = errLost })
	}
	return result, at, err
}

// TestAnswerLost: a settlement whose answer got lost is repeated, and what it did is not.
func TestAnswerLost(t *testing.T) {
	s := newSite(t)
	s.config.Proposer = &forgetful{Proposer: s.cluster}
	s.send = func(j remote.Job) []remote.Result {
		return map[string][]remote.Result{"example.com": {taken, taken}, "example.net": {taken}}[j.Destination]
	}
	s.run(1)
	s.submit(to("bob@example.com", 0), to("joe@example.com", 0), to("eve@example.net", 0))
	s.await("")
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) != 2 {
		t.Errorf("the attempts are %q", s.jobs)
	}
}
