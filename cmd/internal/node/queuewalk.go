package node

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/filter"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// methodQueueWalk asks the leader of a partition for a page of its queue.
const methodQueueWalk = "queue.walk"

// queueMode is what a page tells of entries that match.
type queueMode string

const (
	queueByRows        queueMode = "rows"         // each entry with its first recipients
	queueInFull        queueMode = "full"         // each entry with all
	queueByID          queueMode = "ids"          // ids alone
	queueByDestination queueMode = "destinations" // sums
)

// queueWalk asks for a page of a partition's queue, behind an entry.
type queueWalk struct {
	Group cluster.GroupID
	Spec  filter.Spec
	After uint64
	Mode  queueMode
	Rows  int // at most; entries beyond are counted
}

// queuePage is one. More says that there may be others behind After.
type queuePage struct {
	Rows         []adminapi.QueueEntry
	IDs          []uint64
	Open         []uint32 // recipients of each
	Destinations []adminapi.QueueDestination
	Matched      int
	Held         int
	After        uint64
	More         bool
	Problems     []string
}

// The bounds of a page: it is made within the patience of who asks, and fits an answer.
const (
	pageTime         = 1500 * time.Millisecond
	pageRows         = 200
	pageIDs          = 50_000
	pageDestinations = 5000
	pageProblems     = 5
	rowRecipients    = 5
)

// serveQueueWalk answers methodQueueWalk.
func (n *Node) serveQueueWalk(ctx context.Context, _ cluster.NodeID, request []byte) ([]byte, error) {
	var q queueWalk
	if err := json.Unmarshal(request, &q); err != nil {
		return nil, fmt.Errorf("read what to look for: %w", err)
	}
	f, err := q.Spec.Compile()
	if err != nil {
		return nil, err
	}
	r, err := n.leader(q.Group)
	if err != nil {
		return nil, err
	}
	snap := r.Snapshot()
	defer snap.Close()
	w := &queueWalker{n: n, ask: q, filter: f, snap: snap, now: time.Now(), sums: map[string]*adminapi.QueueDestination{}}
	w.page.After = q.After
	if err := w.run(ctx); err != nil {
		return nil, err
	}
	return json.Marshal(w.page)
}

// queueWalker makes a page.
type queueWalker struct {
	n      *Node
	ask    queueWalk
	filter *filter.Filter
	snap   kv.Reader
	now    time.Time
	page   queuePage
	sums   map[string]*adminapi.QueueDestination
}

func (w *queueWalker) run(ctx context.Context) error {
	err := w.each(func(id queue.EntryID, e *queuepb.EntryRecord) (bool, error) {
		if err := w.entry(ctx, id, e); err != nil {
			return false, err
		}
		w.page.After = uint64(id)
		if w.full() {
			w.page.More = true
			return false, nil
		}
		return true, ctx.Err()
	})
	if err != nil {
		return err
	}
	return w.finish()
}

// each calls fn for the entries that are named, or all.
func (w *queueWalker) each(fn func(queue.EntryID, *queuepb.EntryRecord) (bool, error)) error {
	if len(w.ask.Spec.Entries) == 0 {
		return queue.Entries(w.snap, queue.EntryID(w.ask.After), fn)
	}
	for _, id := range slices.Sorted(slices.Values(w.ask.Spec.Entries)) {
		if id <= w.page.After {
			continue
		}
		e, ok, err := queue.Record(w.snap, queue.EntryID(id))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if more, err := fn(queue.EntryID(id), e); err != nil || !more {
			return err
		}
	}
	return nil
}

func (w *queueWalker) full() bool {
	return len(w.page.Rows) >= pageRows || len(w.page.IDs) >= pageIDs || len(w.sums) >= pageDestinations || time.Since(w.now) > pageTime
}

// entry takes an entry into the page, if it matches.
func (w *queueWalker) entry(ctx context.Context, id queue.EntryID, e *queuepb.EntryRecord) error {
	if !w.filter.Entry(id, e) {
		return nil
	}
	_, list, _, err := queue.Entry(w.snap, id)
	if err != nil {
		return err
	}
	if !w.filter.Recipients(list) {
		return nil
	}
	if w.filter.Content() {
		found, err := w.content(ctx, e)
		if err != nil && ctx.Err() == nil {
			if len(w.page.Problems) < pageProblems {
				w.page.Problems = append(w.page.Problems, fmt.Sprintf("entry %d: %v", id, err))
			}
			return nil
		}
		if err != nil || !found {
			return err
		}
	}
	w.page.Matched++
	if e.Held {
		w.page.Held++
	}
	return w.take(id, e, list)
}

