package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/inbound"
	"github.com/rookery-mail/rookery/mta/inbound/stamp"
	"github.com/rookery-mail/rookery/mta/plan"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/sieve"
	"github.com/rookery-mail/rookery/mta/smtpd"
	"github.com/rookery-mail/rookery/mta/sorter"
)

// sortable is a message that the script of an account is run over.
type sortable struct {
	account  index.AccountID
	to       mta.Recipient // by whom it came to the account
	id       mta.ID
	envelope mta.Envelope
	text     io.ReaderAt
	size     int64
	header   []byte
	front    []byte    // our trace fields, which stand before the text
	keep     plan.Copy // that is meant where the script does not say otherwise
	alone    bool      // the sender can be told of a refusal in the reply
	answers  bool      // the sender may be sent something
	dry      bool      // nobody carries the plan out: nothing is made for it
	spam     sieve.Score
	virus    sieve.Score
	environ  map[string]string // items of the environment beside our own
	clean    *stamp.Rules      // of what stays of a header that a script has changed; nil: all
}

var _ inboundSorter = (*scripts)(nil)

// sort runs the active script of an account over a message. The plan is nil where there is none, or where it cannot be known: the message
// is kept then. What a script does wrong is among the findings, and the message is kept too (RFC 5228, section 2.10.6).
func (s *scripts) sort(ctx context.Context, m sortable) (*plan.Plan, []inbound.Finding) {
	if s.n.level() < command.EditScripts.Level() {
		return nil, nil
	}
	if s.none(m.account) {
		return nil, nil
	}
	p, found, err := s.planOf(ctx, m)
	if err != nil {
		s.n.log.Warn("a message is kept without the script of its recipient", "id", m.id, "account", m.account, "error", err)
		return nil, append(found, inbound.Finding{Check: "sieve", Result: "error", Detail: err.Error()})
	}
	return p, found
}

func (s *scripts) planOf(ctx context.Context, m sortable) (*plan.Plan, []inbound.Finding, error) {
	where, err := s.reading(m.account)
	if err != nil {
		return nil, nil, err
	}
	defer where.Close()
	script, name, err := s.active(where, m.account)
	if err != nil || script == nil {
		return nil, nil, err
	}
	own := s.n.addressOf(m.account)
	boxes := &folders{n: s.n, ctx: ctx, account: m.account}
	now := time.Now()
	o, err := script.Run(s.input(where, m, own, boxes, now))
	found := traced(name, o)
	if err != nil {
		found = append(found, inbound.Finding{Check: "sieve", Result: "error", Detail: name + ": " + err.Error()})
	}
	if o == nil {
		return nil, found, nil
	}
	c := sorter.Case{Account: m.account, Own: own, ID: m.id, Envelope: m.envelope, To: m.to, Hostname: s.n.cfg.SMTP.Hostname, Now: now, Header: m.header,
		NewID: smtpd.RandomID, Keep: m.keep, Exists: boxes.Exists, Alone: m.alone, Answers: m.answers, Known: s.known(where, m.account, now)}
	if c.Identity, err = sorter.IdentityOf(io.NewSectionReader(m.text, 0, m.size)); err != nil {
		return nil, found, err
	}
	r := sorter.Sort(c, o)
	for _, told := range r.Told {
		found = append(found, inbound.Finding{Check: "sieve", Result: "note", Detail: told})
	}
	if !s.sends() && (len(r.Sends) > 0 || len(r.Answers) > 0 || len(r.Others) > 0) {
		return s.withoutSending(m, r), append(found, inbound.Finding{Check: "sieve", Result: "note", Detail: "nothing is sent by this cluster (outbound.enabled)"}), nil
	}
	if !m.dry {
		s.makeMailboxes(ctx, m.account, boxes, o)
	}
	p, err := s.carriedOut(ctx, m, own, r)
	return p, found, err
}

// reading is the state of an account's partition, wherever it is. The caller closes it.
func (s *scripts) reading(a index.AccountID) (kv.Snapshot, error) {
	g, err := s.n.locate(a)
	if err != nil {
		return nil, err
	}
	replica, err := s.n.anyReplica(g)
	if err != nil {
		return nil, err
	}
	return replica.Snapshot(), nil
}

