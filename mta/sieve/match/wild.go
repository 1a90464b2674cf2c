package match

import (
	"strings"
	"unicode/utf8"
)

// wild is a pattern of Matches: "*" is any characters, "?" is one, "\" takes the meaning of what follows.
type wild struct {
	runs []run // around the stars: one more than there are stars
}

// run is what stands between two stars.
type run struct {
	items []item
	plain string // the text of a run without "?"
	size  int    // characters
	open  bool   // it has a "?"
}

// item is a text, or one character that may be any.
type item struct {
	text string
	any  bool
}

func parseWild(pattern string) *wild {
	w := &wild{runs: make([]run, 1)}
	var text strings.Builder
	end := func() {
		if text.Len() > 0 {
			w.last().add(item{text: text.String()})
			text.Reset()
		}
	}
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			end()
			w.runs = append(w.runs, run{})
		case '?':
			end()
			w.last().add(item{any: true})
		case '\\':
			if i+1 < len(pattern) {
				i++
			}
			text.WriteByte(pattern[i])
		default:
			text.WriteByte(c)
		}
	}
	end()
	return w
}

func (w *wild) last() *run { return &w.runs[len(w.runs)-1] }

func (r *run) add(i item) {
	r.items = append(r.items, i)
	if i.any {
		r.size++
		r.open = true
		return
	}
	r.plain += i.text
	r.size += utf8.RuneCountInString(i.text)
}

// match holds text, which is original as the comparator sees it, against the pattern. Each star but the last takes as little as it can
// (RFC 5229, section 3.2); captures are of original.
func (w *wild) match(text, original string, b *Budget) (bool, []string, error) {
	m := &attempt{text: text, original: original, budget: b, captures: []string{original}}
	first, last := &w.runs[0], w.last()
	at, ok := m.here(first, 0)
	if len(w.runs) == 1 {
		return ok && at == len(text), m.captures, m.err
	}
	for i := 1; ok && i < len(w.runs)-1; i++ {
		at, ok = m.find(&w.runs[i], at)
	}
	if !ok || m.err != nil {
		return false, nil, m.err
	}
	start := back(text, last.size)
	if start < at || m.err != nil {
		return false, nil, m.err
	}
	m.captures = append(m.captures, original[at:start])
	end, ok := m.here(last, start)
	return ok && end == len(text), m.captures, m.err
}

// back gives where the last n characters begin, or -1.
func back(text string, n int) int {
	at := len(text)
	for ; n > 0; n-- {
		if at == 0 {
			return -1
		}
		_, size := utf8.DecodeLastRuneInString(text[:at])
		at -= size
	}
	return at
}

// attempt is one matching.
type attempt struct {
	text, original string
	budget         *Budget
	captures       []string
	err            error
}

// here matches a run at a place and gives where it ends. Captures are kept only where it matches.
func (m *attempt) here(r *run, at int) (int, bool) {
	kept := len(m.captures)
	for _, i := range r.items {
		if m.err == nil {
			m.err = m.budget.Spend(1 + len(i.text))
		}
		switch {
		case m.err != nil:
		case i.any && at < len(m.text):
			_, size := utf8.DecodeRuneInString(m.text[at:])
			m.captures = append(m.captures, m.original[at:at+size])
			at += size
			continue
		case !i.any && strings.HasPrefix(m.text[at:], i.text):
			at += len(i.text)
			continue
		}
		m.captures = m.captures[:kept]
		return 0, false
	}
	return at, true
}

// find finds the first place of a run from at on, captures what was passed over, and gives where the run ends.
func (m *attempt) find(r *run, at int) (int, bool) {
	hole := len(m.captures)
	m.captures = append(m.captures, "")
	if !r.open {
		if m.err = m.budget.Spend(len(r.plain)); m.err != nil {
			return 0, false
		}
		i := strings.Index(m.text[at:], r.plain)
		if i < 0 {
			m.err = m.budget.Spend((len(m.text) - at) / searchSpeed)
			return 0, false
		}
		m.err = m.budget.Spend(i / searchSpeed)
		m.captures[hole] = m.original[at : at+i]
		return at + i + len(r.plain), m.err == nil
	}
	for start := at; ; {
		if end, ok := m.here(r, start); ok {
			m.captures[hole] = m.original[at:start]
			return end, true
		}
		if start >= len(m.text) || m.err != nil {
			return 0, false
		}
		_, size := utf8.DecodeRuneInString(m.text[start:])
		start += size
	}
}
