package dkim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// MaxVerified is how many signatures of a message are verified, and so how many keys are asked for.
const MaxVerified = 8

// maxListed is how many signatures have an outcome of their own; those above it are left out.
const maxListed = 20

// Lookup gives the TXT records of a name, none where it has none. An error is temporary.
type Lookup func(ctx context.Context, name string) ([]string, error)

// Wish says what Verification is to look at.
type Wish struct {
	Time time.Time // now
	// Authors are the domains of From: of more than MaxVerified signatures, those that may speak for them are looked at first.
	Authors  []string
	Services []string // what keys may be for; empty: ServiceMail
}

// Verification verifies the signatures of a message (RFC 6376, section 6) in two steps, so that others share the reading
// of it: what they need of the body, then what they are worth.
type Verification struct {
	wish   Wish
	header Header
	list   []*signature // from the top
	more   int          // signatures that are not in the list
}

// NewVerification reads the signatures of a header.
func NewVerification(h Header, w Wish) *Verification {
	if len(w.Services) == 0 {
		w.Services = []string{ServiceMail}
	}
	v := &Verification{wish: w, header: h}
	for _, f := range h {
		if strings.EqualFold(f.Name, FieldName) {
			v.list = append(v.list, parseSignature(f, w.Time))
		}
	}
	v.choose()
	return v
}

// choose leaves MaxVerified signatures to be verified, and maxListed to be told of.
func (v *Verification) choose() {
	var open []*signature
	for _, s := range v.list {
		if s.outcome.Result == "" {
			open = append(open, s)
		}
	}
	slices.SortStableFunc(open, func(a, b *signature) int { return cmp.Compare(v.rank(a), v.rank(b)) })
	total := len(v.list)
	for i, s := range open {
		if i >= MaxVerified {
			s.end(Neutral, "not verified: of %d signatures %d are", total, MaxVerified)
		}
	}
	chosen := open[:min(len(open), MaxVerified)]
	if total > maxListed {
		left := maxListed - len(chosen)
		v.list = slices.DeleteFunc(v.list, func(s *signature) bool {
			if s.outcome.Result == "" {
				return false
			}
			left--
			return left < 0
		})
	}
	v.more = total - len(v.list)
}

// rank is lower for a signature that is to be looked at rather than others.
func (v *Verification) rank(s *signature) int {
	for _, author := range v.wish.Authors {
		if d := s.outcome.Domain; d == author || strings.HasSuffix(author, "."+d) || strings.HasSuffix(d, "."+author) {
			return 0
		}
	}
	return 1
}

// More is how many signatures there are that have no outcome.
func (v *Verification) More() int { return v.more }

// Needs are what the message has to be read for.
func (v *Verification) Needs() (needs []Need) {
	for _, s := range v.list {
		if s.outcome.Result != "" {
			continue
		}
		if needs = append(needs, s.need()); s.length != All {
			needs = append(needs, Need{s.body, All})
		}
	}
	return needs
}

// Hosts are the names whose records will be asked for, so that it can be done meanwhile.
func (v *Verification) Hosts() (names []string) {
	for _, s := range v.list {
		if s.outcome.Result == "" && !slices.Contains(names, s.host()) {
			names = append(names, s.host())
		}
	}
	return names
}

// Outcomes says what the signatures are worth, from the top of the message, which was read for Needs. Each key is asked for
// once.
func (v *Verification) Outcomes(ctx context.Context, m *Message, lookup Lookup) []Outcome {
	keys := map[string]published{}
	out := make([]Outcome, 0, len(v.list))
	for _, s := range v.list {
		if s.outcome.Result == "" {
			v.verify(ctx, s, m, func(host string) published {
				p, ok := keys[host]
				if !ok {
					p = v.publishedAt(ctx, host, lookup)
					keys[host] = p
				}
				return p
			})
		}
		out = append(out, s.outcome)
	}
	return out
}

func (v *Verification) verify(ctx context.Context, s *signature, m *Message, key func(string) published) {
	if s.length != All {
		whole := m.length[s.body]
		if s.length > whole {
			s.end(Fail, "l= is %d, the body has %d octets", s.length, whole)
			return
		}
		s.outcome.Uncovered = whole - s.length
	}
	if m.Digest(s.need()) != s.want {
		s.end(Fail, "the body was changed")
		return
	}
	if ctx.Err() != nil {
		s.end(TempError, "no time was left to verify it")
		return
	}
	k := key(s.host())
	s.outcome.Bits, s.outcome.Testing = k.record.Bits, k.record.Testing
	if k.err != nil {
		s.end(k.result, "%s", printable(k.err.Error()))
		return
	}
	var covers []string
	for _, f := range v.header.Pick(s.names) {
		covers = append(covers, f.Text)
	}
	switch err := k.record.Verify(s.header, covers, s.text, s.tags); {
	case errors.Is(err, ErrSignature):
		s.end(Fail, "the header was changed, or it is not of this key")
	case err != nil:
		s.end(PermError, "%s", printable(err.Error()))
	default:
		v.good(s, k.record)
	}
}

// good gives the result of a signature that is that of its key: Pass, where it is made as it should be.
func (v *Verification) good(s *signature, r Record) {
	switch {
	case r.Strict && s.strays():
		s.end(PermError, "its key is for i= of the very domain of d=")
	case v.header.Count("From") != 1:
		s.end(Policy, "the message has %d fields From", v.header.Count("From"))
	case s.outcome.Uncovered > 0:
		s.end(Policy, "l= leaves %d octets of the body unsigned", s.outcome.Uncovered)
	default:
		s.outcome.Result = Pass
	}
}

// strays reports whether i= is of a domain below that of d=.
func (s *signature) strays() bool {
	i, ok := s.tags.Get("i")
	_, domain, _ := cutLast(i, '@')
	return ok && Hostname(domain) != s.outcome.Domain
}

// published is what a name has for a key.
type published struct {
	record Record
	result Result // of a signature with it, where err is not nil
	err    error
}

// errNoKey says that a name has no key.
var errNoKey = errors.New("there is no key")

// publishedAt asks for a key. Of several records at a name one alone may be a key (RFC 6376, section 6.1.2).
func (v *Verification) publishedAt(ctx context.Context, host string, lookup Lookup) published {
	texts, err := lookup(ctx, host)
	if err != nil {
		return published{result: TempError, err: fmt.Errorf("its key cannot be looked up: %w", err)}
	}
	p := published{result: PermError, err: fmt.Errorf("%w at %s", errNoKey, host)}
	good := 0
	for _, text := range texts[:min(len(texts), maxRecords)] {
		record, err := ParseRecordFor(text, v.wish.Services...)
		switch {
		case err == nil:
			if good++; good > 1 {
				return published{result: PermError, err: fmt.Errorf("there are several keys at %s", host)}
			}
			p = published{record: record}
		case good == 0:
			p = published{record, PermError, err}
			if errors.Is(err, ErrLength) {
				p.result = Policy
			}
		}
	}
	return p
}

// maxRecords is how many records at a name are looked at.
const maxRecords = 5

// Verify reads a message to its end and verifies its signatures. The error is ErrHeader, or one of r.
func Verify(ctx context.Context, r io.Reader, w Wish, lookup Lookup) ([]Outcome, error) {
	begun, err := Begin(r)
	if err != nil {
		return nil, err
	}
	v := NewVerification(begun.Header, w)
	m, err := begun.Digests(v.Needs())
	if err != nil {
		return nil, err
	}
	return v.Outcomes(ctx, m, lookup), nil
}
