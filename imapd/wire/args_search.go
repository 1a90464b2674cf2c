package wire

import (
	"strings"
	"time"
)

// SearchOp is the kind of a search key.
type SearchOp int

// The kinds of search keys (RFC 9051, section 6.4.4).
const (
	SearchAll         SearchOp = iota
	SearchAnd                  // all of Keys
	SearchOr                   // one of Keys
	SearchNot                  // not Keys[0]
	SearchSeq                  // sequence number in Set
	SearchUID                  // UID in Set
	SearchFlag                 // Text is set: a system flag with its \, or a keyword
	SearchBefore               // internal date, as the next two
	SearchOn                   //
	SearchSince                //
	SearchSentBefore           // Date field, as the next two
	SearchSentOn               //
	SearchSentSince            //
	SearchSavedBefore          // RFC 8514, as the next two
	SearchSavedOn              //
	SearchSavedSince           //
	SearchOlder                // N seconds (RFC 5032)
	SearchYounger              //
	SearchLarger               // than N octets
	SearchSmaller              //
	SearchHeader               // Field holds Text; From to Subject likewise
	SearchBody                 // Text in a text part
	SearchText                 // Text in the header or a text part
	SearchModSeq               // at or above N (RFC 7162)
	SearchNone                 // matches nothing: NEW, RECENT (there is no \Recent), THREADID
	SearchEmailID              // Text is the id (RFC 8474)
)

// SearchKey is one node of a search program.
type SearchKey struct {
	Op    SearchOp
	Keys  []SearchKey
	Set   NumSet
	Field string // of SearchHeader, lower case
	Text  string
	Date  time.Time
	N     uint64
	Fuzzy bool // it stands under FUZZY (RFC 6203, section 3)
}

// Search are the arguments of SEARCH.
type Search struct {
	Return                     bool // RETURN was given, perhaps empty
	Min, Max, All, Count, Save bool
	Relevancy                  bool // how relevant each message is (RFC 6203, section 4)
	Partial                    *Partial
	Update                     bool        // the result is to be kept up to date (RFC 5267, section 4.3)
	UpdateFetch                []FetchItem // what to tell of messages that are added (RFC 5465, section 7)
	Charset                    string      // upper case; "" where not given
	Key                        SearchKey
}

// maxSearchKeys bounds the work that one SEARCH can ask for by message.
const maxSearchKeys = 2000

// maxFuzzy is how many texts may stand under FUZZY: finding one costs more than finding what is exactly there.
const maxFuzzy = 16

func (r *Reader) search() *Search {
	s := &Search{}
	r.sp()
	r.searchFrom(s, r.maybeWord())
	return s
}

// searchFrom reads the arguments of SEARCH whose first word is first.
func (r *Reader) searchFrom(s *Search, first string) {
	if first == "RETURN" {
		r.searchReturn(s)
		r.sp()
		first = r.maybeWord()
	}
	if first == "CHARSET" {
		r.sp()
		s.Charset = strings.ToUpper(r.astring())
		r.sp()
		first = ""
	}
	r.searchKeys(s, first)
}

// maybeWord reads a word, if one comes next.
func (r *Reader) maybeWord() string {
	if !isLetter(r.peek()) {
		return ""
	}
	return r.word()
}

