package bayes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
)

// How many tokens come from where, so that none drowns the others.
const (
	headerTokens = 160 // of MaxTokens
	hostTokens   = 64
	partTokens   = 32 // what parts there are
	maxTexts     = 8  // text parts that are read
	maxLeaves    = 100
	textChunk    = 4 << 10
)

// Read is Tokenize of a message of so many octets as it is stored, with the trace fields in front. It reads MaxOctets at most. The error
// is r's. One that is shorter than was said is read to its end.
func Read(r io.Reader, size int64) (*Tokens, error) {
	octets := make([]byte, max(min(size, MaxOctets), 0))
	n, err := io.ReadFull(r, octets)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("read a message to classify: %w", err)
	}
	return Tokenize(octets[:n]), nil
}

// Tokenize reads the tokens of a message: of its header, of the hosts that its links lead to, of what parts it has and of
// their texts, out of their encodings and charsets, of HTML what a reader sees. Nothing in a message can make it fail.
//
// What the server itself says of a message in its header is not looked at: a message gives the same tokens before its
// delivery, with the trace fields in front, as after it.
func Tokenize(octets []byte) *Tokens {
	octets = octets[:min(len(octets), MaxOctets)]
	// Of envelopes nothing is kept: the header is read here.
	p := message.NewParser(message.Limits{MaxParts: maxLeaves, EnvelopeBytes: 1})
	_, _ = p.Write(octets) // never fails
	parsed := p.Finish()
	c := newCollector(len(octets))
	c.allow(headerTokens)
	c.header(octets[:min(parsed.HeaderSize, uint64(len(octets)))])
	var texts []*indexpb.Part
	c.allow(partTokens)
	leaves(parsed.Structure, func(part *indexpb.Part) {
		c.part(part)
		if string(part.Type) == "text" && len(texts) < maxTexts {
			texts = append(texts, part)
		}
	})
	c.texts(octets, texts)
	c.most = MaxTokens
	t := c.t // without what only finding them took
	return &t
}

// leaves calls fn for each leaf of a tree, in order. The parser bounds depth and number.
func leaves(p *indexpb.Part, fn func(*indexpb.Part)) {
	for _, child := range p.Children {
		leaves(child, fn)
	}
	if len(p.Children) == 0 {
		fn(p)
	}
}

// part adds what kind of part a leaf is.
func (c *collector) part(p *indexpb.Part) {
	c.addText("part:", string(p.Type)+"/"+string(p.Subtype))
	if charset, ok := message.ParamValue(p.Params, "charset"); ok && len(charset) < keptWord {
		c.addText("charset:", strings.ToLower(charset))
	}
	name, ok := message.ParamValue(p.DispositionParams, "filename")
	if !ok {
		name, ok = message.ParamValue(p.Params, "name")
	}
	if ext := path.Ext(name); ok && ext != "" && len(ext) < 10 {
		c.addText("file:", strings.ToLower(ext))
	}
}

// texts adds the hosts and words of text parts. Each may have an equal part of what tokens are left, and of the text that is
// looked at, so that a long one does not hide the others.
func (c *collector) texts(octets []byte, parts []*indexpb.Part) {
	room := MaxText
	decoded := make([][]byte, len(parts))
	for i, p := range parts {
		from := min(p.BodyOffset, uint64(len(octets)))
		to := min(p.BodyOffset+p.BodyLength, uint64(len(octets)))
		body := octets[from:max(from, to)]
		decoded[i] = text(p, body, room/(len(parts)-i))
		room -= len(decoded[i])
	}
	c.allow(hostTokens)
	for i := range parts {
		c.hosts("host:", decoded[i])
	}
	for i, p := range parts {
		c.allow(c.left() / (len(parts) - i))
		c.words(p, decoded[i])
	}
}

// text is a text part decoded, as UTF-8, up to so many octets.
func text(p *indexpb.Part, body []byte, most int) []byte {
	if plain := body[:min(len(body), most)]; asItIs(p) && utf8.Valid(plain) {
		return plain
	}
	r := message.DecodeText(p, bytes.NewReader(body))
	out := make([]byte, 0, min(most, len(body)+len(body)/8)+textChunk)
	for len(out) < most {
		out = slices.Grow(out, textChunk)
		n, err := r.Read(out[len(out):cap(out)])
		if out = out[:len(out)+n]; err != nil {
			break // the end: octets in memory cannot fail
		}
	}
	return out[:min(len(out), most)]
}

// asItIs reports whether a part's text is in the message as it is, where that is UTF-8.
func asItIs(p *indexpb.Part) bool {
	switch string(p.Encoding) {
	case "", "7bit", "8bit", "binary":
		charset, _ := message.ParamValue(p.Params, "charset")
		return charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii")
	}
	return false
}

// words adds the words of a decoded text part.
func (c *collector) words(p *indexpb.Part, text []byte) {
	s := splitter{c: c, word: make([]byte, 0, keptWord)}
	defer s.finish()
	if string(p.Subtype) != "html" {
		s.feed(text)
		return
	}
	r := message.StripHTML(bytes.NewReader(text))
	chunk := make([]byte, textChunk)
	for !c.full() {
		n, err := r.Read(chunk)
		s.feed(chunk[:n])
		if err != nil {
			return
		}
	}
}
