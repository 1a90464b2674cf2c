package trigram

import (
	"encoding/binary"
	"slices"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/search"
)

// Builder makes a segment of messages in any order. It holds 4 MiB and about what the segment takes. It is for one
// goroutine at a time.
type Builder struct {
	uids  []index.UID
	index map[Gram]int // into lists
	lists []list
	size  int // octets of the lists

	// Of the message that is added.
	seen [allGrams / 64]uint64 // a bit for each gram of here
	here []Gram
}

// list is what is known of a gram: ordinals in ascending order, as deltas.
type list struct {
	gram  Gram
	count int
	last  int
	data  []byte
}

// NewBuilder returns an empty Builder.
func NewBuilder() *Builder { return &Builder{index: make(map[Gram]int)} }

// Len is the number of messages.
func (b *Builder) Len() int { return len(b.uids) }

// Size is the number of octets of the postings so far, somewhat more than they take in the end.
func (b *Builder) Size() int { return b.size }

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
		return true
	})
	if err != nil {
		return err
	}
	b.file(m.UID)
	return nil
}

func (b *Builder) text(s Section, text []byte) { grams(s, text, b.see) }

// see notes a gram of the message.
func (b *Builder) see(g Gram) {
	word, bit := &b.seen[g/64], uint64(1)<<(g%64)
	if *word&bit == 0 {
		*word |= bit
		b.here = append(b.here, g)
	}
}

// file appends the message to the lists of its grams.
func (b *Builder) file(u index.UID) {
	n := len(b.uids)
	b.uids = append(b.uids, u)
	for _, g := range b.here {
		i, ok := b.index[g]
		if !ok {
			i = len(b.lists)
			b.index[g] = i
			b.lists = append(b.lists, list{gram: g, last: -1})
		}
		l := &b.lists[i]
		before := len(l.data)
		l.data = binary.AppendUvarint(l.data, uint64(n-l.last-1))
		l.count, l.last = l.count+1, n
		b.size += len(l.data) - before
	}
}

// forget clears what is noted of a message.
func (b *Builder) forget() {
	for _, g := range b.here {
		b.seen[g/64] = 0
	}
	b.here = b.here[:0]
}

// Finish calls put with each gram of the segment, ascending, and its encoded postings, which are valid until put
// returns, and gives the messages by ordinal. The Builder is empty afterwards.
func (b *Builder) Finish(put func(g Gram, postings []byte) error) ([]index.UID, error) {
	slices.SortFunc(b.lists, func(x, y list) int { return int(x.gram) - int(y.gram) })
	var out []byte
	for i := range b.lists {
		l := &b.lists[i]
		out = encode(out[:0], l.data, l.count, len(b.uids))
		if err := put(l.gram, out); err != nil {
			return nil, err
		}
	}
	uids := b.uids
	b.uids, b.lists, b.size = nil, nil, 0
	clear(b.index)
	return uids, nil
}
