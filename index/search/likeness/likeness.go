// Package likeness says how like the texts of a message are to a text that is looked for with typing errors in it, or
// in only some of its words: what SEARCH FUZZY finds (RFC 6203) and how relevant it is. It takes texts as package search
// folds them; it reads no messages and knows no search programs.
//
// A text that is looked for is a Needle of words: runs of letters, digits and marks. Each word of it is held against each
// word of the texts, and has the likeness of the one that is most like it:
//
//	100  the word itself
//	 80  a word that begins with it
//	 60  a word that has it somewhere
//	 40  a word of one error's distance: a character more, less or another one, or two neighbours in the other order
//	 20  a word of two errors' distance
//
// Words of four to seven characters may have one error, longer ones two, and of what has errors at least three octets in a
// row are still the word's. A message matches where two words in three are found, and its score is the mean of all.
package likeness

import (
	"unicode"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/index/search/trigram"
)

// The bounds of the work: what is beyond is passed over.
const (
	MaxWords = 16      // of a needle, those that come first
	MaxText  = 1 << 20 // octets of texts that one Match looks at

	maxWord = 64  // octets of a word of a needle, and of any that is looked at for errors
	maxRun  = 256 // octets of a word of a text; longer ones are looked at in pieces that overlap
)

// The likenesses of words.
const (
	same   = 100
	starts = 80
	within = 60
	once   = 40
	twice  = 20 // of two errors
)

// Needle is a text that is looked for, made ready. It may be used by several goroutines at once.
type Needle struct {
	words []word
	least int // of them, that a message must have
}

// word is one of a Needle.
type word struct {
	text   []byte
	runes  []rune
	errors int // that it may have
}

// New makes a folded text ready. It is nil for a text without a word, which is like nothing.
func New(text []byte) *Needle {
	n := &Needle{}
	for len(text) > 0 && len(n.words) < MaxWords {
		if i := run(text); i > 0 {
			n.add(text[:i])
			text = text[i:]
			continue
		}
		_, size := utf8.DecodeRune(text)
		text = text[size:]
	}
	if len(n.words) == 0 {
		return nil
	}
	n.least = len(n.words) - len(n.words)/3
	return n
}

// add adds a word that is not there yet, cut where it is too long.
func (n *Needle) add(text []byte) {
	if len(text) > maxWord {
		cut := maxWord
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	for i := range n.words {
		if string(n.words[i].text) == string(text) {
			return
		}
	}
	w := word{text: append([]byte(nil), text...), runes: []rune(string(text))}
	switch c := len(w.runes); {
	case c >= 8:
		w.errors = 2
	case c >= 4:
		w.errors = 1
	}
	n.words = append(n.words, w)
}

// Query asks an index for the messages that a Match over texts of these sections may find.
func (n *Needle) Query(sections ...trigram.Section) *trigram.Query {
	of := make([]*trigram.Query, len(n.words))
	for i := range n.words {
		of[i] = trigram.Nearly(n.words[i].text, n.words[i].lost(), sections...)
	}
	return trigram.AtLeast(n.least, of...)
}

// lost is how many trigrams of the word its errors can take: two neighbours in the other order take all that have an
// octet of either, two octets more than the two characters have.
func (w *word) lost() int {
	widest := 1
	for _, c := range w.runes {
		widest = max(widest, utf8.RuneLen(c))
	}
	return w.errors * (2*widest + 2)
}

// run gives how many octets of words text begins with.
func run(text []byte) int {
	i := 0
	for i < len(text) {
		c := text[i]
		if c < utf8.RuneSelf {
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z') {
				break
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if !unicode.In(r, unicode.Letter, unicode.Number, unicode.Mark) {
			break
		}
		i += size
	}
	return i
}
