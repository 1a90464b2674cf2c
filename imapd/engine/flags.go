package engine

import (
	"strings"

	"github.com/rookery-mail/rookery/index"
)

// systemFlags are all system flags that can be stored, in the order they are told.
func systemFlags() []string {
	return []string{`\Answered`, `\Flagged`, `\Deleted`, `\Seen`, `\Draft`}
}

// systemFlag gives the bit of a system flag in any case, 0 where it is none of them.
func systemFlag(name string) index.Flags {
	switch {
	case equalFold(name, `\Seen`):
		return index.FlagSeen
	case equalFold(name, `\Answered`):
		return index.FlagAnswered
	case equalFold(name, `\Flagged`):
		return index.FlagFlagged
	case equalFold(name, `\Deleted`):
		return index.FlagDeleted
	case equalFold(name, `\Draft`):
		return index.FlagDraft
	}
	return 0
}

// parseFlags tells system flags and keywords apart. \Recent is passed over, since clients copy it from
// other servers; other flags with a backslash cannot be stored.
func parseFlags(names []string) (index.Flags, []string, error) {
	var system index.Flags
	var keywords []string
	for _, n := range names {
		switch bit := systemFlag(n); {
		case bit != 0:
			system |= bit
		case equalFold(n, `\Recent`):
		case strings.HasPrefix(n, `\`), len(n) > index.MaxKeyword:
			return 0, nil, errFlag
		case !hasKeyword(keywords, n):
			if len(keywords) == index.MaxKeywords {
				return 0, nil, index.ErrTooManyKeywords
			}
			keywords = append(keywords, n)
		}
	}
	return system, keywords, nil
}

// hasKeyword compares without case (RFC 9051, section 2.3.2).
func hasKeyword(keywords []string, name string) bool {
	for _, k := range keywords {
		if equalFold(k, name) {
			return true
		}
	}
	return false
}

// writeFlags writes a message's flags in parentheses.
func (s *Session) writeFlags(st index.FlagState) {
	s.w.Byte('(')
	first := true
	write := func(name string) {
		if !first {
			s.w.Byte(' ')
		}
		first = false
		s.w.Raw(name)
	}
	for _, f := range [...]struct {
		bit  index.Flags
		name string
	}{
		{index.FlagAnswered, `\Answered`}, {index.FlagFlagged, `\Flagged`}, {index.FlagDeleted, `\Deleted`},
		{index.FlagSeen, `\Seen`}, {index.FlagDraft, `\Draft`},
	} {
		if st.System&f.bit != 0 {
			write(f.name)
		}
	}
	for _, k := range st.Keywords {
		write(k)
	}
	s.w.Byte(')')
}
