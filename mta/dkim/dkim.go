// Package dkim signs messages (RFC 6376) with RSA (RFC 8301) and Ed25519 (RFC 8463), verifies the signatures of others,
// reads and writes the records that publish keys, and has the canonical forms that mta/arc signs with too. It keeps no
// keys and asks no DNS: records come in through a function. What a signature is worth to a policy is not decided here.
//
// It is our own because a message has several signatures and seals: they share one reading of it here, in which nothing but
// the header is kept in memory, and no goroutine, and the work for a hostile message is bounded. go-msgauth, which does the
// same for one signature at a time, holds this package to account in its tests.
package dkim

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// MaxHeader is how long a header may be that is signed, in octets.
const MaxHeader = 1 << 20

// ErrHeader says that a message has no header that can be signed: it is too long, or broken.
var ErrHeader = errors.New("a header that cannot be signed")

// Digest is a SHA-256 digest.
type Digest = [sha256.Size]byte

// Message is what signatures are made of: the header of a message and the digests of its body.
type Message struct {
	Header Header
	// Relaxed and Simple are the digests of the body in its two canonical forms (RFC 6376, section 3.4). Simple is that only
	// where it was asked for.
	Relaxed, Simple Digest

	cut    map[Need]Digest // of parts of the body, as l= tags have them
	length map[Form]int64  // of the body, in octets, in the forms that were digested
}

// Need is what a signature is checked with: the digest of the body in a form, of its first Length octets, or of all of
// it where Length is All.
type Need struct {
	Form   Form
	Length int64
}

// All is the length of a need for the whole body.
const All int64 = -1

// Digest is that of a need which the message was read for.
func (m *Message) Digest(n Need) Digest {
	switch {
	case n.Length != All:
		return m.cut[n]
	case n.Form == Simple:
		return m.Simple
	}
	return m.Relaxed
}

// Reader reads a message: its header first, which says whether it is worth to read the rest.
type Reader struct {
	Header Header
	lines  *bufio.Reader
}

// Begin reads the header of a message. The error is ErrHeader, or one of r.
func Begin(r io.Reader) (*Reader, error) {
	lines := bufio.NewReaderSize(r, 8<<10)
	header, err := readHeader(lines)
	if err != nil {
		return nil, err
	}
	return &Reader{header, lines}, nil
}

// Read reads a message to its end, for both forms. The error is ErrHeader, or one of r.
func Read(r io.Reader) (*Message, error) {
	begun, err := Begin(r)
	if err != nil {
		return nil, err
	}
	return begun.Body(true)
}

// Body reads the message to its end. The digest of its simple form costs as much again as the relaxed one. The error is one of the
// source.
func (r *Reader) Body(simple bool) (*Message, error) {
	needs := []Need{{Relaxed, All}, {Simple, All}}
	if !simple {
		needs = needs[:1]
	}
	return r.Digests(needs)
}

// Digests reads the message to its end, for some needs; not at all where there are none. However many there are, each form
// is made and digested once. The error is one of the source.
func (r *Reader) Digests(needs []Need) (*Message, error) {
	m := &Message{Header: r.Header}
	bodies := bodiesFor(needs)
	if len(bodies) == 0 {
		return m, nil
	}
	if err := r.pass(bodies); err != nil {
		return nil, err
	}
	m.cut, m.length = map[Need]Digest{}, map[Form]int64{}
	for _, b := range bodies {
		whole := b.sum()
		if b.form == Simple {
			m.Simple = whole
		} else {
			m.Relaxed = whole
		}
		m.length[b.form] = b.length
		for length, d := range b.taken {
			m.cut[Need{b.form, length}] = d
		}
	}
	return m, nil
}

// pass gives the lines of the body to each of some forms.
func (r *Reader) pass(bodies []*body) error {
	held := false // a CR at the end of the buffer, which may be half of the end of a line
	for {
		p, err := r.lines.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		text, end := cutEnd(p)
		if held && !(end && len(text) == 0) {
			text = append([]byte{'\r'}, text...)
		}
		if held = full && text[len(text)-1] == '\r'; held {
			text = text[:len(text)-1]
		}
		for _, b := range bodies {
			b.add(text)
			if end {
				b.endLine()
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil && !full:
			return fmt.Errorf("read the body of a message: %w", err)
		}
	}
}

// cutEnd takes the end of the line off.
func cutEnd(p []byte) (text []byte, end bool) {
	n := len(p)
	switch {
	case n > 1 && p[n-1] == '\n' && p[n-2] == '\r':
		return p[:n-2], true
	case n > 0 && p[n-1] == '\n':
		return p[:n-1], true
	}
	return p, false
}
