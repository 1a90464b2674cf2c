package trigram

import "slices"

// maxGrams is how many grams a query looks up at most: beyond, reading the messages costs less.
const maxGrams = 512

// maxOfText is how many grams of one text are looked up: more of them hardly narrow what so many did not.
const maxOfText = 32

// Query says what a message must have to be worth opening. A nil Query asks nothing: every message may match.
type Query struct {
	grams []Gram   // all of them, of a text; nil otherwise
	of    []*Query // all of them, or with any one of them
	any   bool
	size  int // grams in all
}

// Holding asks for a folded text, as search.Fold gives it, in one of the sections. It is nil for texts of fewer than three octets.
func Holding(text []byte, sections ...Section) *Query {
	var either []*Query
	for _, s := range sections {
		q := &Query{}
		grams(s, text, func(g Gram) { q.grams = append(q.grams, g) })
		slices.Sort(q.grams)
		q.grams = spread(slices.Compact(q.grams), maxOfText)
		if q.size = len(q.grams); q.size == 0 {
			return nil
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
func Or(queries ...*Query) *Query {
	either := &Query{any: true}
	for _, q := range queries {
		if q == nil || either.size+q.size > maxGrams {
			return nil
		}
		either.of = append(either.of, q)
		either.size += q.size
	}
	return either.simple()
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
	if q.grams != nil {
		return q.text(n, postings)
	}
	var found Ordinals
	if !q.any {
		found = First(n)
	}
	for _, k := range q.of {
		if !q.any && found.Empty() {
			break
		}
		of, err := k.Find(n, postings)
		if err != nil {
			return of, err
		}
		if q.any {
			found.union(&of)
		} else {
			found.intersect(&of)
		}
	}
	return found, nil
}

// text gives the messages that have all grams.
func (q *Query) text(n int, postings func(Gram) ([]byte, error)) (Ordinals, error) {
	found := First(n)
	for _, g := range q.grams {
		data, err := postings(g)
		if err != nil || data == nil {
			return Ordinals{}, err
		}
		of, err := Decode(data, n)
		if err != nil {
			return Ordinals{}, err
		}
		if found.intersect(&of); found.Empty() {
			break
		}
	}
	return found, nil
}
