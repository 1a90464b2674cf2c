package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/filter"
	"github.com/rookery-mail/rookery/mta/filter/chain"
	"github.com/rookery-mail/rookery/mta/inbound"
	"github.com/rookery-mail/rookery/mta/wire"
)

var _ adminapi.Filters = (*Node)(nil)

// Filters lists the filters in their order, without passwords.
func (n *Node) Filters(context.Context) ([]adminapi.Filter, error) {
	if err := n.filters.refresh(); err != nil {
		return nil, err
	}
	list, err := n.filters.read()
	if err != nil {
		return nil, err
	}
	out := []adminapi.Filter{}
	for _, s := range n.filters.chain.Stats() { // in their order
		i := slices.IndexFunc(list, func(f filter.Setting) bool { return f.Name == s.Name })
		if i < 0 {
			continue
		}
		f := filterTold(list[i])
		f.Seen = &adminapi.FilterSeen{Asked: s.Asked, Failed: s.Failed, Bad: s.Bad, MeanMS: float64(s.Mean) / float64(time.Millisecond), Answering: s.Answering, Last: s.Last, LastTime: s.LastTime}
		out = append(out, f)
	}
	return out, nil
}

func filterTold(s filter.Setting) adminapi.Filter {
	return adminapi.Filter{Name: s.Name, Kind: string(s.Kind), Address: s.Address, Order: s.Order, Seconds: s.Timeout.Seconds(), Closed: s.Closed, Found: string(s.Found),
		RefuseAt: s.RefuseAt, Weight: s.Weight, Most: s.Most, Over: string(s.Over), AtOnce: s.AtOnce, User: s.User, Password: s.Password != "", Paused: s.Paused}
}

// AddFilter adds a filter that there is not yet.
func (n *Node) AddFilter(ctx context.Context, f adminapi.NewFilter) error {
	list, err := n.filters.read()
	if err != nil {
		return err
	}
	if len(list) >= filter.MaxFilters {
		return fmt.Errorf("%w: there are %d filters, which is all that are allowed", directory.ErrInvalid, len(list))
	}
	s := filter.Setting{Name: f.Name, Kind: filter.Kind(f.Kind), Order: 100, Weight: 1}
	if s.Kind == filter.Spamd {
		s.RefuseAt = 15
	}
	var none uint64
	err = n.putFilter(ctx, s, f.FilterChange, &none)
	if errors.Is(err, directory.ErrConflict) {
		return fmt.Errorf("there is a filter %s already: %w", f.Name, directory.ErrExists)
	}
	return err
}

// ChangeFilter changes what is set of a change.
func (n *Node) ChangeFilter(ctx context.Context, name string, c adminapi.FilterChange) error {
	var s filter.Setting
	var version uint64
	err := n.view(func(v directory.View) error {
		m, err := v.MailRecord(directory.MailFilter, name)
		s, version = filter.Of(m), m.GetVersion()
		return err
	})
	if err != nil {
		return fmt.Errorf("there is no filter %s: %w", name, err)
	}
	return n.putFilter(ctx, s, c, &version)
}

func (n *Node) putFilter(ctx context.Context, s filter.Setting, c adminapi.FilterChange, expected *uint64) error {
	apply(&s.Address, c.Address)
	apply(&s.Order, c.Order)
	if c.Seconds != nil {
		s.Timeout = time.Duration(*c.Seconds * float64(time.Second)).Round(time.Millisecond)
	}
	apply(&s.Closed, c.Closed)
	applyWord(&s.Found, c.Found)
	apply(&s.RefuseAt, c.RefuseAt)
	apply(&s.Weight, c.Weight)
	apply(&s.Most, c.Most)
	applyWord(&s.Over, c.Over)
	apply(&s.AtOnce, c.AtOnce)
	apply(&s.User, c.User)
	apply(&s.Password, c.Password)
	apply(&s.Paused, c.Paused)
	if err := s.Check(); err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	return n.putMail(ctx, directory.MailChange{Record: s.Record(), Expected: expected})
}

