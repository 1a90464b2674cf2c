package message

import (
	"strings"
	"time"
)

// ParseDate reads the unfolded value of a Date field: the form of RFC 5322, section 3.3, the obsolete
// ones of section 4.3 (two-digit years, named zones, comments, no seconds), and the order of C's
// asctime. The time is in a zone of the given offset; "-0000", military and unknown zones are UTC.
func ParseDate(value []byte) (time.Time, bool) {
	r := dateReader{day: -1, month: -1, year: -1, hour: -1}
	l := lexer{b: value}
	for {
		l.skip()
		if l.i >= len(l.b) {
			break
		}
		token := l.until(endsDateToken)
		if len(token) == 0 {
			l.i++ // a comma, or an opening bracket that nothing closes
			continue
		}
		if !r.take(string(token)) {
			return time.Time{}, false
		}
	}
	return r.time()
}

func endsDateToken(c byte) bool {
	return c == ' ' || c == '\t' || c == ',' || c == '('
}

// dateReader takes the words of a date in any order that is not ambiguous.
type dateReader struct {
	day, month, year     int // -1 until known
	hour, minute, second int
	offset               int // seconds east of UTC
	zoned                bool
}

// take reads one word, or tells that this is no date.
func (r *dateReader) take(word string) bool {
	c := word[0]
	switch {
	case r.hour >= 0 && (c == '+' || c == '-'):
		return r.takeOffset(word)
	case r.hour < 0 && strings.IndexByte(word, ':') > 0:
		return r.takeClock(word)
	case '0' <= c && c <= '9':
		if parts := strings.Split(word, "-"); len(parts) == 3 { // 02-Jan-2006
			return r.takeNumber(parts[0]) && r.takeMonth(parts[1]) && r.takeNumber(parts[2])
		}
		return r.takeNumber(word)
	case r.hour >= 0 && r.month >= 0:
		return r.takeZone(word)
	default:
		return r.takeMonth(word) || isDayName(word)
	}
}

// digits reads a short decimal number, or gives -1.
func digits(s string) int {
	if s == "" || len(s) > 5 {
		return -1
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

func (r *dateReader) takeNumber(word string) bool {
	n := digits(word)
	switch {
	case n < 0:
		return false
	case r.day < 0 && len(word) <= 2:
		r.day = n
	case r.year < 0:
		r.year = n
		if len(word) <= 3 { // RFC 5322, section 4.3
			r.year += 1900
			if len(word) <= 2 && n < 50 {
				r.year += 100
			}
		}
	default:
		return false
	}
	return true
}

func (r *dateReader) takeClock(word string) bool {
	parts := strings.Split(word, ":")
	if len(parts) > 3 {
		return false
	}
	r.hour, r.minute = digits(parts[0]), digits(parts[1])
	if len(parts) == 3 {
		s, _, _ := strings.Cut(parts[2], ".")
		r.second = digits(s)
	}
	return r.hour >= 0 && r.hour < 24 && r.minute >= 0 && r.minute < 60 && r.second >= 0 && r.second <= 60
}

// takeOffset reads "+0130"; anything of another form is UTC.
func (r *dateReader) takeOffset(word string) bool {
	if r.zoned {
		return true
	}
	r.zoned = true
	n := digits(strings.Replace(word[1:], ":", "", 1))
	if n < 0 || n > 9959 || n%100 > 59 || n/100 > 24 {
		return true
	}
	r.offset = (n/100*60 + n%100) * 60
	if word[0] == '-' {
		r.offset = -r.offset
	}
	return true
}

// takeZone reads a zone by its name. Words that are none are passed over: there are many in the wild.
func (r *dateReader) takeZone(word string) bool {
	if r.zoned {
		return true
	}
	hours := 0
	switch strings.ToUpper(word) {
	case "EDT":
		hours = -4
	case "EST", "CDT":
		hours = -5
	case "CST", "MDT":
		hours = -6
	case "MST", "PDT":
		hours = -7
	case "PST":
		hours = -8
	case "UT", "GMT", "UTC", "Z":
	default:
		if rest, ok := strings.CutPrefix(word, "GMT"); ok && (rest[0] == '+' || rest[0] == '-') {
			return r.takeOffset(rest)
		}
		return true
	}
	r.zoned = true
	r.offset = hours * 3600
	return true
}

const (
	monthNames = "janfebmaraprmayjunjulaugsepoctnovdec"
	dayNames   = "montuewedthufrisatsun"
)

// nameIndex finds the first three letters of a word in a row of such names.
func nameIndex(names, word string) int {
	if len(word) < 3 {
		return -1
	}
	if i := strings.Index(names, strings.ToLower(word[:3])); i >= 0 && i%3 == 0 {
		return i / 3
	}
	return -1
}

func isDayName(word string) bool { return nameIndex(dayNames, word) >= 0 }

func (r *dateReader) takeMonth(word string) bool {
	m := nameIndex(monthNames, word)
	if m < 0 || r.month >= 0 {
		return false
	}
	r.month = m + 1
	return true
}

func (r *dateReader) time() (time.Time, bool) {
	if r.day < 1 || r.month < 1 || r.year < 1900 || r.year > 9999 || r.hour < 0 {
		return time.Time{}, false
	}
	zone := time.UTC
	if r.offset != 0 {
		zone = time.FixedZone("", r.offset)
	}
	t := time.Date(r.year, time.Month(r.month), r.day, r.hour, r.minute, r.second, 0, zone)
	if r.second < 60 && t.Day() != r.day { // the 31st of February; a leap second may go on to the next day
		return time.Time{}, false
	}
	return t, true
}
