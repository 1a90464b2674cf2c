// Package queue is the outbound queue of a partition as a state machine: what waits for which destination,
// who tries it, and when it is given up. It decides nothing about hosts, DNS or replies; the leader's worker
// (mta/runner) makes the attempts and tells what became of them. It has no clock, no randomness and no I/O but
// the batch it is given.
//
// A recipient waits, is claimed by the leader of a term, and is settled: delivered or given up, which ends it, or
// waiting again. A claim is refused to a leader whose term is behind one that was seen, and a settlement to all but the
// one that claimed, so that a deposed leader's word changes nothing (the Raft paper, section 8).
//
// Work is found by destination: the agenda has each destination once, at the time it is to be tried next. One that
// does not answer is closed until a time, and however many wait for it, that is one key. Taking what is due
// costs what is due.
package queue

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/queue/story"
)

// The limits of the machine. Replicas must agree on them: one changes only with a new command kind.
const (
	MaxRecipients = 1000 // of an entry
	MaxPlaces     = 1000 // of a command
	maxText       = 1024 // octets that are kept of a reply or a reason
)

// ErrCorrupt says that the keys break an invariant of KEYS.md. A group that finds it stops.
var ErrCorrupt = errors.New("state of the queue is corrupt")

// Queue is the machine, as an extension of index/partition. It is for the goroutine that applies the log; Watch is for
// any.
type Queue struct {
	touched bool
	stories story.Book

	mu      sync.Mutex
	changed chan struct{} // guarded by mu: closed, and made anew, when the queue has changed
}

// New returns the machine of a partition. All its state is in the keys it is given.
func New() *Queue { return &Queue{touched: true, changed: make(chan struct{})} }

// Watch returns a channel that is closed when the queue has changed since the call.
func (q *Queue) Watch() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.changed
}

// Committed wakes those who watch, where the queue has changed.
func (q *Queue) Committed() {
	if !q.touched {
		return
	}
	q.touched = false
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.changed)
	q.changed = make(chan struct{})
}

// Execute applies a command of the queue to b and returns the encoded queuepb.Result. x is the same
// command's execution in index/mailbox. A payload that does not decode is answered with CODE_INVALID
// and changes nothing.
func (queue *Queue) Execute(x *mailbox.Execution, b kv.Batch, c command.Command) ([]byte, error) {
	q := &machine{b: b, x: x, now: c.Time.UnixMilli(), index: c.Index, stories: &queue.stories}
	res, err := q.dispatch(c)
	if err == nil {
		err = errors.Join(q.finish(), q.finishConducts())
	}
	if err == nil {
		err = q.finishStories()
	}
	if err != nil {
		return nil, err
	}
	queue.touched = queue.touched || c.Kind != command.ForgetStories && (c.Kind != command.Submit || q.queued)
	return res.MarshalVT()
}

// Restored forgets what was remembered of the keys.
func (q *Queue) Restored() { q.stories.Forgotten() }

func (q *machine) dispatch(c command.Command) (*queuepb.Result, error) {
	switch c.Kind {
	case command.Submit:
		return runUnsafe(c, new(queuepb.SubmitCommand), q.submit)
	case command.ClaimRecipients:
		return run(c, new(queuepb.ClaimCommand), q.claim)
	case command.RetakeClaims:
		return run(c, new(queuepb.RetakeCommand), q.retake)
	case command.SettleRecipients:
		return run(c, new(queuepb.SettleCommand), q.settle)
	case command.EditQueue:
		return run(c, new(queuepb.EditCommand), q.edit)
	case command.ForgetStories:
		return run(c, new(queuepb.ForgetStoriesCommand), q.forgetStories)
	case command.EditConduct:
		return run(c, new(queuepb.EditConductCommand), q.editConduct)
	}
	return nil, command.ErrKind
}

func run[M interface{ UnmarshalVT([]byte) error }](c command.Command, m M, execute func(M) (*queuepb.Result, error)) (*queuepb.Result, error) {
	if err := m.UnmarshalVT(c.Payload); err != nil {
		return &queuepb.Result{Mail: mailbox.Invalid(err)}, nil
	}
	return execute(m)
}

// runUnsafe is run of a message that refers to the payload: of what is large, and not kept.
func runUnsafe[M interface{ UnmarshalVTUnsafe([]byte) error }](c command.Command, m M, execute func(M) (*queuepb.Result, error)) (*queuepb.Result, error) {
	if err := m.UnmarshalVTUnsafe(c.Payload); err != nil {
		return &queuepb.Result{Mail: mailbox.Invalid(err)}, nil
	}
	return execute(m)
}

// machine is the execution of one command. Destinations and stories it touches are held in memory and written by
// finish and finishStories, once each.
type machine struct {
	b            kv.Batch
	x            *mailbox.Execution
	now          int64
	index        cluster.LogIndex
	destinations map[string]*destination
	lowest       int64  // time of the agenda's keys that were set; 0: none was
	deleted      uint64 // of its keys
	stories      *story.Book
	told         []*told
	conducts     map[uint64]*conduct // nil before one is touched
	queued       bool                // an entry was made
}

