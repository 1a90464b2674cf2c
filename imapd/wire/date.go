package wire

import "time"

// Date is a date-time as APPEND gives it; the zero Date is none.
type Date struct{ Time time.Time }

// dateTime reads a date-time: "17-Jul-1996 02:44:25 -0700" (RFC 9051, section 9).
func (r *Reader) dateTime() Date {
	s := r.quoted()
	if r.err != nil {
		return Date{}
	}
	t, err := time.Parse(`_2-Jan-2006 15:04:05 -0700`, s)
	if err != nil || t.Year() < 1 {
		r.fail("%.40q is not a date and time", s)
	}
	return Date{Time: t}
}

// AppendDateTime appends t as INTERNALDATE tells it, quoted.
func AppendDateTime(b []byte, t time.Time) []byte {
	return t.AppendFormat(b, `"02-Jan-2006 15:04:05 -0700"`)
}

// date reads a date: 1-Feb-1994, possibly quoted. The result is its midnight in UTC.
func (r *Reader) date() time.Time {
	var s string
	if r.peek() == '"' {
		s = r.quoted()
	} else {
		s = r.atom()
	}
	if r.err != nil {
		return time.Time{}
	}
	t, err := time.Parse("_2-Jan-2006", s)
	if err != nil {
		r.fail("%.40q is not a date", s)
	}
	return t
}

// AppendDate appends t's date as SEARCH takes it.
func AppendDate(b []byte, t time.Time) []byte { return t.AppendFormat(b, "2-Jan-2006") }
