// Package message reads one message of RFC 5322 and MIME (RFC 2045 to 2047, RFC 2231) as it streams
// by, once, and tells what IMAP needs to know of it without opening it again: the envelope, the tree
// of parts with their offsets, and the date. Beside the Parser there are small tools for what is read
// later: a part by its number, fields of a header, transfer encodings, charsets, the text of HTML.
//
// Nothing here can fail. Mail is what it is: where it breaks the rules, the reading degrades to
// something an IMAP client can still show. Work is linear in the octets and memory is bounded by
// Limits, whatever the message.
//
// The package writes no messages, does no I/O of its own, and knows nothing of storage or protocol.
package message

import (
	"io"
	"time"

	"github.com/rookery-mail/rookery/index/indexpb"
)

// Limits bound what a Parser keeps of a message. A field left zero has its default. With the defaults
// the encoded envelope and structure stay below 256 KiB together, half of what one log entry may hold.
type Limits struct {
	// MaxDepth is how many parts may lie around a part; default 100. A multipart or message deeper
	// than that is told as an application/octet-stream leaf.
	MaxDepth int
	// MaxParts is how many parts are told apart; default 2,000. The last one runs to the end of the
	// message.
	MaxParts int
	// EnvelopeBytes bounds the octets kept of all envelopes; default 96 KiB. Of what is above it,
	// addresses are left out and texts are absent.
	EnvelopeBytes int
	// StructureBytes bounds the octets kept of all Content fields; default 64 KiB. Parameters above it
	// are left out. Boundaries are found all the same.
	StructureBytes int
}

func (l Limits) withDefaults() Limits {
	if l.MaxDepth <= 0 {
		l.MaxDepth = 100
	}
	if l.MaxParts <= 0 {
		l.MaxParts = 2000
	}
	if l.EnvelopeBytes <= 0 {
		l.EnvelopeBytes = 96 << 10
	}
	if l.StructureBytes <= 0 {
		l.StructureBytes = 64 << 10
	}
	return l
}

// Parsed is what was read of a message. Texts in it hold no CR, LF or NUL, so that IMAP can send them.
type Parsed struct {
	Envelope   *indexpb.Envelope // of the message itself; never nil
	Structure  *indexpb.Part     // the top part; never nil
	HeaderSize uint64            // octets of the top header with its empty line
	Size       uint64            // octets of the whole message
	SentDate   time.Time         // the Date field in its own zone; zero where absent or unreadable
	MessageID  string            // the first "<…>" of Message-ID with its brackets, or ""
}

// state is what the octets at hand are.
type state uint8

const (
	inHeader    state = iota // lines of the innermost part's header
	inBody                   // anything in which delimiter lines are looked for
	inDelimiter              // the rest of a delimiter line after which a part begins
)

// Parser reads a message written to it in slices of any length. It takes lines ended by CRLF or by LF
// alone; a CR alone is an octet like others. A Parser is for one message and one goroutine.
type Parser struct {
	limits Limits
	keep   keeper

	// Invariant: off + heldLen octets were written; prev and last are the two before off.
	off        uint64
	lines      uint64 // LFs before off
	prev, last byte
	held       []byte // the start of the line at off while it is not decided or not complete
	heldLen    uint64 // octets of that line so far; in a header more than held keeps
	heldLast   byte   // the last of them

	state   state
	frames  []frame // the open parts, outermost first
	longest int     // octets of the longest open boundary; 0 is none open
	parts   int
	header  header // of the innermost part, while inHeader

	parsed Parsed
}

var _ io.Writer = (*Parser)(nil)

// NewParser gives a parser that expects the first octet of a message.
func NewParser(limits Limits) *Parser {
	limits = limits.withDefaults()
	p := &Parser{limits: limits}
	p.keep = keeper{envelope: limits.EnvelopeBytes, structure: limits.StructureBytes}
	p.frames = make([]frame, 0, 8)
	p.begin()
	p.parsed.Structure = p.frames[0].part
	return p
}

// Write reads on. It takes all of b, keeps no reference to it and never fails.
func (p *Parser) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		switch p.state {
		case inHeader:
			b = p.readHeader(b)
		case inDelimiter:
			b = p.readDelimiter(b)
		default:
			b = p.readBody(b)
		}
	}
	return n, nil
}

// Finish ends the message and gives what was read. The Parser is not to be used any more.
func (p *Parser) Finish() *Parsed {
	if p.heldLen > 0 {
		if p.state == inHeader {
			p.headerLine(p.held[:min(len(p.held), maxFieldBytes)], p.heldLen, 0)
		} else {
			p.pass(p.held[:p.heldLen])
		}
		p.heldLen = 0
	}
	if p.state == inDelimiter {
		p.begin()
	}
	p.closeFrom(0, p.off, p.lines)
	p.parsed.Size = p.off
	p.parsed.HeaderSize = p.parsed.Structure.BodyOffset
	return &p.parsed
}
