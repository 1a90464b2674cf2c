package chain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/mta/filter"
	"github.com/rookery-mail/rookery/mta/inbound"
)

// before is how long before the end of its context a Run is over: who asks has time to go on without an answer.
const before = 3 * time.Second

// Run asks the filters about a message, until one refuses it for a reason that nothing outweighs. It ends when the time of each
// is over, or a little before ctx is: then those that are left have not answered. m.Text is read until then, and by the outcome's
// Text, which reads on from it.
func (c *Chain) Run(ctx context.Context, m filter.Message) filter.Outcome {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-before))
		defer cancel()
	}
	p := pass{message: m, out: filter.Outcome{Text: m.Text, Size: m.Size, HeaderSize: m.HeaderSize}}
	for _, l := range c.filters() {
		if l.setting.Paused {
			continue
		}
		r := p.step(ctx, c, l)
		p.out.Results = append(p.out.Results, r)
		if r.Failed != "" || r.Refuse != nil && !r.Spam {
			break
		}
	}
	return p.out
}

// pass is a message on its way through the filters.
type pass struct {
	message filter.Message
	out     filter.Outcome
}

// step asks one filter and takes over what it says.
func (p *pass) step(ctx context.Context, c *Chain, l *link) inbound.FilterResult {
	size := p.message.Size
	octets, ask := l.setting.Portion(size)
	if !ask {
		return l.setting.Skipped(fmt.Sprintf("the message has %d octets; it gets up to %d", size, octets))
	}
	if wait := l.counts.rest(c.c.Clock()); wait != nil {
		return l.setting.Unanswered(wait)
	}
	from := c.c.Clock()
	r, err := l.ask(ctx, &p.message)
	took := c.c.Clock().Sub(from)
	if err == nil {
		err = p.edit(&r, octets < size)
	}
	if ctx.Err() == nil { // else it is not the filter that failed
		l.counts.add(c.c.Clock(), took, r.Word, err)
	}
	if err != nil {
		c.c.Logger.Warn("a filter gives no answer", "filter", l.setting.Name, "id", p.message.ID, "error", err, "closed", l.setting.Closed)
		return l.setting.Unanswered(err)
	}
	if p.out.Virus == "" {
		p.out.Virus = r.Virus
	}
	p.envelope(r)
	out := l.setting.Judge(r)
	if octets < size {
		out.Findings = append(out.Findings, l.setting.Note(fmt.Sprintf("it got %d octets of %d", octets, size)))
	}
	return out
}

// ask waits for a turn at the filter and asks it.
func (l *link) ask(ctx context.Context, m *filter.Message) (filter.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, l.setting.Timeout)
	defer cancel()
	select {
	case l.turns <- struct{}{}:
		defer func() { <-l.turns }()
	case <-ctx.Done():
		return filter.Report{}, fmt.Errorf("wait for one of %d turns: %w", cap(l.turns), ctx.Err())
	}
	return l.checker.Check(ctx, m)
}

// errHead says that a filter replaces what it has not seen.
var errHead = errors.New("it replaces the body of a message of which it got the head")

// edit makes the changes of the text. All of a filter are made, or none.
func (p *pass) edit(r *filter.Report, head bool) error {
	if r.Word == filter.Refuse || r.Word == filter.Defer || len(r.Changes) == 0 && r.Body == nil {
		return nil
	}
	if head && r.Body != nil {
		return errHead
	}
	m := &p.message
	draft, err := filter.NewDraft(m.Text, m.Size, m.HeaderSize)
	if err != nil {
		return err
	}
	left, err := draft.Apply(r.Changes)
	if err != nil {
		return err
	}
	if left > 0 {
		r.Detail = fmt.Sprintf("%d of its changes are of no field that can be", left)
	}
	if r.Body != nil {
		draft.Replace(r.Body)
	}
	if draft.Changed {
		m.Text, m.Size, m.HeaderSize = draft.Text()
		p.out.Text, p.out.Size, p.out.HeaderSize, p.out.Changed = m.Text, m.Size, m.HeaderSize, true
	}
	return nil
}

// envelope takes over what a filter does to recipients; the next sees it.
func (p *pass) envelope(r filter.Report) {
	for _, gone := range r.Removed {
		p.out.Removed = append(p.out.Removed, gone)
		p.message.Recipients = without(p.message.Recipients, gone)
	}
	for _, one := range r.Recipients {
		p.out.Refused = append(p.out.Refused, one)
		p.message.Recipients = without(p.message.Recipients, one.Recipient)
	}
}

func without(list []string, text string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == text })
}
