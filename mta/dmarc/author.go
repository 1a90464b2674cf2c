package dmarc

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory/address"
)

// errAuthor says that a From field is no list of mailboxes (RFC 5322, section 3.6.2).
var errAuthor = errors.New("no list of mailboxes")

// maxFrom is how much of a From field is read, in octets; a longer one is none.
const maxFrom = 64 << 10

// Authors finds the domains of the authors that the values of From fields show, each once, in A-labels and lower case (RFC 9989,
// section 5.3.1). A name in front of an address in angle brackets that looks like another address counts as one, since people take
// it for one. With an error come all the domains that anything in the fields might be taken to be an address of.
func Authors(values []string) ([]string, error) {
	var out []string
	var first error
	if len(values) != 1 {
		first = fmt.Errorf("%w: there are %d From fields", errAuthor, len(values))
	}
	for _, v := range values[:min(len(values), maxDomains)] {
		domains, err := authors(v)
		if err != nil {
			domains = append(domains, guess(v)...)
		}
		if first == nil {
			first = err
		}
		for _, d := range domains {
			if !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	if first == nil && len(out) == 0 {
		first = fmt.Errorf("%w: it shows no address", errAuthor)
	}
	return out, first
}

// guess finds whatever a program that reads badly might show as an address: what stands behind an at sign.
func guess(value string) (out []string) {
	for _, part := range strings.Split(value[:min(len(value), maxFrom)], "@")[1:] {
		end := strings.IndexFunc(part, func(r rune) bool { return r < 0x80 && !isHost(byte(r)) })
		if end < 0 {
			end = len(part)
		}
		if d, err := domain([]token{{text: part[:end]}}); err == nil && len(out) < maxDomains+1 {
			out = append(out, d)
		}
	}
	return out
}

func isHost(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '-' || c == '.' || c == '_'
}

// authors reads one field.
func authors(value string) (out []string, err error) {
	if len(value) > maxFrom {
		return nil, fmt.Errorf("%w: it has %d octets", errAuthor, len(value))
	}
	tokens, err := lex(value)
	group := false
	var box []token
	end := func() {
		domains, e := mailbox(box)
		out = append(out, domains...)
		if err == nil {
			err = e
		}
		box = box[:0]
	}
	angle := false
	for _, t := range tokens {
		switch {
		case t.is("<"), t.is(">"):
			angle = t.is("<")
		case angle:
		case t.is(","):
			end()
			continue
		case t.is(":"):
			if group && err == nil {
				err = fmt.Errorf("%w: a group within a group", errAuthor)
			}
			if len(box) > 0 { // the group's name may look like an address, too
				domains, _ := named(box)
				out = append(out, domains...)
			}
			group, box = true, box[:0]
			continue
		case t.is(";"):
			end()
			group = false
			continue
		}
		box = append(box, t)
	}
	end()
	return out, err
}

// mailbox reads one mailbox: an address, or a name and one in angle brackets. Nothing is none, which lists may have (RFC 5322,
// section 4.4), and so are words without an at sign, as of a name with a comma that somebody forgot to quote: they show no domain.
func mailbox(box []token) ([]string, error) {
	open := slices.IndexFunc(box, func(t token) bool { return t.is("<") })
	if open < 0 {
		if !slices.ContainsFunc(box, func(t token) bool { return t.special && !t.is(".") }) {
			return nil, nil
		}
		d, err := addrSpec(box)
		if err != nil {
			domains, _ := named(box)
			return domains, err
		}
		return []string{d}, nil
	}
	out, err := named(box[:open])
	rest := box[open+1:]
	closing := slices.IndexFunc(rest, func(t token) bool { return t.is(">") })
	if closing < 0 || closing != len(rest)-1 {
		err = fmt.Errorf("%w: angle brackets that do not end the mailbox", errAuthor)
		if closing < 0 {
			closing = len(rest)
		}
		more, _ := named(rest[min(closing+1, len(rest)):])
		out = append(out, more...)
	}
	spec := rest[:closing]
	if len(spec) > 0 && spec[0].is("@") { // a route (RFC 5322, section 4.4)
		spec = spec[slices.IndexFunc(spec, func(t token) bool { return t.is(":") })+1:]
	}
	d, e := addrSpec(spec)
	if e != nil {
		return out, e
	}
	return append([]string{d}, out...), err
}

// named finds what looks like addresses in a name: words with an at sign between that is not quoted.
func named(phrase []token) (out []string, err error) {
	for i, t := range phrase {
		if !t.is("@") {
			continue
		}
		end := i + 1
		for end < len(phrase) && !phrase[end].spaced && (phrase[end].is(".") || !phrase[end].special) {
			end++
		}
		if d, err := domain(phrase[i+1 : end]); err == nil {
			out = append(out, d)
		}
	}
	return out, nil
}

// addrSpec reads local-part "@" domain, for the domain.
func addrSpec(spec []token) (string, error) {
	at := -1
	for i, t := range spec {
		switch {
		case t.is("@") && at >= 0:
			return "", fmt.Errorf("%w: an address with two at signs", errAuthor)
		case t.is("@"):
			at = i
		case t.special && !t.is("."):
			return "", fmt.Errorf("%w: %q within an address", errAuthor, t.text)
		case i > 0 && !t.special && !spec[i-1].special:
			return "", fmt.Errorf("%w: two words where an address would be", errAuthor)
		}
	}
	if at <= 0 {
		return "", fmt.Errorf("%w: what is no address", errAuthor)
	}
	return domain(spec[at+1:])
}

// domain is a name in A-labels. Underscores, which hosts do not have and senders do, are let be.
func domain(tokens []token) (string, error) {
	var b strings.Builder
	for _, t := range tokens {
		if t.quoted {
			return "", fmt.Errorf("%w: a domain in quotes", errAuthor)
		}
		b.WriteString(t.text)
	}
	name := strings.TrimSuffix(b.String(), ".")
	d, err := address.ParseDomain(strings.ReplaceAll(name, "_", "x")) // for its syntax
	if err == nil && strings.Contains(d, "xn--") {
		_, err = address.ParseDomain(d) // some U-labels give what is no A-label
	}
	if err != nil {
		return "", fmt.Errorf("%w: %.80q is no domain", errAuthor, name)
	}
	if strings.Contains(name, "_") {
		if len(d) != len(name) {
			return "", fmt.Errorf("%w: %.80q is no domain", errAuthor, name)
		}
		return strings.ToLower(name), nil
	}
	return d, nil
}
