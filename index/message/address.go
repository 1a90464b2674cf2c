package message

import (
	"bytes"
	"math"

	"github.com/rookery-mail/rookery/index/indexpb"
)

// What stands in an envelope for what an address lacks. An absent host would mean a group.
const (
	missingMailbox = "MISSING_MAILBOX"
	missingDomain  = "MISSING_DOMAIN"
)

// Addresses reads the unfolded value of an address list (RFC 5322, sections 3.4 and 4.4) as an
// envelope holds it: groups as marked in indexpb.Address, names and mailboxes without their quotes and
// with encoded words as they are, routes left out. A comment is the name where there is no other. An
// address that lacks its mailbox or its domain has MISSING_MAILBOX or MISSING_DOMAIN there.
func Addresses(value []byte) []*indexpb.Address {
	a := addressParser{lexer: lexer{b: value}, keep: &keeper{envelope: math.MaxInt}}
	return a.list()
}

// maxLiteral is the longest domain literal, in octets, that is told from a stray bracket.
const maxLiteral = 255

type addressParser struct {
	lexer
	keep *keeper
	out  []*indexpb.Address

	inGroup bool
	phrase  []byte // the words so far, one space between
	spec    spec
}

// spec collects "local@domain".
type spec struct {
	text []byte // without white space around dots and "@"
	at   int    // where the last "@" is in text, or -1
	glue bool   // text ends with a dot or "@" that was not quoted
}

func (a *addressParser) list() []*indexpb.Address {
	for a.i < len(a.b) {
		if !a.address() {
			break // out of budget
		}
	}
	if a.inGroup {
		a.out = append(a.out, &indexpb.Address{})
	}
	return a.out
}

// address reads up to the end of one address, of a group's name or of a group. It tells whether there
// is room for more.
func (a *addressParser) address() bool {
	a.phrase, a.spec = a.phrase[:0], spec{text: a.spec.text[:0], at: -1}
	a.comment = nil
	for {
		before := a.i
		a.skip()
		spaced := a.i > before
		if a.i >= len(a.b) {
			return a.bare()
		}
		switch c := a.b[a.i]; {
		case c == ',':
			a.i++
			return a.bare()
		case c == ';':
			a.i++
			ok := a.bare()
			if a.inGroup {
				a.inGroup = false
				a.out = append(a.out, &indexpb.Address{})
			}
			return ok
		case c == ':' && !a.inGroup && a.spec.at < 0:
			a.i++
			return a.group()
		case c == '<':
			a.i++
			return a.angle()
		default:
			a.word(c, spaced)
		}
	}
}

// word takes the next word or special character into both the phrase and the spec.
func (a *addressParser) word(c byte, spaced bool) {
	if spaced && len(a.phrase) > 0 {
		a.phrase = append(a.phrase, ' ')
	}
	start := len(a.phrase)
	if text, ok := a.quoted(a.phrase); ok {
		a.phrase = text
		a.spec.add(text[start:], spaced, false)
		return
	}
	a.phrase = append(a.phrase, a.plain(c)...)
	a.spec.add(a.phrase[start:], spaced, true)
}

// plain reads a run of ordinary characters, a domain literal, or one special character.
func (a *addressParser) plain(c byte) []byte {
	start := a.i
	a.i++
	switch {
	case c == '[' && a.spec.glue && a.spec.at == len(a.spec.text)-1:
		near := a.b[a.i:min(a.i+maxLiteral, len(a.b))]
		if end := bytes.IndexAny(near, "],>"); end >= 0 && near[end] == ']' {
			a.i += end + 1
		}
	case !endsAtom(c):
		a.until(endsAtom)
	}
	return a.b[start:a.i]
}

func (s *spec) add(word []byte, spaced, special bool) {
	joins := special && len(word) == 1 && (word[0] == '.' || word[0] == '@')
	if spaced && !joins && !s.glue && len(s.text) > 0 {
		s.text = append(s.text, ' ')
	}
	if joins && word[0] == '@' {
		s.at = len(s.text)
	}
	s.text = append(s.text, word...)
	s.glue = joins
}

// bare ends an address without angle brackets.
func (a *addressParser) bare() bool {
	if len(a.spec.text) == 0 {
		return true // nothing between two commas
	}
	return a.add(nil)
}

// angle reads what is between "<" and ">" and what follows up to the end of the address.
func (a *addressParser) angle() bool {
	phrase := len(a.phrase)
	a.angleSpec()
	a.phrase = a.phrase[:phrase]
	for a.i < len(a.b) {
		a.skip()
		if a.at(';') && a.inGroup {
			break // it ends the group as well
		}
		if a.take(',') || a.take(';') {
			break
		}
		if _, ok := a.quoted(nil); !ok && a.i < len(a.b) {
			a.i++
		}
	}
	return a.add(a.phrase)
}

// angleSpec reads up to the ">", or to a comma before it that belongs to no route.
func (a *addressParser) angleSpec() {
	a.spec = spec{text: a.spec.text[:0], at: -1}
	for {
		before := a.i
		a.skip()
		if a.i >= len(a.b) || a.take('>') {
			return
		}
		c := a.b[a.i]
		switch route := a.spec.at == 0; {
		case route && (c == ':' || c == ','):
			// "@a,@b:" is a route (RFC 5322, section 4.4); where it ends, the address begins.
			a.i++
			a.spec = spec{text: a.spec.text[:0], at: -1}
		case c == ',':
			return
		default:
			a.word(c, a.i > before)
		}
	}
}

// group starts a group named by the phrase.
func (a *addressParser) group() bool {
	if !fits(&a.keep.envelope, len(a.phrase)+2*overhead) {
		return false
	}
	a.out = append(a.out, &indexpb.Address{Mailbox: a.keep.copy(a.phrase)})
	a.inGroup = true
	return true
}

// add keeps the address in spec under a name; without one, the last comment is the name.
func (a *addressParser) add(name []byte) bool {
	mailbox, host := a.spec.text, []byte(missingDomain)
	if at := a.spec.at; at >= 0 {
		mailbox = a.spec.text[:at]
		if at+1 < len(a.spec.text) {
			host = a.spec.text[at+1:]
		}
	}
	if len(mailbox) == 0 {
		mailbox = []byte(missingMailbox)
	}
	if len(name) == 0 && len(a.comment) > 0 {
		name = unescape(nil, a.comment)
	}
	if !fits(&a.keep.envelope, len(name)+len(mailbox)+len(host)+overhead) {
		return false
	}
	address := &indexpb.Address{Mailbox: a.keep.copy(mailbox), Host: a.keep.copy(host)}
	if len(name) > 0 {
		address.Name = a.keep.copy(name)
	}
	a.out = append(a.out, address)
	return true
}

// endsAtom tells what ends a run of ordinary characters in an address.
func endsAtom(c byte) bool {
	switch c {
	case ' ', '\t', '(', ')', '<', '>', '[', ']', ':', ';', '@', ',', '.', '"':
		return true
	}
	return false
}
