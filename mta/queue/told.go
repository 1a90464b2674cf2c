package queue

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/queue/story"
)

// told is what a command does to a message, for its story. A nil told takes all and keeps nothing.
type told struct {
	ref   story.Ref
	entry EntryID // 0 where it is not looked for by it
	piece queuepb.StoryRecord
	begun bool // by this command
}

// The bounds of texts that a story keeps, in octets.
const (
	maxTold    = 300
	MaxChecked = 2048 // of what the checks said
)

func (t *told) add(e *queuepb.StoryEvent) {
	if t != nil {
		t.piece.Events = append(t.piece.Events, e)
	}
}

// checkArrival says what is wrong with how a message is said to have come.
func checkArrival(a *queuepb.Arrival) error {
	if a == nil {
		return nil
	}
	for _, s := range []string{a.Id, a.MessageId, a.Sender, a.Node, a.Client, a.Login, a.Refused} {
		if len(s) > maxText {
			return fmt.Errorf("a text of %d octets", len(s))
		}
	}
	if len(a.Checked) > MaxChecked {
		return fmt.Errorf("what the checks said in %d octets", len(a.Checked))
	}
	if len(a.Recipients) > mailbox.MaxTargets {
		return errors.New("more recipients than a delivery has")
	}
	for _, s := range a.Recipients {
		if len(s) > maxText {
			return fmt.Errorf("a recipient of %d octets", len(s))
		}
	}
	return nil
}

// newTold makes room for a story that begins with this command; nil where none is kept.
func (q *machine) newTold() (*told, error) {
	day := story.DayOf(q.now)
	keeps, err := q.stories.Keeps(q.b, day)
	if err != nil || !keeps {
		return nil, err
	}
	n := uint16(0)
	for _, t := range q.told {
		if t.begun {
			n++
		}
	}
	t := &told{ref: story.NewRef(day, uint64(q.index), n), begun: true}
	q.told = append(q.told, t)
	return t, nil
}

// begin begins the story of a message, where it is said how that came.
func (q *machine) begin(cmd *queuepb.SubmitCommand) (*told, error) {
	a := cmd.Arrival
	if a == nil {
		return nil, nil
	}
	t, err := q.newTold()
	if err != nil || t == nil {
		return nil, err
	}
	p := &t.piece
	p.Id, p.MessageId, p.Sender, p.Recipients = a.Id, a.MessageId, a.Sender, a.Recipients
	if e := cmd.Entry; e != nil {
		p.Id, p.MessageId, p.Sender = e.Id, e.MessageId, e.Sender
		for _, e := range entriesOf(cmd) {
			for _, r := range e.Recipients {
				p.Recipients = append(p.Recipients, r.Address)
			}
		}
	}
	t.add(&queuepb.StoryEvent{Kind: queuepb.StoryKind_STORY_KIND_RECEIVED, Node: a.Node, Client: a.Client, Login: a.Login, Text: a.Checked})
	return t, nil
}

// refused tells of a message that was not taken, where it is for somebody of this partition: nothing else is done.
func (q *machine) refused(cmd *queuepb.SubmitCommand) (*queuepb.Result, error) {
	if cmd.Entry != nil || len(cmd.Entries)+len(cmd.Answers)+len(cmd.Notes) > 0 || len(cmd.Arrival.Recipients) == 0 {
		return refuse(indexpb.Code_CODE_INVALID, "a refusal with something to do, or for nobody"), nil
	}
	if err := checkArrival(cmd.Arrival); err != nil {
		return refuse(indexpb.Code_CODE_INVALID, "%v", err), nil
	}
	t, err := q.begin(cmd)
	if err != nil || t == nil {
		return done(), err
	}
	t.add(&queuepb.StoryEvent{Kind: queuepb.StoryKind_STORY_KIND_REFUSED, Recipient: cmd.Arrival.Recipients[0], Text: clipped(cmd.Arrival.Refused)})
	return done(), nil
}

