package message

import "bytes"

// DecodeHeader gives the text of an unstructured field, a phrase or a comment in UTF-8: unfolded, with
// encoded words decoded (RFC 2047). It forgives what senders do: words without space around them, too
// long ones, characters split over words, raw UTF-8 and raw Latin-1. What cannot be read as an encoded
// word stays as it is.
func DecodeHeader(raw []byte) string {
	raw = unfold(raw)
	if !bytes.Contains(raw, []byte("=?")) {
		return decodeBytes("", raw)
	}
	d := wordDecoder{rest: raw}
	d.run()
	return string(d.out)
}

// unfold removes line ends; of a fold, its white space stays.
func unfold(raw []byte) []byte {
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for _, c := range raw {
		if c != '\n' && c != '\r' {
			out = append(out, c)
		}
	}
	return out
}

type wordDecoder struct {
	rest []byte
	out  []byte

	// Octets of adjacent words in one charset, which are decoded together.
	charset string
	pending []byte
	after   bool // the last thing was an encoded word
	endless bool // no "?=" follows
}

func (d *wordDecoder) run() {
	for len(d.rest) > 0 {
		i := bytes.Index(d.rest, []byte("=?"))
		if i < 0 {
			break
		}
		w, ok := d.word(d.rest[i:])
		if !ok {
			d.text(d.rest[:i+2])
			d.rest = d.rest[i+2:]
			continue
		}
		if between := d.rest[:i]; !d.after || len(bytes.Trim(between, " \t")) > 0 {
			d.text(between) // white space between two words is not part of the text
		}
		d.take(w)
		d.rest = d.rest[i+w.size:]
	}
	d.text(d.rest)
	d.decide()
}

// text takes what is not encoded.
func (d *wordDecoder) text(b []byte) {
	if len(b) == 0 {
		return
	}
	d.decide()
	d.out = append(d.out, decodeBytes("", b)...)
	d.after = false
}

// take takes an encoded word.
func (d *wordDecoder) take(w encodedWord) {
	if !bytes.EqualFold(w.charset, []byte(d.charset)) {
		d.decide()
		d.charset = string(w.charset)
	}
	if w.base64 {
		b := base64Decoder{}
		d.pending = b.flush(b.convert(d.pending, w.text))
	} else {
		d.pending = appendQ(d.pending, w.text)
	}
	d.after = true
}

// decide decodes the pending octets.
func (d *wordDecoder) decide() {
	if len(d.pending) > 0 {
		d.out = append(d.out, decodeBytes(d.charset, d.pending)...)
		d.pending = d.pending[:0]
	}
}

// encodedWord is "=?charset?B?text?=".
type encodedWord struct {
	charset, text []byte
	base64        bool
	size          int
}

// maxCharsetName is the longest charset with its language that is looked for, in octets.
const maxCharsetName = 128

// word reads the encoded word that b may begin with.
func (d *wordDecoder) word(b []byte) (w encodedWord, ok bool) {
	rest := b[2:]
	i := bytes.IndexByte(rest[:min(len(rest), maxCharsetName)], '?')
	if i <= 0 || d.endless {
		return w, false
	}
	w.charset, _, _ = bytes.Cut(rest[:i], []byte("*")) // RFC 2231, section 5
	rest = rest[i+1:]
	if len(rest) < 2 || rest[1] != '?' || bytes.IndexByte(w.charset, ' ') >= 0 {
		return w, false
	}
	switch rest[0] {
	case 'B', 'b':
		w.base64 = true
	case 'Q', 'q':
	default:
		return w, false
	}
	rest = rest[2:]
	end := bytes.Index(rest, []byte("?="))
	if end < 0 {
		d.endless = true
		return w, false
	}
	w.text = rest[:end]
	w.size = len(b) - len(rest) + end + 2
	return w, true
}

// appendQ decodes the "Q" encoding (RFC 2047, section 4.2).
func appendQ(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '_' {
			c = ' '
		} else if c == '=' && i+2 < len(b) {
			if hi, lo := unhex(b[i+1]), unhex(b[i+2]); hi < 16 && lo < 16 {
				c = hi<<4 | lo
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return dst
}
