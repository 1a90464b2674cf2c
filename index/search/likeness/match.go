package likeness

import (
	"bytes"
	"unicode/utf8"
)

// Match holds the texts of one message against a Needle. It is for one goroutine.
//
// Invariant: carry is the end of a word that is not over yet, and shorter than maxRun.
type Match struct {
	needle *Needle
	best   [MaxWords]int // likeness of each word so far
	share  int           // of a likeness that counts, in hundredths
	left   int           // octets that are still looked at
	carry  []byte
	cut    bool // carry does not begin its word
}

// Match begins a message.
func (n *Needle) Match() *Match { return &Match{needle: n, share: 100, left: MaxText} }

// Halve makes what the texts that follow have count half.
func (m *Match) Halve() {
	m.end()
	m.share = 50
}

// Text takes a folded text, or the next piece of one: begins says that it is not the same text as before. It reports
// whether more of them can change anything.
func (m *Match) Text(piece []byte, begins bool) bool {
	if begins {
		m.end()
	}
	piece = piece[:min(len(piece), m.left)]
	m.left -= len(piece)
	for len(piece) > 0 {
		if n := run(piece); n > 0 {
			m.extend(piece[:n])
			piece = piece[n:]
			continue
		}
		m.end()
		_, size := utf8.DecodeRune(piece)
		piece = piece[size:]
	}
	return m.left > 0 && !m.full()
}

// Score gives how like the texts are, from 1 to 100, or 0 where they are not like enough. There are no more texts.
func (m *Match) Score() int {
	m.end()
	found, sum := 0, 0
	for _, b := range m.best[:len(m.needle.words)] {
		if b > 0 {
			found++
		}
		sum += b
	}
	if found < m.needle.least {
		return 0
	}
	return max(sum/len(m.needle.words), 1)
}

// full reports whether no text can add anything.
func (m *Match) full() bool {
	for _, b := range m.best[:len(m.needle.words)] {
		if b < m.share {
			return false
		}
	}
	return true
}

// extend adds octets to the word that is not over.
func (m *Match) extend(octets []byte) {
	for len(octets) > 0 {
		n := min(len(octets), maxRun-len(m.carry))
		m.carry = append(m.carry, octets[:n]...)
		octets = octets[n:]
		if len(m.carry) == maxRun {
			m.look(m.carry, false)
			m.carry = append(m.carry[:0], m.carry[maxRun-maxWord:]...)
			m.cut = true
		}
	}
}

// end is the end of a word.
func (m *Match) end() {
	if len(m.carry) > 0 {
		m.look(m.carry, true)
	}
	m.carry, m.cut = m.carry[:0], false
}

// look holds a word against those of the needle; whole says that it ends here.
func (m *Match) look(v []byte, whole bool) {
	whole = whole && !m.cut
	for i := range m.needle.words {
		if m.best[i] >= m.share {
			continue
		}
		l := m.needle.words[i].likeness(v, whole)
		if l == starts && m.cut {
			l = within
		}
		m.best[i] = max(m.best[i], l*m.share/100)
	}
}

// likeness is how like v is to the word; only a whole word is looked at for errors.
func (w *word) likeness(v []byte, whole bool) int {
	if at := bytes.Index(v, w.text); at >= 0 {
		switch {
		case at > 0:
			return within
		case whole && len(v) == len(w.text):
			return same
		}
		return starts
	}
	if !whole || w.errors == 0 || len(v) > maxWord {
		return 0
	}
	if n := utf8.RuneCount(v) - len(w.runes); n > w.errors || n < -w.errors || !w.shares(v) {
		return 0
	}
	switch d := w.distance(v); {
	case d > w.errors:
		return 0
	case d == 1:
		return once
	}
	return twice
}

// shares reports whether v has three octets in a row of the word.
func (w *word) shares(v []byte) bool {
	for i := 0; i+3 <= len(w.text); i++ {
		if bytes.Contains(v, w.text[i:i+3]) {
			return true
		}
	}
	return false
}

// distance gives the errors between the word and v, of maxWord octets at most, or one more than the word may have
// where there are more: the optimal string alignment distance.
func (w *word) distance(v []byte) int {
	limit := w.errors + 1
	// Rows of the distances between what v begins with and what the word begins with: of the character before the
	// last, of the last, and of this one.
	var rows [3][maxWord + 1]int
	before, last, this := &rows[0], &rows[1], &rows[2]
	for j := range w.runes {
		last[j+1] = j + 1
	}
	var previous rune
	for i := 1; len(v) > 0; i++ {
		c, size := utf8.DecodeRune(v)
		v = v[size:]
		this[0] = i
		least := i
		for j, d := range w.runes {
			change := last[j]
			if c != d {
				change++
			}
			n := min(change, last[j+1]+1, this[j]+1)
			if i > 1 && j > 0 && c == w.runes[j-1] && previous == d {
				n = min(n, before[j-1]+1)
			}
			this[j+1] = n
			least = min(least, n)
		}
		if least >= limit {
			return limit
		}
		previous = c
		before, last, this = last, this, before
	}
	return min(last[len(w.runes)], limit)
}
