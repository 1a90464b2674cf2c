package authres

import (
	"fmt"
	"strings"
)

// Bounds of what is read.
const (
	maxField      = 64 << 10 // octets
	maxResults    = 200
	maxProperties = 50 // of a result
)

// Server is the host in whose name a field speaks, of its value, folds and all (RFC 8601, section 5). Whatever follows, it is found
// as long as it can be read itself. The error is ErrSyntax.
func Server(text string) (string, error) {
	p := parser{text: text}
	if len(text) > maxField {
		p.text = text[:maxField]
	}
	return p.server()
}

// Parse reads the value of a field, folds and all. The error is ErrSyntax.
func Parse(text string) (Field, error) {
	if len(text) > maxField {
		return Field{}, fmt.Errorf("%w: it has %d octets", ErrSyntax, len(text))
	}
	p := parser{text: text}
	server, err := p.server()
	if err != nil {
		return Field{}, err
	}
	f := Field{Server: server}
	if err := p.version(); err != nil { // of the field (RFC 8601, section 2.2)
		return f, err
	}
	for p.skip(); p.i < len(p.text); p.skip() {
		if !p.take(';') {
			return f, p.wrong()
		}
		p.skip()
		if p.i == len(p.text) {
			break // one at the end does no harm
		}
		r, none, err := p.result()
		if err != nil {
			return f, err
		}
		if none {
			continue
		}
		if len(f.Results) == maxResults {
			return f, fmt.Errorf("%w: more than %d results", ErrSyntax, maxResults)
		}
		f.Results = append(f.Results, r)
	}
	return f, nil
}

type parser struct {
	text    string
	i       int
	comment string // the last one that was skipped
}

func (p *parser) wrong() error {
	return fmt.Errorf("%w: at octet %d: %.30q", ErrSyntax, p.i, p.text[p.i:])
}

// server reads the authserv-id.
func (p *parser) server() (string, error) {
	p.skip()
	s, ok := p.value(" \t\r\n;(")
	if !ok || s == "" {
		return "", p.wrong()
	}
	return s, nil
}

// version reads a version, if there is one: only 1 is known (RFC 8601, section 2.5).
func (p *parser) version() error {
	p.skip()
	from := p.i
	for p.i < len(p.text) && p.text[p.i] >= '0' && p.text[p.i] <= '9' {
		p.i++
	}
	if v := p.text[from:p.i]; v != "" && strings.TrimLeft(v, "0") != "1" {
		return fmt.Errorf("%w: version %.10s", ErrSyntax, v)
	}
	return nil
}

// result reads method=value with its reason and properties, or "none".
func (p *parser) result() (r Result, none bool, err error) {
	if r.Method = strings.ToLower(p.keyword()); r.Method == "" {
		return r, false, p.wrong()
	}
	p.skip()
	if p.take('/') {
		if err := p.version(); err != nil {
			return r, false, err
		}
		p.skip()
	}
	if !p.take('=') {
		return r, r.Method == "none", p.wrongUnless(r.Method == "none")
	}
	p.skip()
	if r.Value = strings.ToLower(p.keyword()); r.Value == "" {
		return r, false, p.wrong()
	}
	p.comment = ""
	p.skip()
	r.Comment = p.comment
	for p.i < len(p.text) && p.text[p.i] != ';' {
		if err := p.property(&r); err != nil {
			return r, false, err
		}
		p.skip()
	}
	return r, false, nil
}

func (p *parser) wrongUnless(ok bool) error {
	if ok {
		return nil
	}
	return p.wrong()
}

// property reads type.name=value, or the reason, which may stand among them.
func (p *parser) property(r *Result) error {
	kind := strings.ToLower(p.keyword())
	p.skip()
	name := ""
	if p.take('.') {
		p.skip()
		name = strings.ToLower(p.keyword())
		p.skip()
	}
	if kind == "" || !p.take('=') || name == "" && kind != "reason" {
		return p.wrong()
	}
	p.skip()
	v, ok := p.value(" \t\r\n;(")
	if !ok {
		return p.wrong()
	}
	if name == "" {
		r.Reason = v
		return nil
	}
	if len(r.Properties) == maxProperties {
		return fmt.Errorf("%w: more than %d properties", ErrSyntax, maxProperties)
	}
	r.Properties = append(r.Properties, Property{kind, name, v})
	return nil
}

// take takes one octet if it comes next.
func (p *parser) take(c byte) bool {
	if p.i < len(p.text) && p.text[p.i] == c {
		p.i++
		return true
	}
	return false
}

// keyword reads letters, digits, hyphens and underscores.
func (p *parser) keyword() string {
	from := p.i
	for p.i < len(p.text) && (isAlnum(p.text[p.i]) || p.text[p.i] == '-' || p.text[p.i] == '_') {
		p.i++
	}
	return p.text[from:p.i]
}

// value reads up to one of the octets of end, with quoted strings in it without their quotes. It may be empty.
func (p *parser) value(end string) (string, bool) {
	var b strings.Builder
	for p.i < len(p.text) && strings.IndexByte(end, p.text[p.i]) < 0 {
		c := p.text[p.i]
		p.i++
		if c != '"' {
			if c < ' ' || c == 0x7f {
				return "", false
			}
			b.WriteByte(c)
			continue
		}
		if !p.quoted(&b) {
			return "", false
		}
	}
	return b.String(), true
}

// quoted reads up to the quotation mark that ends a string.
func (p *parser) quoted(b *strings.Builder) bool {
	for p.i < len(p.text) {
		c := p.text[p.i]
		p.i++
		switch {
		case c == '"':
			return true
		case c == '\\' && p.i < len(p.text):
			c = p.text[p.i]
			p.i++
			b.WriteByte(c)
		case c == '\r' || c == '\n': // of a fold
		default:
			b.WriteByte(c)
		}
	}
	return false
}

// skip skips white space and comments. One without its end is the rest of the text.
func (p *parser) skip() {
	for p.i < len(p.text) {
		switch p.text[p.i] {
		case ' ', '\t', '\r', '\n':
			p.i++
		case '(':
			p.skipComment()
		default:
			return
		}
	}
}

func (p *parser) skipComment() {
	var b strings.Builder
	depth := 0
	for p.i < len(p.text) {
		c := p.text[p.i]
		p.i++
		switch {
		case c == '\\' && p.i < len(p.text):
			c = p.text[p.i]
			p.i++
		case c == '(':
			if depth++; depth == 1 {
				continue
			}
		case c == ')':
			if depth--; depth == 0 {
				p.comment = b.String()
				return
			}
		case c == '\r' || c == '\n':
			continue
		}
		b.WriteByte(c)
	}
}
