package message

import (
	"io"
	"strings"
)

// KnownEncoding tells whether DecodeTransfer can undo a Content-Transfer-Encoding, given in any case;
// empty is "7bit". IMAP answers UNKNOWN-CTE to BINARY where it cannot (RFC 9051, section 6.4.5).
func KnownEncoding(encoding string) bool {
	switch strings.ToLower(encoding) {
	case "", "7bit", "8bit", "binary", "base64", "quoted-printable":
		return true
	}
	return false
}

// DecodeTransfer undoes a Content-Transfer-Encoding (RFC 2045, section 6) while reading. What does not
// belong into base64 is passed over, what is no escape of quoted-printable stays as it is, and an
// encoding that is not known leaves the octets as they are. Errors are those of r.
func DecodeTransfer(encoding string, r io.Reader) io.Reader {
	switch strings.ToLower(encoding) {
	case "base64":
		return newConvertingReader(r, &base64Decoder{})
	case "quoted-printable":
		return newConvertingReader(r, &quotedPrintable{})
	}
	return r
}

// quotedPrintable decodes quoted-printable (RFC 2045, section 6.7).
type quotedPrintable struct {
	held []byte // an escape, or white space that may be the end of a line, not yet decided
}

// maxHeldSpace is how much white space is held back to see whether a line ends after it.
const maxHeldSpace = 1000

func (q *quotedPrintable) convert(dst, src []byte) []byte {
	for i := 0; i < len(src); i++ {
		c := src[i]
		if len(q.held) == 0 {
			if c == '=' || c == ' ' || c == '\t' || c == '\r' {
				q.held = append(q.held, c)
			} else {
				dst = append(dst, c)
			}
			continue
		}
		dst = q.decide(dst, c)
	}
	return dst
}

// decide takes the octet after what is held.
func (q *quotedPrintable) decide(dst []byte, c byte) []byte {
	escape := q.held[0] == '='
	last := q.held[len(q.held)-1]
	switch {
	case c == '\n':
		if !escape { // white space at the end of a line is not the sender's
			if last == '\r' {
				dst = append(dst, '\r')
			}
			dst = append(dst, '\n')
		}
		q.held = q.held[:0]
		return dst
	case (c == ' ' || c == '\t' || c == '\r') && last != '\r' && len(q.held) < maxHeldSpace &&
		(!escape || len(q.held) == 1 || unhex(last) == 255):
		q.held = append(q.held, c)
		return dst
	case escape && len(q.held) == 1 && unhex(c) < 16:
		q.held = append(q.held, c)
		return dst
	case escape && len(q.held) == 2 && unhex(last) < 16 && unhex(c) < 16:
		q.held = q.held[:0]
		return append(dst, unhex(last)<<4|unhex(c))
	}
	dst = append(dst, q.held...) // not what it looked like
	q.held = q.held[:0]
	return q.convert(dst, []byte{c})
}

func (q *quotedPrintable) flush(dst []byte) []byte {
	if len(q.held) > 0 && q.held[0] == '=' && (len(q.held) == 1 || unhex(q.held[1]) == 255) {
		q.held = q.held[:0] // a soft line break at the end
	}
	dst = append(dst, q.held...)
	q.held = q.held[:0]
	return dst
}