// runs reports whether a script is run for an account. One that cannot be known now is not.
func (s *scripts) runs(a index.AccountID) bool {
	if s.n.level() < command.EditScripts.Level() || s.none(a) {
		return false
	}
	where, err := s.reading(a)
	if err != nil {
		return false
	}
	defer where.Close()
	script, _, err := s.active(where, a)
	return err == nil && script != nil
}

// sends reports whether this node queues anything.
func (s *scripts) sends() bool { return s.n.queueDoor() != nil }

// withoutSending keeps what would be sent.
func (s *scripts) withoutSending(m sortable, r sorter.Result) *plan.Plan {
	p := &plan.Plan{Copies: r.Copies, Refuse: r.Refuse}
	if len(p.Copies) == 0 && p.Refuse == nil {
		p.Copies = []plan.Copy{m.keep}
	}
	return p
}

// input is what a run knows.
func (s *scripts) input(where kv.Reader, m sortable, own string, boxes *folders, now time.Time) sieve.Input {
	env := map[string]string{"domain": domainPart(own), "host": s.n.cfg.SMTP.Hostname, "location": "MTA", "name": "Rookery", "phase": "during", "version": s.n.opts.Version}
	for k, v := range m.environ {
		env[k] = v
	}
	known := s.known(where, m.account, now)
	in := sieve.Input{Text: m.text, Size: m.size, Front: m.front, Addresses: []string{own}, Now: now.UTC(), Environment: env,
		Envelope:  sieve.Envelope{From: m.envelope.From, Recipient: m.to, Return: m.envelope.Return, EnvID: m.envelope.EnvID, By: m.envelope.By},
		Mailboxes: boxes, Scripts: included{s, where, m.account}, Spam: m.spam, Virus: m.virus,
		Seen: func(key string) bool { return known(sorter.DuplicateKey(key)) }}
	if m.to.Address != own {
		in.Addresses = append(in.Addresses, m.to.Address)
	}
	err := s.n.view(func(v directory.View) error {
		settings, err := v.Settings()
		in.Delimiters = settings.SubaddressDelimiter
		return err
	})
	if err != nil {
		s.n.log.Warn("a script does not know how subaddresses are parted", "error", err)
	}
	return in
}

// known tells which keys an account remembers. What cannot be read is not.
func (s *scripts) known(where kv.Reader, a index.AccountID, now time.Time) func([]byte) bool {
	return func(key []byte) bool {
		ok, err := queue.Remembered(where, uint64(a), key, now.UnixMilli())
		if err != nil {
			s.n.log.Warn("what an account remembers could not be read", "account", a, "error", err)
		}
		return ok
	}
}

// traced is the trace of a run, for the story of the message.
func traced(name string, o *sieve.Outcome) (found []inbound.Finding) {
	if o == nil {
		return nil
	}
	for _, step := range o.Trace {
		script := name
		if step.Script != "" {
			script = step.Script
		}
		found = append(found, inbound.Finding{Check: "sieve", Result: "ran", Detail: fmt.Sprintf("%s:%d %s", script, step.Line, step.What)})
	}
	return found
}

// makeMailboxes makes those mailboxes that a script wants with a special use (RFC 8579). Others are made with the delivery.
func (s *scripts) makeMailboxes(ctx context.Context, a index.AccountID, boxes *folders, o *sieve.Outcome) {
	for _, f := range o.Filings {
		if !f.Create || f.SpecialUse == "" || boxes.Exists(f.Mailbox) {
			continue
		}
		if _, err := s.n.store.Account(a).Create(ctx, f.Mailbox, useNamed(f.SpecialUse)); err != nil && !errors.Is(err, index.ErrMailboxExists) {
			s.n.log.Warn("a mailbox of a script is made without its special use", "account", a, "mailbox", f.Mailbox, "error", err)
		}
	}
}

