// Package lessons has models learn from what users do with their messages: it takes lessons as they come, reads the messages
// that they are about, and proposes the trainings. That happens behind the users' backs: nobody waits, and what comes
// while too much waits already is counted and left out. Which act is a lesson is said where acts are seen (imapd).
package lessons

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/uidset"
)

// The bounds of what waits and of what is read.
const (
	maxWaiting  = 256              // lessons
	maxMessages = 200              // of a lesson
	lessonTime  = 30 * time.Second // for one message
)

// Class is what a user takes messages for.
type Class int

// The classes.
const (
	Spam Class = iota + 1 // unwanted
	Ham                   // wanted
)

// Lesson is what a user said of messages in a mailbox.
type Lesson struct {
	Account     index.AccountID // whose model learns: the owner of the mailbox
	Mailbox     string          // where they are
	UIDValidity uint32
	UIDs        *uidset.Set
	Class       Class
	Implied     bool // by an act that does not say so: it counts only where nothing else was said
	Withdrawn   bool // the user says no more that they are of the class
}

// Messages reads the messages of a lesson.
type Messages interface {
	// Each calls fn with the first octets of each message that is there still, as many as a classifier reads.
	Each(ctx context.Context, l Lesson, fn func(octets []byte) error) error
}

// Learner has models learn.
type Learner interface {
	// Learn has an account's model learn a message, and reports whether it changed.
	Learn(ctx context.Context, l Lesson, octets []byte) (changed bool, err error)
}

// Counts are what became of messages that lessons were about.
type Counts struct{ Learnt, Known, Failed, Left atomic.Uint64 }

// Queue takes lessons. Run works on them.
type Queue struct {
	messages Messages
	learner  Learner
	log      *slog.Logger
	waiting  chan Lesson
	counts   Counts

	mu   sync.Mutex
	full bool // guarded by mu: the last lesson was left out
}

// New returns an empty queue.
func New(m Messages, l Learner, log *slog.Logger) *Queue {
	return &Queue{messages: m, learner: l, log: log, waiting: make(chan Lesson, maxWaiting)}
}

// Counts is what became of messages so far.
func (q *Queue) Counts() *Counts { return &q.counts }

// Add takes a lesson, or leaves it out where too many wait. It returns at once.
func (q *Queue) Add(l Lesson) {
	if n := l.UIDs.Len(); n > maxMessages {
		q.counts.Left.Add(uint64(n - maxMessages))
		for few := range l.UIDs.Batches(maxMessages) {
			l.UIDs = few
			break
		}
	}
	full := false
	select {
	case q.waiting <- l:
	default:
		full = true
		q.counts.Left.Add(uint64(l.UIDs.Len()))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if full && !q.full {
		q.log.Warn("more is filed as junk or not than can be learnt; some of it is left out", "waiting", maxWaiting)
	}
	q.full = full
}

// Run works on lessons until ctx ends. Those that wait then are left out.
func (q *Queue) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			q.leave()
			return
		case l := <-q.waiting:
			q.work(ctx, l)
		}
	}
}

func (q *Queue) leave() {
	left := 0
	for {
		select {
		case l := <-q.waiting:
			left += l.UIDs.Len()
		default:
			if left > 0 {
				q.counts.Left.Add(uint64(left))
				q.log.Info("messages that users filed as junk or not are not learnt, since the node stops", "messages", left)
			}
			return
		}
	}
}

func (q *Queue) work(ctx context.Context, l Lesson) {
	done := 0
	err := q.messages.Each(ctx, l, func(octets []byte) error {
		done++
		changed, err := q.learn(ctx, l, octets)
		switch {
		case err != nil:
			q.counts.Failed.Add(1)
			return err
		case changed:
			q.counts.Learnt.Add(1)
		default:
			q.counts.Known.Add(1)
		}
		return nil
	})
	if err == nil {
		return
	}
	if rest := l.UIDs.Len() - done; rest > 0 {
		q.counts.Failed.Add(uint64(rest))
	}
	q.log.Info("messages that a user filed as junk or not could not be learnt", "account", l.Account, "mailbox", l.Mailbox, "error", err)
}

func (q *Queue) learn(ctx context.Context, l Lesson, octets []byte) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lessonTime)
	defer cancel()
	changed, err := q.learner.Learn(ctx, l, octets)
	if err != nil {
		return false, fmt.Errorf("learn a message: %w", err)
	}
	return changed, nil
}
