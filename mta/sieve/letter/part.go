package letter

import (
	"bytes"
	"io"
	"strings"

	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/mta/sieve/match"
)

// Part is one MIME part; the root is the message itself.
type Part struct {
	letter   *Letter
	src      io.ReaderAt // that the offsets of node count in
	node     *indexpb.Part
	children []*Part
	root     bool
	// from and to are the octets of the parent's src that the part took before it was replaced.
	from, to int64
	replaced bool

	fields   map[string][]*Field // of a part that is not the root, nil until asked for
	decoded  *match.Subject
	readable *match.Subject
}

// Root gives the message as a part, its structure read. Errors are those of reading the message.
func (l *Letter) Root() (*Part, error) {
	if l.root == nil {
		p, err := l.parse(l.src, l.size)
		if err != nil {
			return nil, err
		}
		p.root = true
		l.root = p
	}
	return l.root, nil
}

// parse reads the structure of an entity.
func (l *Letter) parse(src io.ReaderAt, size int64) (*Part, error) {
	parser := message.NewParser(message.Limits{MaxParts: l.limits.Parts, MaxDepth: 50})
	if _, err := io.Copy(parser, io.NewSectionReader(src, 0, size)); err != nil {
		return nil, err
	}
	return l.newPart(src, parser.Finish().Structure), nil
}

func (l *Letter) newPart(src io.ReaderAt, node *indexpb.Part) *Part {
	p := &Part{letter: l, src: src, node: node, from: int64(node.HeaderOffset), to: int64(node.BodyOffset + node.BodyLength)}
	for _, c := range node.Children {
		p.children = append(p.children, l.newPart(src, c))
	}
	return p
}

// Children gives the parts directly within.
func (p *Part) Children() []*Part { return p.children }

// Walk gives the part and all within it, depth first.
func (p *Part) Walk() []*Part {
	list := []*Part{p}
	for _, c := range p.children {
		list = append(list, c.Walk()...)
	}
	return list
}

// Type gives the media type and subtype in lower case.
func (p *Part) Type() (string, string) { return string(p.node.Type), string(p.node.Subtype) }

// Fields gives the fields of a name, in any case, from the top. Errors are those of reading the message.
func (p *Part) Fields(name string) ([]*Field, error) {
	if p.root {
		return p.letter.Fields(name), nil
	}
	if p.fields == nil {
		size := min(int64(p.node.BodyOffset-p.node.HeaderOffset), int64(p.letter.limits.Header))
		header := make([]byte, size)
		if err := readFull(p.src, header, int64(p.node.HeaderOffset)); err != nil {
			return nil, err
		}
		fields, _ := parseFields(header)
		p.fields = byName(fields)
	}
	return p.fields[strings.ToLower(name)], nil
}

// writeBody adds the part's body to a text, with what was replaced within.
func (p *Part) writeBody(t *Text, l *Letter) {
	at := int64(p.node.BodyOffset)
	if p.root && !p.replaced {
		at = l.bodyAt
	}
	p.writeFrom(t, at)
}

// writeFrom adds the octets of the part from an offset of its src on.
func (p *Part) writeFrom(t *Text, at int64) {
	end := int64(p.node.BodyOffset + p.node.BodyLength)
	if p.root && !p.replaced {
		end = p.letter.size
	}
	for _, c := range p.children {
		if !c.changed() {
			continue
		}
		t.add(p.src, at, c.from-at)
		c.writeFrom(t, int64(c.node.HeaderOffset))
		at = c.to
	}
	t.add(p.src, at, end-at)
}

// changed tells whether the part or one within was replaced.
func (p *Part) changed() bool {
	for _, c := range p.children {
		if c.changed() {
			return true
		}
	}
	return p.replaced
}

// Replace puts a MIME entity, its header and all, where the part is (RFC 5703, section 5). Where the part is the message, the entity's
// Content fields replace those of the message.
func (p *Part) Replace(entity []byte) error {
	fresh, err := p.letter.parse(bytes.NewReader(entity), int64(len(entity)))
	if err != nil {
		return err
	}
	p.src, p.node, p.children, p.replaced = fresh.src, fresh.node, fresh.children, true
	p.fields, p.decoded, p.readable = nil, nil, nil
	if p.root {
		p.letter.takeContent(entity[:fresh.node.BodyOffset])
	}
	p.letter.touch()
	return nil
}

// takeContent puts the Content fields of an entity's header into that of the message, whose own go.
func (l *Letter) takeContent(header []byte) {
	var kept []*Field
	for _, f := range l.fields {
		if !isContent(f.Name) && !equal(f.Name, "MIME-Version") {
			kept = append(kept, f)
		}
	}
	l.fields = kept
	l.Add("MIME-Version", "1.0", true)
	fields, _ := parseFields(header)
	for _, f := range fields {
		if isContent(f.Name) {
			l.fields = append(l.fields, f)
		}
	}
}