func apply[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func applyWord[T ~string](to *T, from *string) {
	if from != nil {
		*to = T(*from)
	}
}

// DeleteFilter has a filter no longer be asked.
func (n *Node) DeleteFilter(ctx context.Context, name string) error {
	if err := n.removeMail(ctx, directory.MailFilter, name); err != nil {
		return fmt.Errorf("there is no filter %s: %w", name, err)
	}
	return nil
}

// TestFilters asks the filters about a message that goes nowhere. What is counted of them, and who is left alone, does not change by it.
func (n *Node) TestFilters(ctx context.Context, t adminapi.FilterTest) (adminapi.FilterVerdict, error) {
	list, err := n.filters.read()
	if err != nil {
		return adminapi.FilterVerdict{}, err
	}
	if t.Only != "" {
		i := slices.IndexFunc(list, func(s filter.Setting) bool { return s.Name == t.Only })
		if i < 0 {
			return adminapi.FilterVerdict{}, fmt.Errorf("there is no filter %s: %w", t.Only, directory.ErrNotFound)
		}
		one := list[i]
		one.Paused = false
		list = []filter.Setting{one}
	}
	m, err := n.testMessage(t)
	if err != nil {
		return adminapi.FilterVerdict{}, fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	c := chain.New(chain.Config{Logger: n.log, Clock: time.Now})
	c.Set(list)
	return filterVerdict(c.Run(ctx, m))
}

// testMessage is the message of a test, with line ends as SMTP has them.
func (n *Node) testMessage(t adminapi.FilterTest) (filter.Message, error) {
	ends := wire.LineEnds{Repair: true}
	text, err := ends.Next(t.Text)
	if err != nil {
		return filter.Message{}, err
	}
	text = slices.Clone(text)
	header := wire.HeaderEnd(text, 0)
	if header < 0 {
		header = len(text)
	}
	m := filter.Message{ID: "TEST", Server: n.cfg.SMTP.Hostname, Text: bytes.NewReader(text), Size: int64(len(text)), HeaderSize: int64(header),
		Envelope: mta.Envelope{From: t.From, To: t.To, Size: int64(len(text))}, Recipients: t.To,
		Client: filter.Client{Name: t.Name, Hello: t.Hello, Login: t.Login}}
	if t.Client != "" {
		addr, err := netip.ParseAddr(t.Client)
		if err != nil {
			return m, fmt.Errorf("%.60q is no address of a client", t.Client)
		}
		m.Client.Remote = netip.AddrPortFrom(addr, 25)
	}
	return m, nil
}

func filterVerdict(out filter.Outcome) (adminapi.FilterVerdict, error) {
	v := adminapi.FilterVerdict{Filters: []adminapi.FilterSaid{}, Virus: out.Virus, Removed: out.Removed}
	for _, r := range out.Results {
		said := adminapi.FilterSaid{Name: r.Name, Verdict: filterWord(r)}
		for _, f := range r.Findings {
			said.Findings = append(said.Findings, adminapi.FilterFinding{Result: f.Result, Score: f.Score, Detail: f.Detail})
		}
		v.Filters = append(v.Filters, said)
	}
	for _, r := range out.Refused {
		v.Refused = append(v.Refused, r.Recipient+": "+r.Reply.Error())
	}
	if out.Changed {
		header := make([]byte, out.HeaderSize)
		if n, err := out.Text.ReadAt(header, 0); n < len(header) && err != io.EOF {
			return v, fmt.Errorf("read the message as the filters left it: %w", err)
		}
		v.Changed = string(header)
	}
	return v, nil
}

// filterWord is what comes of a filter's words.
func filterWord(r inbound.FilterResult) string {
	switch {
	case r.Failed != "":
		return "no answer, and no mail without one"
	case r.Refuse != nil:
		return r.Refuse.Error()
	case r.Virus != "":
		return "virus"
	case r.Junk:
		return "junk"
	}
	return "pass"
}