func (w *queueWalker) content(ctx context.Context, e *queuepb.EntryRecord) (bool, error) {
	body, err := w.n.store.OpenStored(ctx, w.ask.Group, index.BodyID(e.Body))
	if err != nil {
		return false, err
	}
	defer body.Close()
	return w.filter.Octets(body, body.Size())
}

// take takes an entry that matches.
func (w *queueWalker) take(id queue.EntryID, e *queuepb.EntryRecord, list []queue.Recipient) error {
	switch w.ask.Mode {
	case queueByID:
		w.page.IDs, w.page.Open = append(w.page.IDs, uint64(id)), append(w.page.Open, e.Open)
	case queueByDestination:
		w.sum(e, list)
	default:
		if len(w.page.Rows) >= w.ask.Rows {
			return nil
		}
		row := w.row(id, e)
		if w.ask.Mode == queueByRows {
			list = list[:min(len(list), rowRecipients)]
		}
		for _, r := range list {
			to, err := w.recipient(r.Record)
			if err != nil {
				return err
			}
			row.Recipients = append(row.Recipients, to)
		}
		w.page.Rows = append(w.page.Rows, row)
	}
	return nil
}

func (w *queueWalker) row(id queue.EntryID, e *queuepb.EntryRecord) adminapi.QueueEntry {
	return adminapi.QueueEntry{
		ID: entryID(w.ask.Group, uint64(id)), Account: w.n.nameOf(index.AccountID(e.Account)), Sender: e.Sender, Size: e.Size,
		Received: at(e.Received), Expires: at(e.Expires), Held: e.Held, HeldWhy: e.HeldWhy, ReturnedWhy: e.BouncedWhy,
		Transaction: e.Id, MessageID: e.MessageId, Priority: e.Priority, RequireTLS: e.RequireTls,
		Open: int(e.Open), Total: int(e.Recipients), Recipients: []adminapi.QueueRecipient{},
	}
}

func (w *queueWalker) recipient(r *queuepb.RecipientRecord) (adminapi.QueueRecipient, error) {
	out := adminapi.QueueRecipient{Address: r.Address, Destination: r.Destination, State: "waiting", Due: at(r.Due), Attempts: r.Attempts,
		Last: attemptOf(r.Last)}
	if r.State == queuepb.RecipientState_RECIPIENT_STATE_CLAIMED {
		out.State = "trying"
	}
	d, err := queue.Destination(w.snap, r.Destination)
	if err != nil {
		return out, err
	}
	if d.ClosedUntil > w.now.UnixMilli() {
		out.ClosedUntil = at(d.ClosedUntil)
	}
	out.Failures = d.Failures
	return out, nil
}

func attemptOf(a *queuepb.Attempt) *adminapi.QueueAttempt {
	if a == nil {
		return nil
	}
	return &adminapi.QueueAttempt{At: at(a.At), Node: a.Node, Host: a.Host, Address: a.Address, TLS: a.Tls, Reply: filter.Reply(a)}
}

// at is a time in Unix milliseconds; 0 is none.
func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// sum adds an entry to what waits for its destinations.
func (w *queueWalker) sum(e *queuepb.EntryRecord, list []queue.Recipient) {
	received := at(e.Received)
	age := ageColumn(w.now.Sub(received))
	for _, r := range list {
		d := w.sums[r.Record.Destination]
		if d == nil {
			d = &adminapi.QueueDestination{Destination: r.Record.Destination, Oldest: received}
			w.sums[r.Record.Destination] = d
		}
		if e.Held {
			d.Held++
		} else {
			d.Waiting++
		}
		d.Ages[age]++
		if received.Before(d.Oldest) {
			d.Oldest = received
		}
		if r.Record.Last != nil {
			d.LastError = filter.Reply(r.Record.Last)
		}
	}
}

// ageColumn is the column of an age in adminapi.QueueDestination.
func ageColumn(d time.Duration) int {
	for i, below := range []time.Duration{5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 8 * time.Hour, 24 * time.Hour} {
		if d < below {
			return i
		}
	}
	return 5
}

// finish completes the sums by what is known of their destinations.
func (w *queueWalker) finish() error {
	for _, name := range slices.Sorted(maps.Keys(w.sums)) {
		d := w.sums[name]
		rec, err := queue.Destination(w.snap, name)
		if err != nil {
			return err
		}
		d.Failures = rec.Failures
		if rec.ClosedUntil > w.now.UnixMilli() {
			d.ClosedUntil = at(rec.ClosedUntil)
		}
		d.LastError = cmp.Or(filter.Reply(rec.Last), d.LastError)
		w.page.Destinations = append(w.page.Destinations, *d)
	}
	return nil
}
