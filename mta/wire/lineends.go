package wire

import (
	"bytes"
	"errors"
)

// Errors of a message's octets.
var (
	// ErrBareLineEnd says that a message has a CR or an LF that is not part of CR LF (RFC 5321,
	// section 2.3.8).
	ErrBareLineEnd = errors.New("CR or LF outside of CR LF")
	// ErrNUL says that a message has NUL octets (RFC 5322, section 4.1). IMAP cannot transport them.
	ErrNUL = errors.New("NUL octet")
)

// LineEnds sees to it that lines of a message end with CR LF and nothing else. A strict one refuses
// others; one that repairs writes CR LF in their place, for senders that are our own users and
// programs. Both leave everything else as it is, lines of any length among it.
type LineEnds struct {
	Repair  bool
	afterCR bool // the last octet was CR; a repairing one has not passed it on yet
	out     []byte
}

// Next takes the next octets and gives those to keep, which may be p itself or a buffer that the next
// call uses again.
func (l *LineEnds) Next(p []byte) ([]byte, error) {
	if len(p) == 0 {
		return nil, nil
	}
	if bytes.IndexByte(p, 0) >= 0 {
		return nil, ErrNUL
	}
	clean := l.clean(p)
	switch {
	case !l.Repair && !clean:
		return nil, ErrBareLineEnd
	case !l.Repair:
		l.afterCR = p[len(p)-1] == '\r'
		return p, nil
	case clean && !l.afterCR && p[len(p)-1] != '\r':
		return p, nil
	}
	return l.repair(p), nil
}

// clean reports whether each CR of p but a last one is followed by LF, and each LF preceded by CR.
func (l *LineEnds) clean(p []byte) bool {
	pairs := 0
	if l.afterCR {
		if p[0] != '\n' {
			return false
		}
		pairs++
	}
	for i := 0; ; i++ {
		k := bytes.IndexByte(p[i:], '\r')
		if k < 0 || i+k == len(p)-1 {
			break
		}
		if i += k; p[i+1] != '\n' {
			return false
		}
		pairs++
	}
	return bytes.Count(p, []byte{'\n'}) == pairs
}

func (l *LineEnds) repair(p []byte) []byte {
	out := l.out[:0]
	for _, c := range p {
		switch {
		case c == '\n':
			out = append(out, '\r', '\n')
			l.afterCR = false
			continue
		case l.afterCR:
			out = append(out, '\r', '\n')
		}
		if l.afterCR = c == '\r'; !l.afterCR {
			out = append(out, c)
		}
	}
	l.out = out
	return out
}

// End gives what is left to keep at the end of the message.
func (l *LineEnds) End() ([]byte, error) {
	switch {
	case !l.afterCR:
		return nil, nil
	case !l.Repair:
		return nil, ErrBareLineEnd
	}
	return []byte("\r\n"), nil
}
