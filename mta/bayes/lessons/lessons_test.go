package lessons_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/uidset"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/bayes/bayespb"
	"github.com/rookery-mail/rookery/mta/bayes/lessons"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// school records what is proposed.
type school struct {
	mu   sync.Mutex // guards said
	said []*bayespb.TrainCommand
	err  error
	done chan struct{} // gets a token for each command
}

func (s *school) teacher() lessons.Teacher {
	return lessons.Teacher{SharedDay: func() uint32 { return 20 }, Propose: func(_ context.Context, _ index.AccountID, c *bayespb.TrainCommand) (*bayespb.TrainResult, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.said = append(s.said, c)
		if s.done != nil {
			s.done <- struct{}{}
		}
		return &bayespb.TrainResult{Changed: true}, s.err
	}}
}

// append files messages and returns the mailbox.
func appendAll(t *testing.T, store *mailstore.Store, mailbox string, messages ...string) index.Mailbox {
	t.Helper()
	ctx := context.Background()
	for _, text := range messages {
		in := store.NewIncoming(ctx, []index.AccountID{1}, nil)
		if _, err := in.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Account(1).AppendAll(ctx, mailbox, []*mailstore.Incoming{in}, make([]mailstore.AppendOptions, 1)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := store.Account(1).Mailbox(ctx, mailbox)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestLearnt: each message of a lesson is learnt as what it was said to be.
func TestLearnt(t *testing.T) {
	store := mailstoretest.New(t)
	first, second := "Subject: one\r\n\r\nbuy pills\r\n", "Subject: two\r\n\r\nbuy more\r\n"
	box := appendAll(t, store, "INBOX", first, second)
	s := &school{done: make(chan struct{}, 10)}
	q := lessons.New(lessons.Mailstore(store), s.teacher(), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { q.Run(ctx) })
	all := uidset.Of(index.UIDRange{Lo: 1, Hi: 9})
	l := lessons.Lesson{Account: 1, Mailbox: "INBOX", UIDValidity: box.UIDValidity, UIDs: all, Class: lessons.Spam}
	q.Add(l)
	l.Class, l.Withdrawn = lessons.Ham, true
	q.Add(l)
	for range 4 {
		<-s.done
	}
	cancel()
	work.Wait()
	for i, want := range []struct {
		text   string
		action bayespb.Action
		class  bayespb.Class
	}{{first, bayespb.Action_ACTION_LEARN, bayespb.Class_CLASS_SPAM}, {second, bayespb.Action_ACTION_LEARN, bayespb.Class_CLASS_SPAM},
		{first, bayespb.Action_ACTION_RETRACT, bayespb.Class_CLASS_HAM}, {second, bayespb.Action_ACTION_RETRACT, bayespb.Class_CLASS_HAM}} {
		c, key := s.said[i], bayes.KeyOf([]byte(want.text))
		if c.Action != want.action || c.Class != want.class || string(c.Key) != string(key[:]) || c.Account != 1 {
			t.Errorf("command %d: %v", i, c)
		}
		if (len(c.Tokens) > 0) != (want.action == bayespb.Action_ACTION_LEARN) || (c.SharedDay == 20) != (len(c.Tokens) > 0) {
			t.Errorf("command %d has tokens of %d octets, shared %d", i, len(c.Tokens), c.SharedDay)
		}
	}
	if n := q.Counts().Learnt.Load(); n != 4 {
		t.Errorf("%d learnt", n)
	}
}

// TestAnotherMailbox: what is in a mailbox of the same name by now is not learnt.
func TestAnotherMailbox(t *testing.T) {
	store := mailstoretest.New(t)
	box := appendAll(t, store, "INBOX", "\r\nbuy pills\r\n")
	m := lessons.Mailstore(store)
	for name, l := range map[string]lessons.Lesson{
		"made anew": {Account: 1, Mailbox: "INBOX", UIDValidity: box.UIDValidity + 1},
		"gone":      {Account: 1, Mailbox: "Gone", UIDValidity: box.UIDValidity},
	} {
		l.UIDs = uidset.Of(index.UIDRange{Lo: 1, Hi: 1})
		err := m.Each(context.Background(), l, func([]byte) error { return errors.New("read") })
		if !errors.Is(err, index.ErrGone) && !errors.Is(err, index.ErrNoMailbox) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// many are messages without a store.
type many struct{ octets []byte }

func (m many) Each(_ context.Context, l lessons.Lesson, fn func([]byte) error) error {
	for range l.UIDs.Len() {
		if err := fn(m.octets); err != nil {
			return fmt.Errorf("each: %w", err)
		}
	}
	return nil
}

// TestCounted: what is not learnt is counted, for whatever reason.
func TestCounted(t *testing.T) {
	s := &school{err: cluster.ErrUnavailable}
	q := lessons.New(many{[]byte("\r\nbuy pills\r\n")}, s.teacher(), slog.New(slog.DiscardHandler))
	l := lessons.Lesson{Account: 1, Mailbox: "Junk", Class: lessons.Spam, UIDs: uidset.Of(index.UIDRange{Lo: 1, Hi: 1000})}
	for range 257 { // one more than wait
		q.Add(l)
	}
	c := q.Counts()
	if n := c.Left.Load(); n != 257*800+200 {
		t.Errorf("%d left out", n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { q.Run(ctx) })
	cancel()
	work.Wait()
	if failed, left := c.Failed.Load(), c.Left.Load(); failed+left != 257*1000 || failed%200 != 0 {
		t.Errorf("%d failed, %d left out", failed, left)
	}
}
