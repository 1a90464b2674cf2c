package mailstore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
)

// Deliver puts the message into the targets' mailboxes: one command for each partition, all at
// once. It returns an Outcome for each target in order; an error only where nothing could be tried.
// When it returns, what succeeded is on the disks of a majority. A large message can be delivered once
// to each partition. Behind the outcomes of the targets there is one for each of d.Also: that of its partition's command.
func (in *Incoming) Deliver(ctx context.Context, d Delivery) ([]Outcome, error) {
	if err := in.finish(); err != nil {
		return nil, fmt.Errorf("deliver: %w", err)
	}
	in.summary.InternalDate = in.dateOr(d.Received)
	outcomes := make([]Outcome, len(d.Targets))
	parts := in.split(d.Targets, outcomes)
	for _, a := range d.Also {
		outcomes = append(outcomes, Outcome{})
		in.also(a, parts, outcomes)
	}
	for _, p := range parts {
		p.around, p.given = d.Around, d.Targets
	}
	if in.tooLarge(parts) {
		in.stage()
	}
	if in.away() {
		in.settle(ctx, receivers(parts))
	}
	var wg sync.WaitGroup
	for g, p := range parts {
		p.again = in.away() && in.used[g]
		if in.used == nil {
			in.used = map[cluster.GroupID]bool{}
		}
		in.used[g] = true
	}
	for g, p := range parts {
		wg.Go(func() { in.deliverPart(ctx, g, p, outcomes) })
	}
	wg.Wait()
	return outcomes, nil
}

// part is what of a delivery goes to one partition.
type part struct {
	targets []*indexpb.DeliverTarget
	places  []int // of each target in the delivery
	also    []*Also
	last    []int // of each of also, the place of its outcome
	around  *Around
	given   []Target // of the delivery
	again   bool     // the partition had the message before, and its octets are gone from where they waited
}

// also has the partition of a's account do it with its part. Its outcome is the last of outcomes.
func (in *Incoming) also(a *Also, parts map[cluster.GroupID]*part, outcomes []Outcome) {
	g, ok := in.groups[a.Account]
	if !ok {
		outcomes[len(outcomes)-1].Err = in.notPrepared(a.Account)
		return
	}
	p := parts[g]
	if p == nil {
		p = new(part)
		parts[g] = p
	}
	p.also, p.last = append(p.also, a), append(p.last, len(outcomes)-1)
}

// command is what is proposed for a part.
func (in *Incoming) command(g cluster.GroupID, p *part) (command.Kind, access.Payload) {
	cmd := &indexpb.DeliverCommand{Summary: in.summary, Body: in.body(g), Targets: p.targets}
	kind, all := command.Deliver, access.Payload(cmd)
	for _, a := range p.also {
		kind, all = a.Wrap(kind, all, in.messageID)
	}
	if p.around != nil {
		to := make([]Target, 0, len(p.places))
		for _, place := range p.places {
			to = append(to, p.given[place])
		}
		kind, all = p.around.Wrap(kind, all, in.messageID, to)
	}
	return kind, all
}

// split sorts targets by partition, and gives those an outcome that cannot be tried.
func (in *Incoming) split(targets []Target, outcomes []Outcome) map[cluster.GroupID]*part {
	parts := make(map[cluster.GroupID]*part)
	for i, t := range targets {
		g, ok := in.groups[t.Account]
		name, err := canonicalTarget(t.Mailbox)
		switch {
		case !ok:
			outcomes[i].Err = in.notPrepared(t.Account)
			continue
		case err != nil:
			outcomes[i].Err = err
			continue
		}
		p := parts[g]
		if p == nil {
			p = new(part)
			parts[g] = p
		}
		p.places = append(p.places, i)
		p.targets = append(p.targets, in.target(t, name))
	}
	return parts
}

func (in *Incoming) dedupKey(t Target) []byte {
	if t.DedupKey != nil {
		return t.DedupKey
	}
	return access.DedupKey(in.messageID, t.Address, in.summary.ContentHash)
}

func canonicalTarget(name string) (string, error) {
	if name == "" {
		return index.Inbox, nil
	}
	return mailbox.CanonicalName(name)
}

// notPrepared says why the message cannot go to an account.
func (in *Incoming) notPrepared(a index.AccountID) error {
	if _, err := in.store.c.Locate(a); err != nil {
		return fmt.Errorf("locate account %d: %w", a, err)
	}
	return fmt.Errorf("account %d was not named when the message began: %w", a, index.ErrNoAccount)
}

// tooLarge reports whether a command with the octets inline would be above what an entry may be.
func (in *Incoming) tooLarge(parts map[cluster.GroupID]*part) bool {
	if in.away() {
		return false
	}
	for g, p := range parts {
		if _, cmd := in.command(g, p); cmd.SizeVT() > maxCommand {
			return true
		}
	}
	return false
}