// carriedOut makes the plan of a result: everything in it is done in the account's partition with the delivery.
func (s *scripts) carriedOut(ctx context.Context, m sortable, own string, r sorter.Result) (*plan.Plan, error) {
	p := &plan.Plan{Copies: r.Copies, Refuse: r.Refuse, Also: s.entries(r.Sends)}
	for _, o := range r.Others {
		p.Others = append(p.Others, plan.Other{Text: m.cleaned(o.Text), Copies: o.Copies, Also: s.entries(o.Sends)})
	}
	var answers []queue.Answer
	for _, a := range r.Answers {
		answer, err := s.answer(ctx, m, own, a)
		if err != nil {
			return nil, fmt.Errorf("write an answer: %w", err)
		}
		answers = append(answers, answer)
	}
	var notes []queue.Note
	for _, n := range r.Notes {
		notes = append(notes, queue.Note(n))
	}
	if len(answers)+len(notes) > 0 {
		p.Also = append(p.Also, queue.Caused(m.account, answers, notes))
	}
	return p, nil
}

// cleaned reads a text that a script made, without fields that speak in our name and are not ours.
func (m sortable) cleaned(text *sieve.Text) func() io.Reader {
	if m.clean == nil {
		return text.Reader
	}
	return func() io.Reader {
		header, err := readHeader(text, text.Size())
		if err != nil {
			return text.Reader() // which meets the same error
		}
		kept, _ := m.clean.Clean(header)
		rest := int64(len(header))
		return io.MultiReader(bytes.NewReader(kept), io.NewSectionReader(text, rest, text.Size()-rest))
	}
}

func (s *scripts) entries(sends []queue.Submission) (also []*access.Also) {
	for _, send := range sends {
		also = append(also, s.n.queueDoor().Entry(send))
	}
	return also
}

// answer is an answer as it is queued, with the copy that the account keeps.
func (s *scripts) answer(ctx context.Context, m sortable, own string, a sorter.Answer) (out queue.Answer, err error) {
	out = queue.Answer{Key: a.Key, Until: a.Until, Send: a.Send}
	s.n.outbound.policy.times(&out.Send, time.Now())
	out.Send.Notice = time.Time{} // nobody waits for it
	var targets []mailstore.Target
	if a.Copy != nil {
		targets = []mailstore.Target{{Account: m.account, Address: own, Mailbox: a.Copy.Mailbox, Flags: a.Copy.Flags, Keywords: a.Copy.Keywords, DedupKey: a.Copy.DedupKey}}
	}
	out.Deliver, out.MessageID, err = s.n.store.Letter(ctx, mta.ReturnPath(a.Send.Envelope.From), a.Text, time.Now(), targets)
	if s.n.traceDays() > 0 {
		out.Story = &queue.Arrival{ID: a.Send.ID, Node: s.n.id, Client: "the script of " + own + ", about " + string(m.id)}
	}
	return out, err
}

// domainPart is what is behind the last @ of an address.
func domainPart(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// Sort implements inboundSorter.
func (s *scripts) Sort(ctx context.Context, l *missive, to sorting, keep plan.Copy) (*plan.Plan, []inbound.Finding, error) {
	m := sortable{account: to.account, to: to.recipient, id: l.id, envelope: l.envelope, text: l.text, size: l.text.Size(), header: l.header,
		front: l.trace, keep: keep, alone: to.alone && l.kind != smtpd.LMTP, answers: answerable(to.verdict), dry: to.dry}
	if l.client.Address.IsValid() {
		m.environ = map[string]string{"remote-ip": l.client.Address.String(), "remote-host": l.client.Helo}
	}
	if to.junkScore > 0 && !l.client.Unchecked {
		m.spam = sieve.Score{Known: true, Value: min(max(to.verdict.Score/to.junkScore, 0), 1)}
	}
	if l.kind != smtpd.LMTP {
		rules, err := s.n.clusterRules()
		if err != nil {
			return nil, nil, fmt.Errorf("read what stays of a header: %w", err)
		}
		m.clean = &rules.stamp
	}
	p, found := s.sort(ctx, m)
	if p == nil && (keep.Mailbox != "" || len(keep.Keywords) > 0) {
		p = &plan.Plan{Copies: []plan.Copy{keep}}
	}
	return p, found, nil
}

// answerable reports whether the sender of a message may be sent something: it is wanted, and nothing says that the sender is forged.
func answerable(v inbound.Verdict) bool {
	return v.Action == inbound.Accept && !slices.ContainsFunc(v.Findings, func(f inbound.Finding) bool {
		return (f.Check == "spf" || f.Check == "dmarc") && f.Result == "fail"
	})
}
