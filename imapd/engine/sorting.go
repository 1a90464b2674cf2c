package engine

import (
	"slices"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index/uidset"
)

// maxSorting is how many octets the order of one result that is kept up to date may take: some 20,000 messages by subject.
const maxSorting = 1 << 20

// rowSize is what a row takes beside the octets of its key.
const rowSize = 24

// sorting is the order of a SORT whose result is kept up to date (RFC 5267, section 4.3). What SORT compares of a
// message never changes but for how relevant it is.
//
// Invariant: rows is in order, and what the client has been told.
type sorting struct {
	criteria []wire.SortCriterion
	rows     []row
}

// keepable reports whether the order can be kept up to date at a bearable cost.
func (o *sorting) keepable() bool {
	size := 0
	for i := range o.rows {
		size += rowSize + len(o.rows[i].key)
	}
	return size <= maxSorting && !slices.ContainsFunc(o.criteria, func(c wire.SortCriterion) bool { return c.By == wire.SortRelevancy })
}

// piece is rows that follow each other, and the position of the first of them, counted from 1.
type piece struct {
	at   int
	rows []row
}

// remove takes messages out, and gives the pieces that they make from the last to the first, so that none moves those
// that come after it in what is told.
func (o *sorting) remove(gone *uidset.Set) []piece {
	var left []piece
	kept := o.rows[:0]
	for i, r := range o.rows {
		switch n := len(left); {
		case !gone.Contains(r.uid):
			kept = append(kept, r)
		case n > 0 && left[n-1].at+len(left[n-1].rows) == i+1:
			left[n-1].rows = append(left[n-1].rows, r)
		default:
			left = append(left, piece{i + 1, []row{r}})
		}
	}
	clear(o.rows[len(kept):])
	o.rows = kept
	slices.Reverse(left)
	return left
}

// add puts rows in, which are in order, and gives the pieces that they make from the first to the last: each is at its
// place once those before it are there.
func (o *sorting) add(rows []row) (out []piece) {
	left := len(o.rows) // of those that were there, how many have not moved yet
	o.rows = append(o.rows, rows...)
	places := make([]int, len(rows))
	for i := len(rows) - 1; i >= 0; i-- {
		at, _ := slices.BinarySearchFunc(o.rows[:left], rows[i], compareRows)
		copy(o.rows[at+i+1:], o.rows[at:left])
		o.rows[at+i] = rows[i]
		places[i], left = at+i, at
	}
	for i := 0; i < len(rows); {
		from := i
		for i++; i < len(rows) && places[i] == places[i-1]+1; i++ {
		}
		out = append(out, piece{places[from] + 1, rows[from:i]})
	}
	return out
}
