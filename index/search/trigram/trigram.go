// Package trigram tells which messages of a segment may hold a text, without reading them: for each three octets in
// a row, a trigram, of the folded texts of package search it keeps the messages that have them in their header or in
// their body. A message that lacks one of the trigrams of a text lacks the text; one that has them all may have it,
// which is for its octets to say. So what is found here is always more than what matches, never less.
//
// It makes segments, encodes and decodes them, and combines what they have for a query. It keeps nothing: where
// segments lie and when they are made is for index/concordance.
//
// # Why this and no library
//
// IMAP asks for substrings (RFC 9051, section 6.4.4: "contains"), so what finds words, as bleve does, answers another
// question, or walks its whole dictionary by regular expression; it merges segments with goroutines of its own, and an
// index of that kind for each account, or one for all, costs memory that mail does not have. zoekt finds substrings,
// but keeps positions, three times the text, in shards that are made once from a repository and mapped into memory;
// google/codesearch is this design, for files on a disk.
package trigram

// Version is of the layouts of this package and of the texts that package search makes of a message. It goes up
// whenever either changes: what another version wrote is thrown away. testdata/texts.golden tells that it is time.
const Version = 1

// MaxMessages is how many messages a segment has at most.
const MaxMessages = 4096

// Section says where in a message a text is.
type Section uint8

// The sections. The numbers are stored.
const (
	Header Section = iota // decoded fields of the top header, and what SEARCH makes of the envelope
	Body                  // text parts
)

// Gram is a section and three octets: the section, then the octets in their order, from the highest octet down.
type Gram uint32

// allGrams is how many grams there can be: 1<<24 of each section.
const allGrams = 2 << 24

// grams calls fn with each trigram of a folded text.
func grams(s Section, text []byte, fn func(Gram)) {
	var r roll
	r.text(s, text, fn)
}

// roll goes over a text that comes in pieces.
type roll struct {
	last uint32 // octets
	have int    // of them, up to two
}

func (r *roll) text(s Section, piece []byte, fn func(Gram)) {
	for _, c := range piece {
		r.last = (r.last<<8 | uint32(c)) & 0xffffff
		if r.have < 2 {
			r.have++
			continue
		}
		fn(Gram(uint32(s)<<24 | r.last))
	}
}
