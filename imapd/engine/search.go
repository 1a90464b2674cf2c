package engine

import (
	"context"
	"maps"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/search"
	"github.com/rookery-mail/rookery/index/uidset"
)

// search is SEARCH (RFC 9051, section 6.4.4; RFC 5182 for SAVE).
func (s *Session) search(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Search)
	if a.Update && s.context(cmd.Tag) != nil {
		return bad("the tag is that of a result that is kept up to date"), nil
	}
	scores := newRelevancy(a.Relevancy)
	found, part, err := s.matchingHighest(ctx, a, scores)
	if err != nil {
		return reply{}, err
	}
	res := result{session: s, uid: cmd.UID, set: found, scores: scores}
	if err := s.finish(ctx, a, found, &res); err != nil {
		return reply{}, err
	}
	if a.Return || s.enabled.rev2 {
		s.tellESearch(cmd, a, &res)
	} else {
		s.tellSearch("SEARCH", &res)
	}
	if a.Update && part != 0 { // there are messages of which nobody knows whether they belong to it
		s.refuseContext(cmd.Tag)
	} else {
		s.keepContext(cmd, a, found, nil)
	}
	return s.partial(part, reply{}, nil)
}

// matching gives the messages of a mailbox that a search program names, and how relevant they are where scores is not
// nil.
func (s *Session) matching(ctx context.Context, a *wire.Search, scores relevancy) (*uidset.Set, error) {
	k, err := s.program(a)
	if err != nil {
		return nil, err
	}
	return s.find(ctx, &k, s.view.UIDs(), scores)
}

// program makes the search program of a SEARCH, SORT or THREAD ready.
func (s *Session) program(a *wire.Search) (criterion, error) {
	if a.Save {
		s.view.Save(uidset.New()) // what stays if this one fails (RFC 5182, section 2.1)
	}
	switch a.Charset {
	case "", "US-ASCII", "UTF-8":
	default:
		return criterion{}, errCharset
	}
	return s.compile(&a.Key)
}

// finish saves what was found where SAVE says so, and finds the modification sequence to be told.
func (s *Session) finish(ctx context.Context, a *wire.Search, found *uidset.Set, res *result) error {
	if a.Save {
		s.view.Save(res.chosen(a, found))
	}
	if !usesModSeq(&a.Key) {
		return nil
	}
	// The highest of what is told (RFC 7162, section 3.1.5).
	return s.box.Flags(ctx, res.chosen(a, found), func(_ index.UID, st index.FlagState) error {
		res.modSeq = max(res.modSeq, st.ModSeq)
		return nil
	})
}

func usesModSeq(k *wire.SearchKey) bool {
	if k.Op == wire.SearchModSeq {
		return true
	}
	for i := range k.Keys {
		if usesModSeq(&k.Keys[i]) {
			return true
		}
	}
	return false
}

// find gives the messages among some that match, reading as little as decides it. It notes how relevant they are
// where scores is not nil.
func (s *Session) find(ctx context.Context, k *criterion, among *uidset.Set, scores relevancy) (*uidset.Set, error) {
	rest := k.narrow(among)
	if k.cost == costSet {
		return rest, nil
	}
	f := finding{Session: s, k: k, found: uidset.New(), scores: scores}
	var err error
	if k.decidedBy(costFlags) {
		if rest, err = f.byFlags(ctx, rest); err != nil {
			return nil, err
		}
	}
	rest = f.box.Narrow(rest, k.query())
	if !k.bodyDecides() {
		if rest, err = f.bySummary(ctx, rest); err != nil {
			return nil, err
		}
	}
	return f.found, f.byOctets(ctx, rest)
}

// finding is a SEARCH being carried out. Each of its steps gives the messages that are still undecided.
type finding struct {
	*Session
	k      *criterion
	found  *uidset.Set
	scores relevancy // nil is not asked for
	reader search.Reader
}

func (f *finding) decide(c *candidate, rest *uidset.Set) error {
	v, err := c.matches(f.k)
	switch v {
	case yes:
		f.found.Add(c.uid)
		f.scores.note(c.uid, c.score(f.k))
	case unknown:
		rest.Add(c.uid)
	}
	return err
}

func (f *finding) byFlags(ctx context.Context, uids *uidset.Set) (*uidset.Set, error) {
	rest := uidset.New()
	err := f.box.Flags(ctx, uids, func(u index.UID, st index.FlagState) error {
		return f.decide(&candidate{uid: u, state: st}, rest)
	})
	return rest, err
}

func (f *finding) bySummary(ctx context.Context, uids *uidset.Set) (*uidset.Set, error) {
	rest := uidset.New()
	if uids.Len() == 0 {
		return rest, nil
	}
	err := f.box.Messages(ctx, uids, func(m access.Message) error {
		return f.decide(&candidate{uid: m.UID, state: m.State, summary: &m, reader: &f.reader}, rest)
	})
	return rest, err
}

// byOctets opens the messages that nothing else decides. Each goroutine of Sift has its own finding.
func (f *finding) byOctets(ctx context.Context, uids *uidset.Set) error {
	done := f.newProgress(uids.Len())
	var all []*finding
	err := f.box.Sift(ctx, uids, done.step, func() func(*access.Message, access.Body) error {
		one := &finding{k: f.k, found: uidset.New(), scores: newRelevancy(f.scores != nil)}
		all = append(all, one)
		return one.octets
	})
	for _, one := range all {
		f.found.Union(one.found)
		maps.Copy(f.scores, one.scores)
	}
	return err
}

// octets decides a message whose body is open.
func (f *finding) octets(m *access.Message, body access.Body) error {
	c := &candidate{uid: m.UID, state: m.State, summary: m, reader: &f.reader, octets: &octets{body: body, summary: m, reader: &f.reader}}
	return f.decide(c, uidset.New())
}
