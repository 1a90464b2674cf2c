package dmarc

import (
	"context"
	"fmt"
	"strings"
)

// maxLabels is how many labels of a long name are asked about, and how many questions a walk has (RFC 9989, section 4.10).
const maxLabels = 8

// found is a record, and where it is published.
type found struct {
	domain string
	record Record
}

// walker walks up the DNS tree, and remembers what it saw.
type walker struct {
	l    Lookup
	seen map[string]*Record // by domain; nil: there is none
}

func newWalker(l Lookup) *walker { return &walker{l: l, seen: map[string]*Record{}} }

// at is the record of a domain, nil where there is none or more than one. The error is temporary.
func (w *walker) at(ctx context.Context, domain string) (*Record, error) {
	if r, ok := w.seen[domain]; ok {
		return r, nil
	}
	texts, err := w.l.Texts(ctx, "_dmarc."+domain)
	if err != nil {
		return nil, fmt.Errorf("look up the DMARC record of %s: %w", domain, err)
	}
	var one *Record
	for _, text := range texts {
		r, err := ParseRecord(text)
		if err != nil {
			continue
		}
		if one != nil {
			one = nil
			break
		}
		one = &r
	}
	w.seen[domain] = one
	return one, nil
}

// walk collects the records from a domain up, the longest name first. It stops at one that says whether it is a public suffix.
func (w *walker) walk(ctx context.Context, domain string) (out []found, err error) {
	for name := range up(domain) {
		r, err := w.at(ctx, name)
		if err != nil {
			return out, err
		}
		if r == nil {
			continue
		}
		out = append(out, found{name, *r})
		if r.Suffix != "u" {
			break
		}
	}
	return out, nil
}

// up are the names that a walk asks about: the domain, and its last seven labels and fewer.
func up(domain string) func(func(string) bool) {
	return func(yield func(string) bool) {
		if !yield(domain) {
			return
		}
		for labels := strings.Count(domain, ".") + 1; labels > 1; {
			_, domain, _ = strings.Cut(domain, ".")
			if labels--; labels < maxLabels && !yield(domain) {
				return
			}
		}
	}
}

// organisation is the organisational domain of a domain (RFC 9989, section 4.10.2).
func (w *walker) organisation(ctx context.Context, domain string) (string, error) {
	list, err := w.walk(ctx, domain)
	return organisation(domain, list), err
}

// organisation picks it from the records of a walk.
func organisation(domain string, list []found) string {
	for _, f := range list {
		switch {
		case f.record.Suffix == "n":
			return f.domain
		case f.record.Suffix == "y" && f.domain != domain:
			below := strings.TrimSuffix(domain, "."+f.domain)
			return below[strings.LastIndexByte(below, '.')+1:] + "." + f.domain
		}
	}
	if len(list) > 0 {
		return list[len(list)-1].domain
	}
	return domain
}

// applies picks the record whose policy is for a domain: its own, that of its organisation, or that of the public suffix.
func applies(domain string, list []found) (found, bool) {
	if len(list) == 0 {
		return found{}, false
	}
	if list[0].domain == domain {
		return list[0], true
	}
	org := organisation(domain, list)
	for _, f := range list {
		if f.domain == org {
			return f, true
		}
	}
	return list[len(list)-1], true // the public suffix: nothing else stops a walk without being the organisation
}

// within reports whether a name is a domain or below it.
func within(name, domain string) bool { return name == domain || strings.HasSuffix(name, "."+domain) }
