package message

import "bytes"

// newlineDashes is what has to be found in a body inside a multipart: a line that may be a delimiter.
const newlineDashes = "\n--"

// pass counts octets that need no closer look.
func (p *Parser) pass(b []byte) {
	n := len(b)
	if n == 0 {
		return
	}
	p.lines += uint64(bytes.Count(b, []byte("\n")))
	p.off += uint64(n)
	if n > 1 {
		p.prev = b[n-2]
	} else {
		p.prev = p.last
	}
	p.last = b[n-1]
}

// readBody passes over a body up to the next delimiter and gives what is left of b.
func (p *Parser) readBody(b []byte) []byte {
	if p.longest == 0 || p.full() {
		p.pass(p.held[:p.heldLen])
		p.heldLen = 0
		p.pass(b)
		return nil
	}
	if p.heldLen > 0 || p.last == '\n' && b[0] == '-' {
		return p.readCandidate(b)
	}
	n := len(b)
	if i := bytes.Index(b, []byte(newlineDashes)); i >= 0 {
		n = i + 1
	} else if b[n-1] == '-' && n > 1 && b[n-2] == '\n' {
		n--
	}
	p.pass(b[:n])
	return b[n:]
}

// readCandidate decides about the line that begins at off as soon as enough of it is there: is it a
// delimiter? Until then its start is held.
func (p *Parser) readCandidate(b []byte) []byte {
	need := len("--") + p.longest + len("--")
	n := min(need-int(p.heldLen), len(b))
	whole := false
	if i := bytes.IndexByte(b[:n], '\n'); i >= 0 {
		n, whole = i+1, true
	}
	line := b[:n]
	if p.heldLen > 0 {
		p.held = append(p.held[:p.heldLen], line...)
		line = p.held
	}
	if !whole && len(line) < need {
		if p.heldLen == 0 {
			p.held = append(p.held[:0], line...)
		}
		p.heldLen = uint64(len(p.held))
		return b[n:]
	}
	p.heldLen = 0
	if d, ok := p.match(line); ok {
		p.delimit(d)
	}
	p.pass(line)
	if p.state == inDelimiter && whole {
		p.begin()
	}
	return b[n:]
}

// readDelimiter passes over the rest of a delimiter line; a part begins after it.
func (p *Parser) readDelimiter(b []byte) []byte {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		p.pass(b)
		return nil
	}
	p.pass(b[:i+1])
	p.begin()
	return b[i+1:]
}

// delimiter is a line that ends parts.
type delimiter struct {
	frame   int  // the multipart whose boundary it is
	closing bool // no more parts of it follow
}

// match tells whether line, complete or as long as any delimiter, is one of an open multipart. The
// boundary has to be the start of the line, not all of it (RFC 2046, section 5.1.1); where one
// boundary is the start of another, the longer one has it, and of equal ones the innermost.
func (p *Parser) match(line []byte) (delimiter, bool) {
	if len(line) < 3 || line[0] != '-' || line[1] != '-' || p.full() {
		return delimiter{}, false
	}
	line = line[2:]
	found, length := -1, 0
	for i := len(p.frames) - 1; i >= 0; i-- {
		if b := p.frames[i].boundary; len(b) > length && bytes.HasPrefix(line, b) {
			found, length = i, len(b)
		}
	}
	if found < 0 {
		return delimiter{}, false
	}
	return delimiter{frame: found, closing: bytes.HasPrefix(line[length:], []byte("--"))}, true
}

// delimit ends what a delimiter line at off ends. The line end before it belongs to it.
func (p *Parser) delimit(d delimiter) {
	end, lines := p.off, p.lines
	if p.off > 0 && p.last == '\n' {
		end, lines = end-1, lines-1
		if p.prev == '\r' {
			end--
		}
	}
	p.closeFrom(d.frame+1, end, lines)
	if d.closing {
		p.frames[d.frame].boundary = nil
		p.state = inBody
	} else {
		p.state = inDelimiter
	}
	p.measure()
}
