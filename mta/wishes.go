package mta

import (
	"strconv"
	"strings"
	"time"
)

// MaxHold is for how long a message may be held back before it is released (RFC 4865).
const MaxHold = 90 * 24 * time.Hour

// The priorities of a message (RFC 6710, section 3); 0 is that of one which asks for none.
const (
	LowestPriority  = -9
	HighestPriority = 9
)

// ByMode says what becomes of a message that was not delivered in time (RFC 2852, section 4).
type ByMode string

// The modes.
const (
	ByReturn ByMode = "R" // it goes back to its sender
	ByNotify ByMode = "N" // its sender is told, and it is tried on
)

// By is a time by which a message is to be delivered (RFC 2852). The zero By is none.
type By struct {
	Time  time.Time
	Mode  ByMode
	Trace bool // each host tells the sender that it handed the message on
}

// maxBy is the longest time that the BY parameter can say, in seconds: 9 digits.
const maxBy = 999_999_999

// ParseBy reads the value of the BY parameter of MAIL, which counts from now (RFC 2852, section 4); ok false where it is none.
func ParseBy(value string, now time.Time) (b By, ok bool) {
	seconds, mode, ok := strings.Cut(value, ";")
	digits := strings.TrimLeft(seconds, "+-")
	if !ok || len(seconds)-len(digits) > 1 || len(digits) == 0 || len(digits) > 9 {
		return By{}, false
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return By{}, false
	}
	b = ByStored(now.Add(time.Duration(n)*time.Second), strings.ToUpper(mode))
	if b.Mode == "" || b.Mode == ByReturn && n <= 0 {
		return By{}, false
	}
	return b, true
}

// Value is what the BY parameter says now.
func (b By) Value(now time.Time) string {
	n := int64(b.Time.Sub(now) / time.Second)
	return strconv.FormatInt(max(-maxBy, min(n, maxBy)), 10) + ";" + b.Word()
}

// Word is the mode as it is written behind the time and stored, with its T.
func (b By) Word() string {
	if b.Trace {
		return string(b.Mode) + "T"
	}
	return string(b.Mode)
}

// ByStored makes a By of its time and its Word; the zero By of a word that is none.
func ByStored(at time.Time, word string) By {
	mode, trace := strings.CutSuffix(word, "T")
	if m := ByMode(mode); m == ByReturn || m == ByNotify {
		return By{at, m, trace}
	}
	return By{}
}
