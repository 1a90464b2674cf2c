package letter

import (
	"io"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/mta/sieve/match"
)

func equal(a, b string) bool { return strings.EqualFold(a, b) }

func isContent(name string) bool {
	return len(name) > 8 && equal(name[:8], "Content-")
}

// HasBody tells whether there is a body: a header that no empty line ends has none, which is less than an empty one (RFC 5173, section 4).
func (l *Letter) HasBody() bool { return !l.noBody || l.root != nil && l.root.replaced }

// Raw gives the body undecoded, as far as the limit.
func (l *Letter) Raw() (*match.Subject, error) {
	if l.raw != nil {
		return l.raw, nil
	}
	src, at, size := l.src, l.bodyAt, l.size
	if v := l.Version(); v != nil {
		src, at, size = v, v.pieces[0].size, v.size // the first piece is the header
	}
	text, err := read(io.NewSectionReader(src, at, size-at), l.limits.Body, size-at)
	if err != nil {
		return nil, err
	}
	l.raw = &match.Subject{Text: text}
	return l.raw, nil
}

// Texts gives what a reader sees of the text parts in UTF-8, markup taken out of HTML, as far as the limit of all together.
func (l *Letter) Texts() ([]*match.Subject, error) {
	return l.gather(func(p *Part) (*match.Subject, error) {
		if typ, _ := p.Type(); typ != "text" {
			return nil, nil
		}
		return p.Readable()
	})
}

// Contents gives the contents of the parts that have one of the types (RFC 5173, section 5.2), such as "text", "text/html" and "" for
// all: text in UTF-8, other leaves without their transfer encoding, the prologue and epilogue of multiparts, the header of messages.
func (l *Letter) Contents(types []string) ([]*match.Subject, error) {
	return l.gather(func(p *Part) (*match.Subject, error) {
		typ, subtype := p.Type()
		for _, want := range types {
			main, sub, slash := strings.Cut(want, "/")
			if want == "" || equal(main, typ) && (!slash || equal(sub, subtype)) {
				return p.content()
			}
		}
		return nil, nil
	})
}

// gather collects what is read of the parts until the limit is reached.
func (l *Letter) gather(read func(*Part) (*match.Subject, error)) ([]*match.Subject, error) {
	root, err := l.Root()
	if err != nil {
		return nil, err
	}
	var found []*match.Subject
	left := l.limits.Body
	for _, p := range root.Walk() {
		s, err := read(p)
		if err != nil {
			return nil, err
		}
		if s == nil {
			continue
		}
		found = append(found, s)
		if left -= len(s.Text); left <= 0 {
			break
		}
	}
	return found, nil
}

// Readable gives the text of a leaf in UTF-8, without markup; nil for other parts.
func (p *Part) Readable() (*match.Subject, error) {
	if len(p.children) > 0 {
		return nil, nil
	}
	var err error
	if p.readable == nil {
		p.readable, err = p.decode(message.TextOnly)
	}
	return p.readable, err
}

// content gives what Contents says of a part.
func (p *Part) content() (*match.Subject, error) {
	var err error
	if p.decoded == nil {
		if len(p.children) == 0 {
			p.decoded, err = p.decode()
		} else {
			p.decoded, err = p.wrapping()
		}
	}
	return p.decoded, err
}

// encodedPerText is how many octets of a message are read at most for one of text: markup and encodings take the rest.
const encodedPerText = 4

func (p *Part) decode(options ...message.TextOption) (*match.Subject, error) {
	limit := p.letter.limits.Body
	size := min(int64(p.node.BodyLength), int64(limit)*encodedPerText)
	body := io.NewSectionReader(p.src, int64(p.node.BodyOffset), size)
	text, err := read(message.DecodeText(p.node, body, options...), limit, size)
	if err != nil {
		return nil, err
	}
	return &match.Subject{Text: text}, nil
}

// wrapping gives the header of an embedded message, or what stands before and behind the parts of a multipart.
func (p *Part) wrapping() (*match.Subject, error) {
	first, last := p.children[0].from, p.children[len(p.children)-1].to
	if p.node.Envelope != nil && !p.children[0].replaced {
		inner := p.children[0].node
		text, err := p.rangeText(int64(inner.HeaderOffset), int64(inner.BodyOffset))
		if cut, ok := strings.CutSuffix(text, "\n\r\n"); ok {
			text = cut + "\n" // the empty line is not of the header
		}
		return &match.Subject{Text: text}, err
	}
	prologue, err := p.rangeText(int64(p.node.BodyOffset), first)
	if err != nil {
		return nil, err
	}
	epilogue, err := p.rangeText(last, end(p.node))
	if err != nil {
		return nil, err
	}
	// The delimiters are in there: the last line of the one, the first of the other.
	prologue = prologue[:strings.LastIndexByte(strings.TrimSuffix(prologue, "\n"), '\n')+1]
	_, epilogue, _ = strings.Cut(strings.TrimLeft(epilogue, "\r\n"), "\n")
	return &match.Subject{Text: prologue + epilogue}, nil
}

func end(node *indexpb.Part) int64 { return int64(node.BodyOffset + node.BodyLength) }

func (p *Part) rangeText(from, to int64) (string, error) {
	size := max(0, to-from)
	return read(io.NewSectionReader(p.src, from, size), p.letter.limits.Body, size)
}

// read reads a text up to a limit; what is no UTF-8 becomes U+FFFD. About size octets are expected.
func read(r io.Reader, limit int, size int64) (string, error) {
	b := make([]byte, 0, min(int64(limit), size)+1)
	for len(b) < limit {
		if len(b) == cap(b) {
			b = slices.Grow(b, min(limit-len(b), 64<<10))
		}
		n, err := r.Read(b[len(b):min(cap(b), limit)])
		b = b[:len(b)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return strings.ToValidUTF8(string(b), "\ufffd"), nil
}
