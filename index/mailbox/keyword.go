package mailbox

import (
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/index"
)

// systemFlags are the bits that may be stored.
const systemFlags = uint32(index.FlagSeen | index.FlagAnswered | index.FlagFlagged | index.FlagDeleted | index.FlagDraft)

// checkFlags refuses bits and keywords that no mailbox can have. Keywords are atoms (RFC 9051,
// section 9, flag-keyword).
func checkFlags(system uint32, keywords []string) error {
	if system&^systemFlags != 0 {
		return fmt.Errorf("unknown system flags %#x", system&^systemFlags)
	}
	if len(keywords) > MaxKeywords {
		return fmt.Errorf("more than %d keywords", MaxKeywords)
	}
	for _, k := range keywords {
		if !validKeyword(k) {
			return fmt.Errorf("%q is not a keyword", k)
		}
	}
	return nil
}

func validKeyword(k string) bool {
	if k == "" || len(k) > MaxKeyword {
		return false
	}
	for i := range len(k) {
		switch c := k[i]; {
		case c <= ' ' || c >= 0x7f:
			return false
		case c == '(' || c == ')' || c == '{' || c == '%' || c == '*' || c == '"' || c == '\\' || c == ']':
			return false
		}
	}
	return true
}

// number returns the number of a keyword in m, or ok false where it was never used there.
func (m *mailboxState) number(keyword string) (n uint32, ok bool) {
	for i, k := range m.rec.Keywords {
		if asciiFold(k, keyword) {
			return uint32(i), true
		}
	}
	return 0, false
}

// missing returns how many of keywords m has not used yet.
func (m *mailboxState) missing(keywords []string) int {
	n := 0
	for i, k := range keywords {
		if _, ok := m.number(k); ok {
			continue
		}
		if !slices.ContainsFunc(keywords[:i], func(e string) bool { return asciiFold(e, k) }) {
			n++
		}
	}
	return n
}

// takes reports whether m has room for what it has not used yet of keywords.
func (m *mailboxState) takes(keywords []string) bool {
	return len(m.rec.Keywords)+m.missing(keywords) <= MaxKeywords
}

// numbers returns the numbers of keywords in m, ascending, without repetition. It gives new ones out
// while there is room, and leaves out what finds none.
func (m *mailboxState) numbers(keywords []string) []uint32 {
	if len(keywords) == 0 {
		return nil
	}
	out := make([]uint32, 0, len(keywords))
	for _, k := range keywords {
		n, ok := m.number(k)
		if !ok {
			if len(m.rec.Keywords) >= MaxKeywords {
				continue
			}
			n = uint32(len(m.rec.Keywords))
			m.rec.Keywords = append(m.rec.Keywords, k)
			m.dirty = true
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// known returns the numbers of those of keywords that m has used, ascending.
func (m *mailboxState) known(keywords []string) (out []uint32) {
	for _, k := range keywords {
		if n, ok := m.number(k); ok {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// words returns the keywords of numbers. A number that was never given out is left out.
func words(keywords []string, numbers []uint32) []string {
	if len(numbers) == 0 {
		return nil
	}
	out := make([]string, 0, len(numbers))
	for _, n := range numbers {
		if int(n) < len(keywords) {
			out = append(out, keywords[n])
		}
	}
	return out
}
