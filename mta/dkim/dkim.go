// Package dkim signs messages (RFC 6376) with RSA (RFC 8301) and Ed25519 (RFC 8463), reads and writes the records that
// publish its keys, and has the canonical forms that mta/arc signs with too. It keeps no keys, asks no DNS and
// does not verify the signatures of others; go-msgauth does that, and holds this package to account in its tests.
//
// Signing is our own because a message gets two signatures and maybe a seal: they share one reading of it here, in
// which nothing but the header is kept in memory, and no goroutine.
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
}

// Reader reads a message: its header first, which says whether it is worth to read the rest.
type Reader struct {
	Header Header
	lines  *bufio.Reader
}

// Begin reads the header of a message. The error is ErrHeader, or one of r.
func Begin(r io.Reader) (*Reader, error) {
	lines := bufio.NewReaderSize(r, 32<<10)
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
	m := &Message{Header: r.Header}
	both := []*body{newBody(Relaxed), newBody(Simple)}
	if !simple {
		both = both[:1]
	}
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
		for _, b := range both {
			b.add(text)
			if end {
				b.endLine()
			}
		}
		switch {
		case err == io.EOF:
			m.Relaxed = both[0].sum()
			if simple {
				m.Simple = both[1].sum()
			}
			return m, nil
		case err != nil && !full:
			return nil, fmt.Errorf("read a message to be signed: %w", err)
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
