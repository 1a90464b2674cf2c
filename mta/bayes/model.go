package bayes

import (
	"math/bits"
	"sort"
)

// Count is how many messages of each kind had a token.
type Count struct{ Spam, Ham uint32 }

// Model is what was learnt from messages: how many of each kind there were, and how many of them had each token. It does not
// change once made, so that any number of goroutines may read it. A nil Model knows nothing.
//
// Invariant: ids ascend; first[n] is the first of them whose top bits are n or more.
type Model struct {
	Spam, Ham uint64 // messages

	ids    []uint64
	counts []Count
	first  []uint32
	shift  uint
}

// Builder makes a Model.
type Builder struct{ m Model }

// NewBuilder begins a model of so many messages, with room for n tokens.
func NewBuilder(spam, ham uint64, n int) *Builder {
	return &Builder{Model{Spam: spam, Ham: ham, ids: make([]uint64, 0, n), counts: make([]Count, 0, n)}}
}

// Add adds a token. They come in ascending order; one that does not is left out.
func (b *Builder) Add(id uint64, c Count) {
	if n := len(b.m.ids); n > 0 && b.m.ids[n-1] >= id {
		return
	}
	b.m.ids, b.m.counts = append(b.m.ids, id), append(b.m.counts, c)
}

// Model ends the building. The Builder is not to be used any more.
func (b *Builder) Model() *Model {
	m := &b.m
	top := max(bits.Len(uint(len(m.ids)))-1, 1) // a token or two for each
	m.shift = uint(64 - top)
	m.first = make([]uint32, 1<<top+1)
	at := 0
	for n := range m.first {
		for at < len(m.ids) && m.ids[at]>>m.shift < uint64(n) {
			at++
		}
		m.first[n] = uint32(at)
	}
	return m
}

// Len is how many tokens the model knows.
func (m *Model) Len() int {
	if m == nil {
		return 0
	}
	return len(m.ids)
}

// Knows reports whether at least so many messages of each kind were learnt, and one of each.
func (m *Model) Knows(least int) bool {
	return m != nil && m.Spam > 0 && m.Ham > 0 && m.Spam >= uint64(least) && m.Ham >= uint64(least)
}

// Count is what is known of a token.
func (m *Model) Count(id uint64) Count {
	if m == nil || len(m.ids) == 0 {
		return Count{}
	}
	n := id >> m.shift
	lo, hi := m.first[n], m.first[n+1]
	for lo < hi {
		mid := (lo + hi) / 2
		if m.ids[mid] < id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if int(lo) < len(m.ids) && m.ids[lo] == id {
		return m.counts[lo]
	}
	return Count{}
}

// Sum is what several models know together. Of more than most tokens, those go that the fewest messages had.
func Sum(most int, models ...*Model) *Model {
	whole := NewBuilder(0, 0, 0).Model()
	queue := append([]*Model(nil), models...)
	for len(queue) > 1 { // pairs of about the same size, as merging goes
		sort.SliceStable(queue, func(i, j int) bool { return queue[i].Len() < queue[j].Len() })
		queue = append(queue[2:], merge(queue[0], queue[1]))
	}
	if len(queue) == 1 && queue[0] != nil {
		whole = queue[0]
	}
	for least := uint64(2); whole.Len() > most; least++ {
		b := NewBuilder(whole.Spam, whole.Ham, most)
		for i, c := range whole.counts {
			if uint64(c.Spam)+uint64(c.Ham) >= least {
				b.Add(whole.ids[i], c)
			}
		}
		whole = b.Model()
	}
	return whole
}

func merge(a, b *Model) *Model {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	out := NewBuilder(a.Spam+b.Spam, a.Ham+b.Ham, a.Len()+b.Len())
	i, j := 0, 0
	for i < len(a.ids) || j < len(b.ids) {
		switch {
		case j == len(b.ids) || i < len(a.ids) && a.ids[i] < b.ids[j]:
			out.Add(a.ids[i], a.counts[i])
			i++
		case i == len(a.ids) || b.ids[j] < a.ids[i]:
			out.Add(b.ids[j], b.counts[j])
			j++
		default:
			out.Add(a.ids[i], Count{plus(a.counts[i].Spam, b.counts[j].Spam), plus(a.counts[i].Ham, b.counts[j].Ham)})
			i, j = i+1, j+1
		}
	}
	return out.Model()
}

// plus adds without going round.
func plus(a, b uint32) uint32 {
	if sum := a + b; sum >= a {
		return sum
	}
	return 1<<32 - 1
}
