package wire

import (
	"slices"
	"strings"
)

// SortBy is what SORT compares.
type SortBy int

// The sort criteria (RFC 5256, section 3; the DISPLAY ones are of RFC 5957, SortRelevancy is of RFC 6203).
const (
	SortArrival SortBy = iota
	SortCc
	SortDate
	SortFrom
	SortSize
	SortSubject
	SortTo
	SortDisplayFrom
	SortDisplayTo
	SortRelevancy // the most relevant first (RFC 6203, section 6)
)

// SortCriterion is one criterion of SORT.
type SortCriterion struct {
	By      SortBy
	Reverse bool
}

// Sort are the arguments of SORT (RFC 5256, section 3; RETURN is of RFC 5267).
type Sort struct {
	Search
	Criteria []SortCriterion
}

// ByRelevancy reports whether how relevant messages are is a criterion.
func (s *Sort) ByRelevancy() bool {
	return slices.ContainsFunc(s.Criteria, func(c SortCriterion) bool { return c.By == SortRelevancy })
}

// maxSortCriteria bounds the length of sort keys.
const maxSortCriteria = 16

func (r *Reader) sort() *Sort {
	s := &Sort{}
	r.sp()
	if isLetter(r.peek()) {
		if w := r.word(); w != "RETURN" {
			r.fail("expected sort criteria, got %.30s", w)
		}
		r.searchReturn(&s.Search)
		r.sp()
	}
	r.list(func() { s.Criteria = append(s.Criteria, r.sortCriterion()) })
	if n := len(s.Criteria); n == 0 || n > maxSortCriteria {
		r.fail("expected 1 to %d sort criteria", maxSortCriteria)
	}
	r.charsetAndKeys(&s.Search)
	if s.ByRelevancy() && !s.Key.anyFuzzy() {
		r.fail("RELEVANCY needs a FUZZY key")
	}
	return s
}

// charsetAndKeys reads the charset and the search keys of SORT and THREAD.
func (r *Reader) charsetAndKeys(s *Search) {
	r.sp()
	s.Charset = strings.ToUpper(r.astring())
	r.sp()
	r.searchKeys(s, "")
}

func (r *Reader) sortCriterion() SortCriterion {
	var c SortCriterion
	w := r.word()
	if w == "REVERSE" {
		c.Reverse = true
		r.sp()
		w = r.word()
	}
	switch w {
	case "ARRIVAL":
		c.By = SortArrival
	case "CC":
		c.By = SortCc
	case "DATE":
		c.By = SortDate
	case "FROM":
		c.By = SortFrom
	case "SIZE":
		c.By = SortSize
	case "SUBJECT":
		c.By = SortSubject
	case "TO":
		c.By = SortTo
	case "DISPLAYFROM":
		c.By = SortDisplayFrom
	case "DISPLAYTO":
		c.By = SortDisplayTo
	case "RELEVANCY":
		c.By = SortRelevancy
	default:
		r.fail("unknown sort criterion %.30s", w)
	}
	return c
}
