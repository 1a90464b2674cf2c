package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/staging"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dsn"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/remote"
)

// reportOf is what a sender is told of an outcome, ok false where nothing is. Besides what NOTIFY asks for, a sender who
// set a time hears that the message was handed on, where who took it keeps no times, or where each hand is to be told
// (RFC 2852, section 4).
func reportOf(e *queuepb.EntryRecord, rec *queuepb.RecipientRecord, o *queuepb.Outcome, res remote.Result) (t dsn.Recipient, ok bool) {
	notify := mta.Notify(rec.Notify)
	switch o.Kind {
	case queuepb.OutcomeKind_OUTCOME_KIND_FAILED:
		t, ok = about(rec, o.Attempt, dsn.Failed), notify.Wants(mta.NotifyFailure)
	case queuepb.OutcomeKind_OUTCOME_KIND_DELIVERED:
		action := dsn.Relayed
		if res.Local {
			action = dsn.Delivered
		}
		by := queue.EnvelopeOf(e).By
		handed := by.Mode != "" && !res.Local && notify != mta.NotifyNever && (by.Trace || by.Mode == mta.ByNotify && !res.By)
		t, ok = about(rec, o.Attempt, action), handed || notify.Wants(mta.NotifySuccess) && !res.Reports
	}
	return t, ok
}

func about(rec *queuepb.RecipientRecord, a *queuepb.Attempt, action dsn.Action) dsn.Recipient {
	t := dsn.Recipient{Address: rec.Address, ORCPT: rec.Orcpt, Action: action}
	if a == nil {
		return t
	}
	t.Status, t.Host, t.Reply, t.At = mta.Enhanced(a.Enhanced), a.Host, a.Text, time.UnixMilli(a.At).UTC()
	if a.Code != 0 {
		t.Reply = strings.TrimSpace(fmt.Sprintf("%d %s", a.Code, a.Enhanced)) + " " + strings.ReplaceAll(a.Text, "\n", " ")
	}
	return t
}

// The most of a message that a report returns, in octets: its header, and all of it where that is asked for.
const (
	maxHeader   = 32 << 10
	maxReturned = 256 << 10
)

// report commits cmd, with a report to the sender about those recipients, if there are any. delay says that it tells
// of a delay. A message without a sender is reported to nobody (RFC 5321, section 6.1).
func (r *Runner) report(ctx context.Context, id queue.EntryID, e *queuepb.EntryRecord, cmd *queuepb.SettleCommand, told []dsn.Recipient, delay bool) error {
	if len(told) == 0 || e.Sender == "" {
		if delay {
			cmd.Reports = []*queuepb.Report{{Entry: uint64(id), Delay: true}}
		}
		_, err := r.propose(ctx, command.SettleRecipients, cmd)
		return err
	}
	name := r.c.ReportID()
	text, env, err := r.write(ctx, e, told, name)
	if err != nil {
		return err
	}
	var back *queue.Submission // the sender of a forward is elsewhere, or is found as any recipient is
	targets := []mailstore.Target{{Account: index.AccountID(e.Account), Address: e.Sender}}
	if e.Forward {
		back = &queue.Submission{Account: index.AccountID(e.Account), ID: name, Envelope: env, Expires: r.c.Clock().Add(reportLife),
			Recipients: []mta.Recipient{{Address: e.Sender, Notify: mta.NotifyNever}}}
		targets = nil
	}
	in := r.c.Store.NewReport(ctx, index.AccountID(e.Account), mta.ReturnPath(""))
	defer in.Discard()
	if _, err := in.Write(text); err != nil {
		return fmt.Errorf("write a report: %w", err)
	}
	d := mailstore.Delivery{
		Targets: targets,
		Also:    []*mailstore.Also{r.settling(id, index.AccountID(e.Account), cmd, delay, back)},
	}
	if r.c.Told != nil {
		d.Around = r.c.Told(queue.Arrival{ID: name, Client: "the queue, about " + e.Id})
	}
	outcomes, err := in.Deliver(ctx, d)
	if err != nil {
		return fmt.Errorf("deliver a report: %w", err)
	}
	if len(outcomes) > 0 { // a report that goes elsewhere has none
		err = outcomes[len(outcomes)-1].Err
	}
	if errors.Is(err, index.ErrNoAccount) {
		r.c.Logger.Info("a report has nobody to go to", "account", e.Account, "id", e.Id)
		_, err = r.propose(ctx, command.SettleRecipients, cmd)
	}
	return err
}