// stored tells what became of the targets of a delivery.
func (t *told) stored(cmd *queuepb.SubmitCommand, res *queuepb.Result) {
	if t == nil {
		return
	}
	if res.Mail.Code != indexpb.Code_CODE_OK {
		t.add(&queuepb.StoryEvent{Kind: queuepb.StoryKind_STORY_KIND_REFUSED, Text: clipped(res.Mail.Text)})
		return
	}
	for i, r := range res.Mail.Targets {
		e := &queuepb.StoryEvent{Kind: queuepb.StoryKind_STORY_KIND_STORED, Account: cmd.Deliver.Targets[i].Account, Mailbox: r.MailboxId, Uid: r.Uid}
		switch r.Code {
		case indexpb.Code_CODE_OK:
		case indexpb.Code_CODE_DUPLICATE:
			e.Kind = queuepb.StoryKind_STORY_KIND_REPEATED
		default:
			e.Kind, e.Text = queuepb.StoryKind_STORY_KIND_REFUSED, clipped(strings.TrimSpace(r.Code.String()+" "+r.Text))
		}
		if to := cmd.Arrival.Recipients; i < len(to) && len(t.piece.Recipients) > 1 {
			e.Recipient = to[i]
		}
		t.add(e)
	}
	if res.Again {
		t.add(&queuepb.StoryEvent{Kind: queuepb.StoryKind_STORY_KIND_REPEATED, Text: "it was queued before"})
	}
}

// queued tells that an entry was made, and has the entry know its story.
func (t *told) queued(id EntryID, e *queuepb.EntryRecord, n *queuepb.NewEntry) {
	if t == nil {
		return
	}
	t.entry = id
	e.Story, e.StoryDay = t.ref.Number, t.ref.Day
	ev := &queuepb.StoryEvent{Kind: queuepb.StoryKind_STORY_KIND_QUEUED, Entry: uint64(id)}
	if e.Held {
		ev.Kind, ev.Text = queuepb.StoryKind_STORY_KIND_HELD, clipped(e.HeldWhy)
	}
	if len(t.piece.Recipients) > len(n.Recipients) { // else all are meant
		ev.Recipient = n.Recipients[0].Address
		if more := len(n.Recipients) - 1; more > 0 {
			ev.Recipient += fmt.Sprintf(" and %d more", more)
		}
	}
	t.add(ev)
}

// tell tells what happens to an entry, of which e may be an older copy. A story that is older than what is kept goes on as
// a new one.
func (q *machine) tell(id EntryID, e *queuepb.EntryRecord, ev *queuepb.StoryEvent) error {
	if e.Story == 0 {
		return nil
	}
	ref := story.Ref{Day: e.StoryDay, Number: e.Story}
	for _, t := range q.told {
		if t.ref == ref || t.entry == id {
			t.add(ev)
			return nil
		}
	}
	if kept, err := story.Has(q.b, ref); err != nil {
		return err
	} else if !kept {
		return q.tellAnew(id, e, ev)
	}
	t := &told{ref: ref}
	q.told = append(q.told, t)
	t.add(ev)
	return nil
}

func (q *machine) tellAnew(id EntryID, e *queuepb.EntryRecord, ev *queuepb.StoryEvent) error {
	t, err := q.newTold()
	if err != nil || t == nil {
		return err
	}
	t.entry = id
	t.add(ev)
	t.piece.Id, t.piece.MessageId, t.piece.Sender = e.Id, e.MessageId, e.Sender
	list, err := recipients(q.b, id)
	if err != nil {
		return err
	}
	for _, r := range list {
		t.piece.Recipients = append(t.piece.Recipients, r.Record.Address)
	}
	e.Story, e.StoryDay = t.ref.Number, t.ref.Day
	now, err := readEntry(q.b, id)
	if err != nil || now == nil {
		return err
	}
	now.Story, now.StoryDay = e.Story, e.StoryDay
	return q.putEntry(id, now)
}

