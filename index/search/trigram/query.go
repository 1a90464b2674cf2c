package trigram

import "slices"

// maxGrams is how many grams a query looks up at most: beyond, reading the messages costs less.
const maxGrams = 512

// maxOfText is how many grams of one text are looked up: more of them hardly narrow what so many did not.
const maxOfText = 32

// Query says what a message must have to be worth opening. A nil Query asks nothing: every message may match.
type Query struct {
	grams []Gram   // of a text; nil otherwise
	of    []*Query // parts, where there are no grams
	least int      // so many of the grams or parts; 0 is all of them
	size  int      // grams in all
}

// Holding asks for a folded text, as search.Fold gives it, in one of the sections. It is nil for texts of fewer than three octets.
func Holding(text []byte, sections ...Section) *Query { return holding(text, 0, sections) }

// Nearly asks for as much of a folded text as is left of its trigrams in one of the sections when up to lost of them
// are not there, but for one of them at least. It is nil for texts of fewer than three octets.
func Nearly(text []byte, lost int, sections ...Section) *Query { return holding(text, lost, sections) }

func holding(text []byte, lost int, sections []Section) *Query {
	var either []*Query
	for _, s := range sections {
		var all []Gram
		grams(s, text, func(g Gram) { all = append(all, g) })
		slices.Sort(all)
		all = slices.Compact(all)
		q := &Query{grams: spread(all, maxOfText)}
		if q.size = len(q.grams); q.size == 0 {
			return nil
		}
		if lost > 0 {
			q.least = max(q.size-lost, 1)
			if lost >= q.size && len(all) > q.size {
				return nil // the one that is left need not be among those that are looked up
			}
		}
		either = append(either, q)
	}
	return Or(either...)
}

// spread gives up to n of all, evenly taken.
func spread(all []Gram, n int) []Gram {
	if len(all) <= n {
		return all
	}
	out := make([]Gram, n)
	for i := range out {
		out[i] = all[i*len(all)/n]
	}
	return out
}

// And asks for all of what the queries ask.
func And(queries ...*Query) *Query {
	all := &Query{}
	for _, q := range queries {
		if q != nil && all.size+q.size <= maxGrams {
			all.of = append(all.of, q)
			all.size += q.size
		}
	}
	return all.simple()
}

// Or asks for what one of the queries asks: nothing, where one of them asks nothing.
func Or(queries ...*Query) *Query { return AtLeast(1, queries...) }

// AtLeast asks for what so many of the queries ask. A query that asks nothing counts as had by every message.
func AtLeast(least int, queries ...*Query) *Query {
	some := &Query{}
	for _, q := range queries {
		if q == nil || some.size+q.size > maxGrams {
			least--
			continue
		}
		some.of = append(some.of, q)
		some.size += q.size
	}
	if least <= 0 {
		return nil
	}
	if some.least = least; least >= len(some.of) {
		some.least = 0
	}
	return some.simple()
}

func (q *Query) simple() *Query {
	switch len(q.of) {
	case 0:
		return nil
	case 1:
		return q.of[0]
	}
	return q
}

// Find gives the messages of a segment of n that have what the query asks. postings gives what is stored of a gram,
// nil where nothing is, valid until it is called again. Errors are ErrFormat and those of postings.
func (q *Query) Find(n int, postings func(Gram) ([]byte, error)) (Ordinals, error) {
	if q == nil {
		return First(n), nil
	}
	parts := len(q.of)
	part := func(i int) (Ordinals, error) { return q.of[i].Find(n, postings) }
	if q.grams != nil {
		parts = len(q.grams)
		part = func(i int) (Ordinals, error) {
			data, err := postings(q.grams[i])
			if err != nil || data == nil {
				return Ordinals{}, err
			}
			return Decode(data, n)
		}
	}
	switch q.least {
	case 0:
		return all(First(n), parts, part)
	case 1:
		return some(parts, part)
	}
	return several(q.least, parts, part)
}

// all gives those of found that are in all parts.
func all(found Ordinals, parts int, part func(int) (Ordinals, error)) (Ordinals, error) {
	for i := range parts {
		of, err := part(i)
		if err != nil {
			return Ordinals{}, err
		}
		if found.intersect(&of); found.Empty() {
			break
		}
	}
	return found, nil
}

// some gives those that are in a part.
func some(parts int, part func(int) (Ordinals, error)) (found Ordinals, err error) {
	for i := range parts {
		of, err := part(i)
		if err != nil {
			return Ordinals{}, err
		}
		found.union(&of)
	}
	return found, nil
}

// several gives those that are in so many parts, of which there are no more than maxGrams.
func several(least, parts int, part func(int) (Ordinals, error)) (found Ordinals, err error) {
	var in [MaxMessages]uint16
	for i := range parts {
		of, err := part(i)
		if err != nil {
			return Ordinals{}, err
		}
		of.Each(func(n int) {
			if in[n]++; int(in[n]) == least {
				found.Add(n)
			}
		})
	}
	return found, nil
}
