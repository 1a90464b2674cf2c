package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/staging"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dsn"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/remote"
)

// attempt makes one attempt, gives its lane back and has it settled; it passes the gate when it is. Where that fails the
// recipients stay claimed, and are taken back by the next leader, or by this one when it leads again.
func (r *Runner) attempt(ctx context.Context, j *job) {
	results := r.deliver(ctx, j)
	if ctx.Err() != nil {
		r.end(j)
		return // whoever leads next cannot know more than that
	}
	now := r.c.Clock()
	cmd := &queuepb.SettleCommand{Term: r.term}
	var told []dsn.Recipient
	reached := false
	for i, res := range results {
		to := j.recipients[i]
		reached = reached || res.Reached
		o := r.outcome(j, to.Record, res, now)
		o.Place = place(to.Place)
		cmd.Outcomes = append(cmd.Outcomes, o)
		if t, ok := reportOf(j.record, to.Record, o, res); ok {
			told = append(told, t)
		}
		r.log(j, to.Record, o)
	}
	j.seen = seen(results)
	closes := !reached && results[0].Kind == remote.Temporary && results[0].Postponed.IsZero()
	switch {
	case closes:
		cmd.Closures = []*queuepb.Closure{{Destination: j.destination, Until: now.Add(closedFor(j.failures)).UnixMilli(), Attempt: cmd.Outcomes[0].Attempt}}
	case reached && j.failures > 0:
		cmd.Closures = []*queuepb.Closure{{Destination: j.destination}}
	}
	if !closes { // else what waits would be tried before the log knows that it is no use
		j.release()
		r.wake()
	}
	done := func() { r.end(j); r.wake() }
	if len(told) == 0 || j.record.Sender == "" {
		r.outcomes.add(cmd, done)
		return
	}
	defer done()
	r.insist(ctx, func() error { return r.report(ctx, j.entry, j.record, cmd, told, false) })
}

// insist repeats what settles attempts until it is done or ctx ends.
func (r *Runner) insist(ctx context.Context, settle func() error) {
	for try := time.Second; ctx.Err() == nil; try = min(2*try, time.Minute) {
		err := settle()
		if err == nil || ctx.Err() != nil {
			return
		}
		r.c.Logger.Warn("attempts could not be settled yet", "group", r.c.Group.String(), "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(try):
		}
	}
}

// deliver has the attempt made. There is a result for each recipient.
func (r *Runner) deliver(ctx context.Context, j *job) []remote.Result {
	m, err := r.open(ctx, j.record)
	if err != nil {
		kind := remote.Temporary
		if errors.Is(err, staging.ErrCorrupt) {
			kind = remote.Permanent
		}
		all := make([]remote.Result, len(j.recipients))
		for i := range all {
			all[i] = remote.Result{Kind: kind, Reached: true, Reply: *mta.Replyf(0, "4.3.0", "The message cannot be read: %v", err)}
		}
		return all
	}
	defer m.Close()
	e := j.record
	work := remote.Job{ID: e.Id, Account: index.AccountID(e.Account), Destination: j.destination, Forward: e.Forward, Envelope: queue.EnvelopeOf(e), Open: m.Open, Lane: j.lane}
	work.Envelope.Size = m.Size()
	for _, to := range j.recipients {
		work.Recipients = append(work.Recipients, mta.Recipient{Address: to.Record.Address, Notify: mta.Notify(to.Record.Notify), ORCPT: to.Record.Orcpt,
			Owed: mta.Owed{Account: to.Record.Account, Key: string(to.Record.DedupKey)}})
	}
	return r.c.Sender.Deliver(ctx, work)
}

// outcome is what a result means for the queue.
func (r *Runner) outcome(j *job, rec *queuepb.RecipientRecord, res remote.Result, now time.Time) *queuepb.Outcome {
	o := &queuepb.Outcome{Attempt: &queuepb.Attempt{At: now.UnixMilli(), Node: string(r.c.Node), Host: res.Host, Address: res.Address,
		Tls: res.TLS, Code: uint32(res.Reply.Code), Enhanced: string(res.Reply.Enhanced), Text: res.Reply.Text}}
	switch res.Kind {
	case remote.Delivered:
		o.Kind = queuepb.OutcomeKind_OUTCOME_KIND_DELIVERED
	case remote.Permanent:
		o.Kind = queuepb.OutcomeKind_OUTCOME_KIND_FAILED
	default:
		o.Kind = queuepb.OutcomeKind_OUTCOME_KIND_RETRY
		o.Due = now.Add(retryAfter(r.c.Schedule(), rec.Attempts)).UnixMilli()
		if !res.Postponed.IsZero() {
			o.Due, o.Uncounted = res.Postponed.UnixMilli(), true
		}
		if now.UnixMilli() >= j.record.Expires {
			o.Kind = queuepb.OutcomeKind_OUTCOME_KIND_FAILED
		}
	}
	return o
}

func (r *Runner) log(j *job, rec *queuepb.RecipientRecord, o *queuepb.Outcome) {
	if o.Uncounted && o.Kind == queuepb.OutcomeKind_OUTCOME_KIND_RETRY {
		r.c.Logger.Debug("postponed", "id", j.record.Id, "entry", uint64(j.entry), "group", r.c.Group.String(), "to", rec.Address, "why", o.Attempt.Text, "until", time.UnixMilli(o.Due))
		return
	}
	what := map[queuepb.OutcomeKind]string{queuepb.OutcomeKind_OUTCOME_KIND_DELIVERED: "delivered",
		queuepb.OutcomeKind_OUTCOME_KIND_RETRY: "deferred", queuepb.OutcomeKind_OUTCOME_KIND_FAILED: "failed"}[o.Kind]
	a := o.Attempt
	r.c.Logger.Info("attempt", "id", j.record.Id, "entry", uint64(j.entry), "group", r.c.Group.String(), "from", j.record.Sender, "to", rec.Address,
		"outcome", what, "host", a.Host, "address", a.Address, "tls", a.Tls, "reply", fmt.Sprintf("%d %s %s", a.Code, a.Enhanced, a.Text), "attempts", rec.Attempts+1)
}

// stored is a message as it goes over the line: without the Return-Path that is for mailboxes here (RFC 5321,
// section 4.4).
type stored struct {
	body mailstore.Body
	from int64
}

// open opens the message of an entry.
func (r *Runner) open(ctx context.Context, e *queuepb.EntryRecord) (*stored, error) {
	body, err := r.c.Store.OpenStored(ctx, r.c.Group, index.BodyID(e.Body))
	if err != nil {
		return nil, err
	}
	head := make([]byte, 1024)
	n, err := body.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, errors.Join(err, body.Close())
	}
	head = head[:n]
	m := &stored{body: body}
	if end := bytes.IndexByte(head, '\n'); end >= 0 && bytes.HasPrefix(head, []byte("Return-Path:")) {
		m.from = int64(end) + 1
	}
	return m, nil
}

// Size is what goes over the line, in octets.
func (m *stored) Size() int64 { return m.body.Size() - m.from }

// Open reads it from its start; one reader at a time.
func (m *stored) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(m.body, m.from, m.Size())), nil
}

func (m *stored) Close() { _ = m.body.Close() }
