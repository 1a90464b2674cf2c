package wire

import "io"

// CatPart is one part of a message that CATENATE puts together (RFC 4469, section 5): a URL, or octets that
// Accept gives.
type CatPart struct {
	URL  string
	Text bool // the octets are a's Literal
}

// Part reads the next part of a message that is put together; more is false after the last one, and Next is
// called then. The error is a *SyntaxError where the command was wrong (it was skipped), else the
// connection's. The octets of a part that is Text must be read before the next call.
func (r *Reader) Part(a *Append) (p CatPart, more bool, err error) {
	if a.utf8Part {
		r.expect(')')
		a.utf8Part = false
	}
	if a.parts > 0 && r.maybe(')') {
		return p, false, nil
	}
	if a.parts > 0 {
		r.sp()
	}
	a.parts++
	switch w := r.word(); w {
	case "URL":
		r.sp()
		p.URL = r.astring()
	case "UTF8": // RFC 6855, section 4
		r.sp()
		r.expect('(')
		a.utf8Part, p.Text = true, true
		a.Literal = r.literalHead()
	case "TEXT":
		r.sp()
		p.Text = true
		a.Literal = r.literalHead()
	default:
		r.fail("expected URL or TEXT, got %.30s", w)
	}
	if r.err != nil {
		return p, false, r.recover("", "APPEND")
	}
	return p, true, nil
}

// refuseParts skips the parts that are left. Octets that come unasked are dropped up to limit in all.
func (r *Reader) refuseParts(a *Append, limit int64) error {
	for {
		p, more, err := r.Part(a)
		if _, wrong := err.(*SyntaxError); wrong {
			return nil // and skipped
		}
		if err != nil {
			return err
		}
		if !more {
			return r.skip()
		}
		if !p.Text {
			continue
		}
		if !a.Literal.NonSync {
			return nil // they are never sent
		}
		if limit -= a.Literal.Size; limit < 0 {
			return ErrOutOfSync
		}
		if _, err := io.CopyN(io.Discard, r, a.Literal.Size); err != nil {
			return err
		}
	}
}