// tellOutcome tells of an attempt. Nothing is told of one that was put off.
func (q *machine) tellOutcome(id EntryID, e *queuepb.EntryRecord, r *queuepb.RecipientRecord, o *queuepb.Outcome) error {
	if o.Uncounted {
		return nil
	}
	ev := &queuepb.StoryEvent{Kind: queuepb.StoryKind_STORY_KIND_DEFERRED, Attempt: q.brief(o.Attempt)}
	switch o.Kind {
	case queuepb.OutcomeKind_OUTCOME_KIND_DELIVERED:
		ev.Kind = queuepb.StoryKind_STORY_KIND_DELIVERED
	case queuepb.OutcomeKind_OUTCOME_KIND_FAILED:
		ev.Kind = queuepb.StoryKind_STORY_KIND_FAILED
	}
	if e.Recipients > 1 {
		ev.Recipient = r.Address
	}
	return q.tell(id, e, ev)
}

// brief is an attempt as a story keeps it: its time only where it is not that of the piece.
func (q *machine) brief(a *queuepb.Attempt) *queuepb.Attempt {
	if a == nil {
		return nil
	}
	out := &queuepb.Attempt{Node: clipped(a.Node), Host: clipped(a.Host), Address: clipped(a.Address), Tls: clipped(a.Tls), Code: a.Code,
		Enhanced: clipped(a.Enhanced), Text: clipped(a.Text)}
	if d := q.now - a.At; d < -60_000 || d > 60_000 {
		out.At = a.At
	}
	return out
}

// tellReport tells that a sender is told.
func (q *machine) tellReport(id EntryID, e *queuepb.EntryRecord, r *queuepb.Report) error {
	text := "of how it ended"
	if r.Delay {
		text = "that it is late"
	}
	if report := idOf(r.Submit); report != "" {
		text += ", in " + clipped(report)
	}
	return q.tell(id, e, &queuepb.StoryEvent{Kind: queuepb.StoryKind_STORY_KIND_REPORTED, Text: text})
}

// idOf is the id of a message that is submitted, as far as it is said.
func idOf(s *queuepb.SubmitCommand) string {
	if id := s.Entry.GetId(); id != "" {
		return id
	}
	return s.Arrival.GetId()
}

// tellEdit tells what an operator did.
func (q *machine) tellEdit(id EntryID, e *queuepb.EntryRecord, cmd *queuepb.EditCommand) error {
	text := map[queuepb.Edit]string{queuepb.Edit_EDIT_HOLD: "held", queuepb.Edit_EDIT_RELEASE: "released", queuepb.Edit_EDIT_RETRY: "to be tried at once",
		queuepb.Edit_EDIT_DELETE: "deleted", queuepb.Edit_EDIT_BOUNCE: "to be returned"}[cmd.Edit]
	if cmd.Why != "" {
		text += ": " + cmd.Why
	}
	return q.tell(id, e, &queuepb.StoryEvent{Kind: queuepb.StoryKind_STORY_KIND_EDITED, Text: clipped(text)})
}

// finishStories writes what was told.
func (q *machine) finishStories() error {
	for _, t := range q.told {
		t.piece.At = q.now
		var err error
		if t.begun {
			err = q.stories.Begin(q.b, t.ref, &t.piece)
		} else {
			err = q.stories.Add(q.b, t.ref, uint64(q.index), &t.piece)
		}
		if err != nil {
			return fmt.Errorf("write the story %v: %w", t.ref, err)
		}
	}
	return nil
}

// forgetStories drops what is older than is to be kept.
func (q *machine) forgetStories(cmd *queuepb.ForgetStoriesCommand) (*queuepb.Result, error) {
	return done(), q.stories.Forget(q.b, cmd.Before)
}

// clipped bounds a text that a story keeps.
func clipped(s string) string {
	if len(s) > maxTold {
		return strings.ToValidUTF8(s[:maxTold], "")
	}
	return s
}