func done() *queuepb.Result { return &queuepb.Result{Mail: &indexpb.Result{}} }

func refuse(code indexpb.Code, format string, args ...any) *queuepb.Result {
	return &queuepb.Result{Mail: &indexpb.Result{Code: code, Text: fmt.Sprintf(format, args...)}}
}

// add queues an entry. heldWith is why its account is held, empty where it is not.
func (q *machine) add(n *queuepb.NewEntry, body index.BodyID, size uint64, heldWith string, tale *told) (EntryID, error) {
	last, err := q.counter(controlLastEntry)
	if err != nil {
		return 0, err
	}
	id := EntryID(last + 1)
	if err := q.setCounter(controlLastEntry, last+1); err != nil {
		return 0, err
	}
	e := &queuepb.EntryRecord{
		Account: n.Account, Sender: n.Sender, Body: uint64(body), Size: size, Received: q.now,
		Expires: n.Expires, Notice: n.Notice, Open: uint32(len(n.Recipients)), Recipients: uint32(len(n.Recipients)),
		Envid: n.Envid, Ret: n.Ret, EightBit: n.EightBit, Utf8: n.Utf8, RequireTls: n.RequireTls, TlsOptional: n.TlsOptional,
		Priority: n.Priority, DeliverBy: n.DeliverBy, DeliverByMode: n.DeliverByMode, Forward: n.Forward,
		Held: n.HeldWhy != "", HeldWhy: n.HeldWhy, Id: n.Id, MessageId: n.MessageId, Braked: n.Brakes != nil,
	}
	if heldWith != "" && !e.Held {
		e.Held, e.HeldWhy, e.HeldWithAccount = true, heldWith, true
	}
	tale.queued(id, e, n)
	for i, r := range n.Recipients {
		rec := &queuepb.RecipientRecord{Address: r.Address, Orcpt: r.Orcpt, Notify: r.Notify, Destination: r.Destination,
			Due: max(r.Due, q.now), Priority: n.Priority, Account: r.Account, DedupKey: r.DedupKey}
		if err := q.wait(Place{id, uint32(i)}, rec, e.Held); err != nil {
			return 0, err
		}
	}
	if e.Held {
		e.HeldAt = q.now
	}
	if err := q.setAlarm(id, e); err != nil {
		return 0, err
	}
	q.queued = true
	return id, q.putEntry(id, e)
}

// alarmOf is when something is to be done about an entry whatever its destinations do.
func alarmOf(e *queuepb.EntryRecord) int64 {
	if e.Notice != 0 && e.Notice < e.Expires {
		return e.Notice
	}
	return e.Expires
}

// alarmed reports whether an entry has an alarm: its time stands still while it is held.
func alarmed(e *queuepb.EntryRecord) bool { return !e.Held || e.BouncedWhy != "" }

func (q *machine) setAlarm(id EntryID, e *queuepb.EntryRecord) error {
	if !alarmed(e) {
		return nil
	}
	return q.b.Set(alarmKey(nil, alarmOf(e), id), nil)
}

// clearAlarm is called before what an alarm hangs on changes.
func (q *machine) clearAlarm(id EntryID, e *queuepb.EntryRecord) error {
	if !alarmed(e) {
		return nil
	}
	return q.b.Delete(alarmKey(nil, alarmOf(e), id))
}

// wait makes a recipient wait until it is due. One of an entry that is held is in no destination's list.
func (q *machine) wait(p Place, r *queuepb.RecipientRecord, held bool) error {
	r.State, r.Term = queuepb.RecipientState_RECIPIENT_STATE_WAITING, 0
	if !held {
		if err := q.list(p, r); err != nil {
			return err
		}
	}
	return q.put(recipientKey(nil, p), r)
}

// endRecipient removes a recipient that waits or is claimed no more, and the entry with its last.
func (q *machine) endRecipient(p Place, id EntryID, e *queuepb.EntryRecord) error {
	if err := q.b.Delete(recipientKey(nil, p)); err != nil {
		return err
	}
	if e.Open == 0 {
		return fmt.Errorf("entry %d ends more recipients than it has: %w", id, ErrCorrupt)
	}
	if e.Open--; e.Open > 0 {
		return q.putEntry(id, e)
	}
	if err := q.clearAlarm(id, e); err != nil {
		return err
	}
	bodies := q.x.Bodies()
	if err := bodies.Leave(index.BodyID(e.Body), user(id)); err != nil {
		return fmt.Errorf("leave the body of entry %d: %w", id, err)
	}
	if err := bodies.Release(index.BodyID(e.Body)); err != nil {
		return fmt.Errorf("release the body of entry %d: %w", id, err)
	}
	return q.b.Delete(entryKey(nil, id))
}

// places turns what a command names into places, ordered, each once.
func places(list []*queuepb.Place) []Place {
	out := make([]Place, 0, len(list))
	for _, p := range list {
		out = append(out, Place{EntryID(p.GetEntry()), p.GetRecipient()})
	}
	slices.SortFunc(out, Place.Compare)
	return slices.Compact(out)
}
