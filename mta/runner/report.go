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
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dsn"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/remote"
)

// reportOf is what a sender is told of an outcome, ok false where nothing is.
func reportOf(rec *queuepb.RecipientRecord, o *queuepb.Outcome, res remote.Result) (t dsn.Recipient, ok bool) {
	notify := mta.Notify(rec.Notify)
	switch o.Kind {
	case queuepb.OutcomeKind_OUTCOME_KIND_FAILED:
		t, ok = about(rec, o.Attempt, dsn.Failed), notify.Wants(mta.NotifyFailure)
	case queuepb.OutcomeKind_OUTCOME_KIND_DELIVERED:
		action := dsn.Relayed
		if res.Local {
			action = dsn.Delivered
		}
		t, ok = about(rec, o.Attempt, action), notify.Wants(mta.NotifySuccess) && !res.Reports
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
	text, err := r.write(ctx, e, told)
	if err != nil {
		return err
	}
	in := r.c.Store.NewReport(ctx, index.AccountID(e.Account), mta.ReturnPath(""))
	defer in.Discard()
	if _, err := in.Write(text); err != nil {
		return fmt.Errorf("write a report: %w", err)
	}
	outcomes, err := in.Deliver(ctx, mailstore.Delivery{
		Targets: []mailstore.Target{{Account: index.AccountID(e.Account), Address: e.Sender}},
		Also:    r.settling(id, index.AccountID(e.Account), cmd, delay),
	})
	if err != nil {
		return fmt.Errorf("deliver a report: %w", err)
	}
	err = outcomes[len(outcomes)-1].Err
	if errors.Is(err, index.ErrNoAccount) {
		r.c.Logger.Info("a report has nobody to go to", "account", e.Account, "id", e.Id)
		_, err = r.propose(ctx, command.SettleRecipients, cmd)
	}
	return err
}

// settling has cmd be committed with the report in it. A report fits a mailbox that is full.
func (r *Runner) settling(id queue.EntryID, account index.AccountID, cmd *queuepb.SettleCommand, delay bool) *mailstore.Also {
	return &mailstore.Also{
		Account: account,
		Wrap: func(d *indexpb.DeliverCommand, _ string) (command.Kind, access.Payload) {
			for _, t := range d.Targets {
				t.Limits = nil
			}
			with := &queuepb.SettleCommand{Term: cmd.Term, Outcomes: cmd.Outcomes, Closures: cmd.Closures,
				Reports: []*queuepb.Report{{Entry: uint64(id), Delay: delay, Submit: &queuepb.SubmitCommand{Deliver: d}}}}
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
			res.Mail.Targets = []*indexpb.TargetResult{{}} // the queue decides about its reports
			return res.Mail, nil
		},
	}
}

// write writes a report about a message.
func (r *Runner) write(ctx context.Context, e *queuepb.EntryRecord, told []dsn.Recipient) ([]byte, error) {
	report := dsn.Report{Hostname: r.c.Hostname, To: e.Sender, ID: string(r.c.ReportID()), Date: r.c.Clock(), EnvID: e.Envid,
		Arrived: time.UnixMilli(e.Received).UTC(), Recipients: told}
	m, err := r.open(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("open the message that is reported: %w", err)
	}
	defer m.Close()
	failed := false
	for _, t := range told {
		failed = failed || t.Action == dsn.Failed
	}
	limit := int64(maxHeader)
	full := failed && mta.Return(e.Ret) == mta.ReturnFull && m.Size() <= maxReturned
	if full {
		limit = maxReturned
	}
	octets, err := io.ReadAll(io.NewSectionReader(m.body, m.from, min(limit, m.Size())))
	if err != nil {
		return nil, fmt.Errorf("read the message that is reported: %w", err)
	}
	report.Header, report.Body = octets, nil
	if end := bytes.Index(octets, []byte("\r\n\r\n")); end >= 0 {
		report.Header = octets[:end+4]
		if full {
			report.Body = octets[end+4:]
		}
	}
	return report.Message(), nil
}

// alarm tells the sender of an entry that it is late, or gives it up.
func (r *Runner) alarm(ctx context.Context, id queue.EntryID, now time.Time) error {
	var e *queuepb.EntryRecord
	var list []queue.Recipient
	err := r.read(func(s kv.Reader) (err error) {
		e, list, _, err = queue.Entry(s, id)
		return err
	})
	if err != nil || e == nil {
		return err
	}
	if now.UnixMilli() < e.Expires {
		return r.tellDelay(ctx, id, e, list)
	}
	return r.giveUp(ctx, id, e, list, now)
}

func (r *Runner) tellDelay(ctx context.Context, id queue.EntryID, e *queuepb.EntryRecord, list []queue.Recipient) error {
	var told []dsn.Recipient
	for _, to := range list {
		if !mta.Notify(to.Record.Notify).Wants(mta.NotifyDelay) || e.Held {
			continue
		}
		t := about(to.Record, to.Record.Last, dsn.Delayed)
		t.Until = time.UnixMilli(e.Expires).UTC()
		told = append(told, t)
	}
	return r.report(ctx, id, e, &queuepb.SettleCommand{Term: r.term}, told, true)
}

// lastWord is why a recipient is given up that no attempt ended.
func (r *Runner) lastWord(e *queuepb.EntryRecord, to *queuepb.RecipientRecord, now time.Time) *queuepb.Attempt {
	switch {
	case e.BouncedWhy != "":
		return &queuepb.Attempt{At: now.UnixMilli(), Node: string(r.c.Node), Enhanced: "5.0.0", Text: e.BouncedWhy}
	case to.Last != nil:
		return to.Last
	}
	return &queuepb.Attempt{At: now.UnixMilli(), Node: string(r.c.Node), Enhanced: "4.4.7", Text: "It could not be tried before its time was over"}
}

// giveUp ends the recipients of an entry whose time is over. Those with an attempt under way end with it.
func (r *Runner) giveUp(ctx context.Context, id queue.EntryID, e *queuepb.EntryRecord, list []queue.Recipient, now time.Time) error {
	claim := &queuepb.ClaimCommand{Term: r.term}
	for _, to := range list {
		claim.Places = append(claim.Places, place(to.Place))
	}
	res, err := r.propose(ctx, command.ClaimRecipients, claim)
	if err != nil {
		return fmt.Errorf("claim what is to be given up: %w", err)
	}
	granted := map[uint32]bool{}
	for _, p := range res.Places {
		granted[p.Recipient] = true
	}
	cmd := &queuepb.SettleCommand{Term: r.term}
	var told []dsn.Recipient
	for _, to := range list {
		if !granted[to.Place.Recipient] {
			continue
		}
		a := r.lastWord(e, to.Record, now)
		o := &queuepb.Outcome{Place: place(to.Place), Kind: queuepb.OutcomeKind_OUTCOME_KIND_FAILED, Attempt: a}
		cmd.Outcomes = append(cmd.Outcomes, o)
		if mta.Notify(to.Record.Notify).Wants(mta.NotifyFailure) {
			told = append(told, about(to.Record, a, dsn.Failed))
		}
	}
	if len(cmd.Outcomes) == 0 {
		return nil
	}
	return r.report(ctx, id, e, cmd, told, false)
}