// deliverPart delivers to one partition and fills in the outcomes of its targets.
func (in *Incoming) deliverPart(ctx context.Context, g cluster.GroupID, p *part, outcomes []Outcome) {
	res, err := in.proposePart(ctx, g, p)
	if pack := in.placed[g]; pack != nil && err == nil && len(p.also) == 0 && !taken(res.Targets) {
		in.store.abandon(ctx, g, pack.number)
	}
	for _, place := range p.last {
		outcomes[place].Err = err
	}
	for i, place := range p.places {
		o := &outcomes[place]
		if err != nil {
			o.Err = err
			continue
		}
		t := res.Targets[i]
		o.Err = targetError(t)
		o.UID, o.UIDValidity = index.UID(t.Uid), t.UidValidity
		o.Duplicate = t.Code == indexpb.Code_CODE_DUPLICATE
	}
}

func (in *Incoming) proposePart(ctx context.Context, g cluster.GroupID, p *part) (*indexpb.Result, error) {
	if p.again {
		return nil, fmt.Errorf("deliver a large message to %v a second time: %w", g, cluster.ErrUnavailable)
	}
	if err := in.ready(g); err != nil {
		return nil, fmt.Errorf("deliver: %w", err)
	}
	kind, cmd := in.command(g, p)
	data, err := cmd.MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("encode %v: %w", kind, err)
	}
	encoded, _, err := in.store.proposeRaw(ctx, g, kind, data)
	if err != nil {
		return nil, fmt.Errorf("deliver: %w", err)
	}
	res, err := p.result(encoded)
	if err != nil {
		return nil, fmt.Errorf("decode result of %v: %w", kind, err)
	}
	if err := codeError(res.Code, res.Text); err != nil {
		return nil, fmt.Errorf("deliver: %w", err)
	}
	if len(res.Targets) != len(p.targets) {
		return nil, fmt.Errorf("deliver: %d results for %d targets: %w", len(res.Targets), len(p.targets), ErrRefused)
	}
	return res, nil
}

// taken reports whether any target has the message from this delivery.
func taken(targets []*indexpb.TargetResult) bool {
	return slices.ContainsFunc(targets, func(t *indexpb.TargetResult) bool { return t.Code == indexpb.Code_CODE_OK })
}

// result reads what a part's command gave.
func (p *part) result(encoded []byte) (*indexpb.Result, error) {
	if n := len(p.also); n > 0 {
		return p.also[n-1].Unwrap(encoded)
	}
	if p.around != nil {
		return p.around.Unwrap(encoded)
	}
	res := new(indexpb.Result)
	return res, res.UnmarshalVT(encoded)
}

func targetError(t *indexpb.TargetResult) error {
	if t.Code == indexpb.Code_CODE_INVALID {
		return fmt.Errorf("%w: %s", index.ErrInvalidName, t.Text)
	}
	return codeError(t.Code, t.Text)
}

// Append puts the message into a mailbox of the one account it was begun for:
// index.ErrNoMailbox (NO [TRYCREATE]), index.ErrOverQuota, index.ErrTooManyKeywords.
func (in *Incoming) Append(ctx context.Context, name string, o AppendOptions) (index.UID, uint32, error) {
	if err := in.finish(); err != nil {
		return 0, 0, fmt.Errorf("append: %w", err)
	}
	account, g, err := in.only()
	if err != nil {
		return 0, 0, fmt.Errorf("append: %w", err)
	}
	if name, err = mailbox.CanonicalName(name); err != nil {
		return 0, 0, index.ErrNoMailbox
	}
	in.summary.InternalDate = in.dateOr(o.InternalDate)
	cmd := &indexpb.AppendCommand{
		Account: uint64(account), Mailbox: name, Limits: in.store.limits(account),
		Messages: []*indexpb.AppendMessage{{
			Summary: in.summary, Body: in.body(g), SystemFlags: uint32(o.Flags), Keywords: o.Keywords,
		}},
	}
	if !in.away() && cmd.SizeVT() > maxCommand {
		in.stage()
	}
	if err := in.settleAppend(ctx, g, cmd, 0); err != nil {
		return 0, 0, fmt.Errorf("append: %w", err)
	}
	res, err := in.store.change(ctx, g, command.Append, cmd)
	if err != nil {
		in.unplace(ctx, g, err)
		return 0, 0, fmt.Errorf("append to %q: %w", name, err)
	}
	return index.UID(res.To[0].Lo), res.UidValidity, nil
}

// only returns the one account the message was begun for.
func (in *Incoming) only() (a index.AccountID, g cluster.GroupID, err error) {
	if len(in.groups) != 1 {
		return 0, 0, fmt.Errorf("the message is for %d accounts that exist: %w", len(in.groups), index.ErrNoAccount)
	}
	for a, g = range in.groups {
	}
	return a, g, nil
}

func (in *Incoming) dateOr(t time.Time) int64 {
	if t.IsZero() {
		t = in.store.c.Clock()
	}
	return t.UnixMilli()
}
