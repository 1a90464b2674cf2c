package spf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// Check is check_host() (RFC 7208, section 4) for one identity. It ends when ctx does: the resolver's error makes it TempError.
func Check(ctx context.Context, q Query, r Resolver) Outcome {
	q.Client = q.Client.Unmap() // RFC 7208, section 5
	c := &check{q: q, r: r, identity: MailFrom, known: map[string]bool{}}
	local, domain := "", ""
	if q.From == "" {
		c.identity, local, domain = Helo, "postmaster", q.Helo
	} else if at := strings.LastIndexByte(q.From, '@'); at >= 0 {
		local, domain = q.From[:at], q.From[at+1:]
	}
	if local == "" {
		local = "postmaster" // RFC 7208, section 4.3
	}
	domain = ascii(strings.TrimSuffix(domain, "."))
	c.local, c.sender = local, domain
	d := decision{Result: None, problem: fmt.Sprintf("%.100q is no domain name of several labels", domain)}
	named := isName(domain) && !isLiteral(domain)
	if !q.Client.IsValid() {
		d.problem = "the client's address is not known"
	} else if named {
		d = c.host(ctx, domain)
	}
	if !named {
		domain = ""
	}
	o := Outcome{Result: d.Result, Identity: c.identity, Domain: domain, Sender: local + "@" + c.sender, Term: d.term, Path: d.path, Match: d.match,
		Problem: d.problem, Lookups: c.lookups, Voids: c.voids}
	if d.Result == Fail && d.exp != nil {
		o.Explanation = c.explain(ctx, d)
	}
	return o
}

// ascii is a name in lower case and A-labels (RFC 8616, section 4). One that has none stays.
func ascii(name string) string {
	for i := range len(name) {
		if name[i] >= 0x80 {
			if a, err := idna.Lookup.ToASCII(name); err == nil {
				return strings.ToLower(a)
			}
			return name
		}
	}
	return strings.ToLower(name)
}

// isName reports whether a name can be asked about: labels of 1 to 63 octets, more than one, 253 octets in all, ASCII.
func isName(name string) bool {
	if len(name) > 253 || strings.IndexByte(name, '.') < 0 {
		return false
	}
	label := 0
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 0x7f, c < ' ':
			return false
		case c == '.':
			if label == 0 || label > 63 {
				return false
			}
			label = 0
		default:
			label++
		}
	}
	return label > 0 && label <= 63
}

// isLiteral reports whether a name is an address in brackets (RFC 5321, section 4.1.3), or one without.
func isLiteral(name string) bool {
	return name[0] == '[' || strings.Trim(name[strings.LastIndexByte(name, '.')+1:], "0123456789") == ""
}

// check is one check under way.
type check struct {
	q        Query
	r        Resolver
	identity Identity
	local    string // of the sender
	sender   string // its domain

	lookups, voids int
	names          []string        // of the client, once they were asked for
	asked          bool            // that they were
	mute           bool            // DNS gave no answer to that
	known          map[string]bool // names of the client, with whether they lead back to it
}

// decision is what a record came to.
type decision struct {
	Result
	term, match, problem string
	path                 []string
	exp                  macros // of the record that decided
}

// stop ends a check with an error of its own.
type stop struct {
	result  Result
	problem string
}

func (s *stop) Error() string { return s.problem }

func temporary(err error) error { return &stop{TempError, err.Error()} }

func permanent(format string, a ...any) error { return &stop{PermError, fmt.Sprintf(format, a...)} }

// ended is the decision d with an error in place of a result.
func (d decision) ended(err error) decision {
	d.Result, d.problem = PermError, err.Error()
	if s := (*stop)(nil); errors.As(err, &s) {
		d.Result = s.result
	}
	return d
}

// policy gets the record of a domain (RFC 7208, sections 4.4 and 4.5).
func (c *check) policy(ctx context.Context, domain string) (*record, error) {
	texts, err := c.r.Texts(ctx, domain)
	if err != nil {
		return nil, temporary(err)
	}
	texts = slices.DeleteFunc(slices.Clone(texts), func(t string) bool { return !isRecord(t) })
	switch len(texts) {
	case 0:
		return nil, &stop{None, domain + " has no SPF record"}
	case 1:
	default:
		return nil, permanent("%s has %d SPF records", domain, len(texts))
	}
	rec, err := parse(texts[0])
	if err != nil {
		return nil, fmt.Errorf("the record of %s: %w", domain, err)
	}
	return rec, nil
}

// host evaluates the policy of a domain.
func (c *check) host(ctx context.Context, domain string) decision {
	if !isName(domain) {
		return decision{Result: None, problem: fmt.Sprintf("%.100q is no domain name", domain)}
	}
	d := decision{path: []string{domain}}
	rec, err := c.policy(ctx, domain)
	if err != nil {
		return d.ended(err)
	}
	for _, dir := range rec.directives {
		found, err := c.try(ctx, domain, dir)
		if err != nil {
			d.term = dir.text
			return d.ended(err)
		}
		if found.fits {
			found.decision.path = append(d.path, found.decision.path...)
			found.decision.Result, found.decision.exp = dir.result, rec.exp
			return found.decision
		}
	}
	if rec.redirect != nil {
		return c.redirect(ctx, domain, rec, d)
	}
	d.Result = Neutral
	return d
}

// redirect takes the policy of another domain as this one's (RFC 7208, section 6.1).
func (c *check) redirect(ctx context.Context, domain string, rec *record, d decision) decision {
	if err := c.count(); err != nil {
		return d.ended(err)
	}
	target, err := c.target(ctx, domain, rec.redirect)
	if errors.Is(err, errForeign) {
		return d.ended(permanent("redirect: %v", err))
	} else if err != nil {
		return d.ended(err)
	}
	next := c.host(ctx, target)
	if next.Result == None {
		next.Result, next.problem = PermError, "redirect: "+next.problem
	}
	next.path = append(d.path, next.path...)
	return next
}

// count takes one of the terms that may ask DNS.
func (c *check) count() error {
	if c.lookups++; c.lookups > MaxLookups {
		return permanent("more than %d terms ask DNS", MaxLookups)
	}
	return nil
}

// void notes that a term found nothing.
func (c *check) void() error {
	if c.voids++; c.voids > MaxVoids {
		return permanent("more than %d terms ask for what is not there", MaxVoids)
	}
	return nil
}
