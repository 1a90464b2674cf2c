package trigram

import (
	"encoding/binary"
	"slices"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/search"
)

// The bounds of a segment beside MaxMessages: octets of postings and number of grams at which it is full. maxOfMessage is
// how many grams a message may have: what has more, megabytes of noise, is always worth opening.
const (
	maxPostings  = 16 << 20
	maxLists     = 1 << 19
	maxOfMessage = 1 << 17
)

// Builder makes a segment of messages in any order. It holds some MiB, and twice what the segment takes. It is for one
// goroutine at a time.
type Builder struct {
	uids   []index.UID
	beyond []index.UID
	pages  [allGrams / pageSize]*page
	lists  []list
	size   int // octets of the lists

	here []Gram // of the message that is added
}

const pageSize = 256

// page is what is known of the grams that differ in their last octet alone.
type page struct {
	lists [pageSize]uint32      // position in Builder.lists, counted from 1; 0 for none
	seen  [pageSize / 64]uint64 // a bit for each gram of Builder.here
}

// list is what is known of a gram: ordinals in ascending order, as deltas.
type list struct {
	gram  Gram
	count int32
	last  int32
	data  []byte
}

// NewBuilder returns an empty Builder.
func NewBuilder() *Builder { return &Builder{} }

// Empty reports whether there are no messages.
func (b *Builder) Empty() bool { return len(b.uids)+len(b.beyond) == 0 }

// Full reports whether the segment should be finished before so many more messages are added.
func (b *Builder) Full(more int) bool {
	return len(b.uids)+len(b.beyond)+more > MaxMessages || b.size >= maxPostings || len(b.lists) >= maxLists
}

// Add adds a message whose body is open. Errors are those of the body; the message is then not added.
func (b *Builder) Add(r *search.Reader, m *access.Message, body access.Body) error {
	defer b.forget()
	search.EnvelopeTexts(m.Envelope(), func(text string) { b.text(Header, search.Fold(text)) })
	err := r.Fields(m, body, func(text []byte) bool {
		b.text(Header, text)
		return true
	})
	if err != nil {
		return err
	}
	var text roll
	err = r.Texts(m, body, func(piece []byte, begins bool) bool {
		if begins {
			text = roll{}
		}
		text.text(Body, piece, b.see)
		return len(b.here) <= maxOfMessage
	})
	if err != nil {
		return err
	}
	if len(b.here) > maxOfMessage {
		b.beyond = append(b.beyond, m.UID)
		return nil
	}
	b.file(m.UID)
	return nil
}

func (b *Builder) text(s Section, text []byte) { grams(s, text, b.see) }

// see notes a gram of the message.
func (b *Builder) see(g Gram) {
	p := b.pages[g/pageSize]
	if p == nil {
		p = new(page)
		b.pages[g/pageSize] = p
	}
	word, bit := &p.seen[g%pageSize/64], uint64(1)<<(g%64)
	if *word&bit == 0 {
		*word |= bit
		b.here = append(b.here, g)
	}
}

// file appends the message to the lists of its grams.
func (b *Builder) file(u index.UID) {
	n := int32(len(b.uids))
	b.uids = append(b.uids, u)
	for _, g := range b.here {
		i := &b.pages[g/pageSize].lists[g%pageSize]
		if *i == 0 {
			b.lists = append(b.lists, list{gram: g, last: -1})
			*i = uint32(len(b.lists))
		}
		l := &b.lists[*i-1]
		before := len(l.data)
		l.data = binary.AppendUvarint(l.data, uint64(n-l.last-1))
		l.count, l.last = l.count+1, n
		b.size += len(l.data) - before
	}
}

// forget clears what is noted of a message.
func (b *Builder) forget() {
	for _, g := range b.here {
		b.pages[g/pageSize].seen[g%pageSize/64] = 0
	}
	b.here = b.here[:0]
}

// Finish calls put with each gram of the segment, ascending, and its encoded postings, which are valid until put
// returns, and gives the messages: UIDs, Beyond and Size of the segment. The Builder is empty afterwards.
func (b *Builder) Finish(put func(g Gram, postings []byte) error) (*Segment, error) {
	slices.SortFunc(b.lists, func(x, y list) int { return int(x.gram) - int(y.gram) })
	var out []byte
	for i := range b.lists {
		l := &b.lists[i]
		out = encode(out[:0], l.data, int(l.count), len(b.uids))
		if err := put(l.gram, out); err != nil {
			return nil, err
		}
	}
	s := &Segment{UIDs: b.uids, Beyond: b.beyond, Size: uint64(b.size)}
	*b = Builder{}
	return s, nil
}