// searchKeys reads the search program. first is its first word where that was read already, else empty.
func (r *Reader) searchKeys(s *Search, first string) {
	keys := make([]SearchKey, 0, 4)
	left := maxSearchKeys
	for {
		if first != "" {
			keys = append(keys, r.searchWord(first, &left))
			first = ""
		} else {
			keys = append(keys, r.searchKey(&left))
		}
		if r.err != nil || !r.maybe(' ') {
			break
		}
		if c := r.peek(); c == '\r' || c == '\n' {
			break
		}
	}
	s.Key = and(keys)
	switch n := fuzzyTexts(&s.Key); {
	case n > maxFuzzy:
		r.fail("more than %d texts under FUZZY", maxFuzzy)
	case s.Relevancy && !s.Key.anyFuzzy():
		r.fail("RELEVANCY needs a FUZZY key")
	}
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func (r *Reader) searchReturn(s *Search) {
	s.Return = true
	r.sp()
	r.list(func() { r.returnOption(s) })
	if s.Partial != nil && s.All {
		r.fail("ALL and PARTIAL exclude each other")
	}
	// UPDATE and RELEVANCY are about a result that is told in one of these ways, or else as a whole.
	if !s.Min && !s.Max && !s.All && !s.Count && !s.Save && s.Partial == nil {
		s.All = true
	}
}

func (r *Reader) returnOption(s *Search) {
	switch o := r.word(); o {
	case "MIN":
		s.Min = true
	case "MAX":
		s.Max = true
	case "ALL":
		if s.All {
			r.fail("one ALL is enough")
		}
		s.All = true
	case "COUNT":
		s.Count = true
	case "SAVE":
		s.Save = true
	case "RELEVANCY":
		s.Relevancy = true
	case "PARTIAL":
		if s.Partial != nil { // RFC 9394, section 3.1: at most one
			r.fail("one PARTIAL is all there can be")
		}
		s.Partial = r.partial()
	case "CONTEXT": // a hint that more is to come (RFC 5267, section 4.2)
	case "UPDATE":
		r.updateOption(s)
	default:
		r.fail("unknown return option %.30s", o)
	}
}

func and(keys []SearchKey) SearchKey {
	if len(keys) == 1 {
		return keys[0]
	}
	return SearchKey{Op: SearchAnd, Keys: keys}
}

// searchKey reads one key.
func (r *Reader) searchKey(left *int) SearchKey {
	c := r.peek()
	switch {
	case c == '(':
		var keys []SearchKey
		r.list(func() { keys = append(keys, r.searchKey(left)) })
		if len(keys) == 0 {
			r.fail("empty parentheses")
		}
		return and(keys)
	case c == '*' || c == '$' || isDigit(c):
		if *left--; *left < 0 {
			r.fail("more than %d search keys", maxSearchKeys)
		}
		return SearchKey{Op: SearchSeq, Set: r.numSet()}
	}
	return r.searchWord(r.word(), left)
}

// searchWord reads what follows the word of a key.
func (r *Reader) searchWord(word string, left *int) SearchKey {
	if *left--; *left < 0 {
		r.fail("more than %d search keys", maxSearchKeys)
	}
	if r.err != nil {
		return SearchKey{}
	}
	if key, ok := flagKey(word); ok {
		return key
	}
	r.sp()
	switch word {
	case "NOT":
		return r.nested(func() SearchKey { return not(r.searchKey(left)) })
	case "OR":
		return r.nested(func() SearchKey {
			a := r.searchKey(left)
			r.sp()
			return SearchKey{Op: SearchOr, Keys: []SearchKey{a, r.searchKey(left)}}
		})
	case "FUZZY":
		return r.nested(func() SearchKey { return fuzzy(r.searchKey(left)) })
	case "KEYWORD":
		return SearchKey{Op: SearchFlag, Text: r.atom()}
	case "UNKEYWORD":
		return not(SearchKey{Op: SearchFlag, Text: r.atom()})
	case "UID":
		return SearchKey{Op: SearchUID, Set: r.numSet()}
	case "MODSEQ":
		return r.modSeqKey()
	}
	return r.valueKey(word)
}

// nested bounds the depth of NOT and OR, which need no parentheses.
func (r *Reader) nested(read func() SearchKey) SearchKey {
	if r.depth++; r.depth > r.limits.Depth {
		r.fail("search keys are nested deeper than %d", r.limits.Depth)
		return SearchKey{}
	}
	defer func() { r.depth-- }()
	return read()
}

func not(k SearchKey) SearchKey { return SearchKey{Op: SearchNot, Keys: []SearchKey{k}} }