// settling has cmd be committed with the report in it, which is queued where back is not nil. A report fits a mailbox that is full.
func (r *Runner) settling(id queue.EntryID, account index.AccountID, cmd *queuepb.SettleCommand, delay bool, back *queue.Submission) *mailstore.Also {
	return &mailstore.Also{
		Account: account,
		Wrap: func(_ command.Kind, p access.Payload, messageID string) (command.Kind, access.Payload) {
			d := p.(*indexpb.DeliverCommand) // it goes alone
			for _, t := range d.Targets {
				t.Limits = nil
			}
			submit := &queuepb.SubmitCommand{Deliver: d}
			if back != nil {
				submit.Entry = back.Entry(d.Summary.ContentHash, messageID)
			}
			with := &queuepb.SettleCommand{Term: cmd.Term, Outcomes: cmd.Outcomes, Closures: cmd.Closures,
				Reports: []*queuepb.Report{{Entry: uint64(id), Delay: delay, Submit: submit}}}
			return command.SettleRecipients, with
		},
		Unwrap: func(result []byte) (*indexpb.Result, error) {
			res := new(queuepb.Result)
			if err := res.UnmarshalVT(result); err != nil {
				return nil, err
			}
			if res.Mail == nil {
				return nil, fmt.Errorf("a result without one of the delivery: %w", queue.ErrCorrupt)
			}
			res.Mail.Targets = nil
			if back == nil {
				res.Mail.Targets = []*indexpb.TargetResult{{}} // the queue decides about its reports
			}
			return res.Mail, nil
		},
	}
}

// reportLife is for how long a report is tried that goes elsewhere.
const reportLife = 5 * 24 * time.Hour

// write writes a report about a message, and says in which envelope it goes. It asks for TLS as the message did, and does
// not return one that asked for it (RFC 8689, section 5).
func (r *Runner) write(ctx context.Context, e *queuepb.EntryRecord, told []dsn.Recipient, name mta.ID) ([]byte, mta.Envelope, error) {
	report := dsn.Report{Hostname: r.c.Hostname, To: e.Sender, ID: string(name), Date: r.c.Clock(), EnvID: e.Envid, UTF8: e.Utf8,
		Arrived: time.UnixMilli(e.Received).UTC(), Recipients: told}
	failed := false
	for _, t := range told {
		failed = failed || t.Action == dsn.Failed
	}
	var err error
	report.Header, report.Body, err = r.returned(ctx, e, failed && mta.Return(e.Ret) == mta.ReturnFull && !e.RequireTls)
	if err != nil && !r.c.Clock().After(time.UnixMilli(e.Expires).Add(waitsForBody)) {
		return nil, mta.Envelope{}, err
	}
	if err != nil {
		report.Header = []byte("\r\n")
	}
	return report.Message(), mta.Envelope{Body: mta.Body8Bit, UTF8: report.Global(), RequireTLS: e.RequireTls}, nil
}

// waitsForBody is how long, behind a message's time, a report waits for one that cannot be read now. Then its sender is
// told without it.
const waitsForBody = time.Hour

// returned is what a report repeats of a message: its header and, where full is asked for and it is not too long, its body. Of
// one whose octets are lost it is an empty header.
func (r *Runner) returned(ctx context.Context, e *queuepb.EntryRecord, full bool) (header, body []byte, err error) {
	m, err := r.open(ctx, e)
	if errors.Is(err, staging.ErrCorrupt) {
		return []byte("\r\n"), nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open the message that is reported: %w", err)
	}
	defer m.Close()
	limit := int64(maxHeader)
	if full = full && m.Size() <= maxReturned; full {
		limit = maxReturned
	}
	octets, err := io.ReadAll(io.NewSectionReader(m.body, m.from, min(limit, m.Size())))
	if err != nil {
		return nil, nil, fmt.Errorf("read the message that is reported: %w", err)
	}
	end := bytes.Index(octets, []byte("\r\n\r\n"))
	if end < 0 {
		return octets, nil, nil
	}
	if full {
		body = octets[end+4:]
	}
	return octets[:end+4], body, nil
}
