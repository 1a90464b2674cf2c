package mta

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// foldAt is where a trace field is folded, in octets (RFC 5322, section 2.1.1).
const foldAt = 78

// ReturnPath gives the Return-Path field that final delivery puts on top (RFC 5321, section 4.4).
// from is the reverse-path; empty is the null sender.
func ReturnPath(from string) []byte {
	return []byte("Return-Path: <" + printable(from) + ">\r\n")
}

// Received is a trace field (RFC 5321, section 4.4). Helo and Remote stay empty for submissions,
// where they would tell the world a user's address and place; the field then has no from clause.
type Received struct {
	Helo   string     // as the client gave it
	Remote netip.Addr // the client's address; the zero Addr for a unix socket
	By     string     // our own host name
	With   string     // see With
	ID     ID
	For    string // the recipient where there is only one; empty otherwise (RFC 5321, section 7.2)
	TLS    string // version and cipher suite such as "TLS1.3 TLS_AES_128_GCM_SHA256"; empty without TLS
	Time   time.Time

	Priority int // RFC 6710, section 6; left out where it is 0
}

// Field gives the whole header field, folded, with CRLF.
func (r Received) Field() []byte {
	var words []string
	if r.Helo != "" || r.Remote.IsValid() {
		helo := heloWord(r.Helo)
		words = append(words, "from", helo)
		if r.Remote.IsValid() {
			words = append(words, "("+literal(r.Remote)+")")
		}
	}
	words = append(words, "by", printable(r.By), "with", r.With)
	if r.TLS != "" {
		words = append(words, "("+comment(r.TLS)+")")
	}
	if r.ID != "" {
		words = append(words, "id", string(r.ID))
	}
	if r.For != "" {
		words = append(words, "for", "<"+printable(r.For)+">")
	}
	if r.Priority != 0 {
		words = append(words, "priority", strconv.Itoa(r.Priority))
	}
	words[len(words)-1] += ";"
	words = append(words, Date(r.Time))
	return fold("Received:", words)
}

// fold puts words behind name, on as many lines as they need.
func fold(name string, words []string) []byte {
	b := append(make([]byte, 0, 256), name...)
	width := len(name)
	for _, w := range words {
		if width+1+len(w) > foldAt && width > len(name) {
			b = append(b, "\r\n\t"...)
			width = 8
		} else {
			b = append(b, ' ')
			width++
		}
		b = append(b, w...)
		width += len(w)
	}
	return append(b, "\r\n"...)
}

// literal gives an address literal (RFC 5321, section 4.1.3).
func literal(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		return "[IPv6:" + a.String() + "]"
	}
	return "[" + a.String() + "]"
}

// heloWord gives what a client called itself as one word of a Received field. Anything that is
// neither a domain nor an address literal is shown with its odd characters as "?".
func heloWord(helo string) string {
	if helo == "" {
		return "unknown"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("-._:[]", r):
			return r
		case r > 0x9f && r != 0xfffd:
			return r // a U-label
		}
		return '?'
	}, helo)
}

// comment makes s safe inside parentheses.
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '(' || r == ')' || r == '\\' {
			return '?'
		}
		return r
	}, printable(s))
}

// printable makes s safe in a header field: no control character can start a new line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
