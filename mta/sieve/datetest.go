package sieve

import (
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/mta/sieve/letter"
	"github.com/rookery-mail/rookery/mta/sieve/match"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// seconds makes a duration, cut where it would be longer than a century.
func seconds(n int64) time.Duration {
	return time.Duration(min(n, 100*366*86400)) * time.Second
}

// parseMoment reads a date-time of RFC 3339.
func parseMoment(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, strings.ToUpper(strings.TrimSpace(text)))
	if err != nil {
		return t, fmt.Errorf("%s is no date and time such as 2026-05-31T12:00:00Z", quote(text))
	}
	return t, nil
}

// parseZone reads "+0100".
func parseZone(s string) (*time.Location, bool) {
	if len(s) != 5 || s[0] != '+' && s[0] != '-' || strings.Trim(s[1:], "0123456789") != "" {
		return nil, false
	}
	n := 0
	for _, c := range s[1:] {
		n = n*10 + int(c-'0')
	}
	if n%100 > 59 || n/100 > 23 {
		return nil, false
	}
	offset := (n/100*60 + n%100) * 60
	if s[0] == '-' {
		offset = -offset
	}
	return time.FixedZone("", offset), true
}

// datePart gives a part of a date (RFC 5260, section 4.2), ok false where there is no such part.
func datePart(t time.Time, part string) (string, bool) {
	layout := map[string]string{"year": "2006", "month": "01", "day": "02", "date": "2006-01-02", "hour": "15", "minute": "04", "second": "05",
		"time": "15:04:05", "iso8601": "2006-01-02T15:04:05-07:00", "std11": "Mon, 02 Jan 2006 15:04:05 -0700", "zone": "-0700"}
	switch part {
	case "julian":
		y, m, d := t.Date()
		days := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400
		return fmt.Sprint(days + 40587), true // the modified Julian day of 1970-01-01
	case "weekday":
		return fmt.Sprint(int(t.Weekday())), true
	}
	l, ok := layout[part]
	return t.Format(l), ok
}

// when is the zone and part that a date test has.
type when struct {
	zone     text
	zoned    bool
	original bool
	part     text
}

func (c *compiler) when(k *call, part *syntax.Argument) (w when, err *Error) {
	w.original = k.has(":originalzone")
	if a := k.tags[":zone"]; a != nil {
		w.zoned = true
		if w.zone, err = c.one(a); err != nil {
			return w, err
		}
		if _, ok := parseZone(w.zone.literal); w.zone.constant() && !ok {
			return w, syntax.Errorf(a.Pos, "%s is no time zone such as +0100", quote(w.zone.literal))
		}
	}
	if w.part, err = c.one(part); err != nil {
		return w, err
	}
	if _, ok := datePart(time.Time{}, strings.ToLower(w.part.literal)); w.part.constant() && !ok {
		return w, syntax.Errorf(part.Pos, "%s is no part of a date", quote(w.part.literal))
	}
	return w, nil
}

// subject gives the part of a date.
func (w when) subject(m *machine, t time.Time) ([]*match.Subject, error) {
	part, err := m.expand(w.part)
	if err != nil {
		return nil, err
	}
	if w.zoned {
		name, err := m.expand(w.zone)
		if err != nil {
			return nil, err
		}
		zone, ok := parseZone(name)
		if !ok {
			return nil, fmt.Errorf("%s is no time zone", quote(name))
		}
		t = t.In(zone)
	} else if !w.original {
		t = t.In(m.in.Now.Location())
	}
	s, ok := datePart(t, strings.ToLower(part))
	if !ok {
		return nil, fmt.Errorf("%s is no part of a date", quote(part))
	}
	return subjectsOf(s), nil
}

// date compiles RFC 5260, section 4.
func (c *compiler) date(k *call) (check, *Error) {
	s, err := c.source(k, k.args[0])
	if err != nil {
		return nil, err
	}
	if s.index == 0 {
		s.index = 1 // of several the first one counts
	}
	w, err := c.when(k, k.args[1])
	if err != nil {
		return nil, err
	}
	t, err := c.matcher(k, k.args[2])
	if err != nil {
		return nil, err
	}
	return func(m *machine) (bool, error) {
		var subjects []*match.Subject
		err := m.eachField(s, func(f *letter.Field) error {
			value := f.Value()
			if err := m.budget.Spend(len(value)); err != nil {
				return err
			}
			// Trace fields have their date behind the last semicolon (RFC 5321, section 4.4).
			moment, ok := message.ParseDate(value[strings.LastIndexByte(string(value), ';')+1:])
			if !ok {
				return nil
			}
			found, err := w.subject(m, moment)
			subjects = append(subjects, found...)
			return err
		})
		if err != nil {
			return false, err
		}
		return t.any(m, subjects)
	}, nil
}

// currentDate compiles RFC 5260, section 5.
func (c *compiler) currentDate(k *call) (check, *Error) {
	w, err := c.when(k, k.args[0])
	if err != nil {
		return nil, err
	}
	t, err := c.matcher(k, k.args[1])
	if err != nil {
		return nil, err
	}
	return func(m *machine) (bool, error) {
		subjects, err := w.subject(m, m.in.Now)
		if err != nil {
			return false, err
		}
		return t.any(m, subjects)
	}, nil
}
