package sieve

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// environment compiles RFC 5183, section 4. An item that is not known makes the test false.
func (c *compiler) environment(k *call) (check, *Error) {
	name, err := c.one(k.args[0])
	if err != nil {
		return nil, err
	}
	t, err := c.matcher(k, k.args[1])
	if err != nil {
		return nil, err
	}
	return func(m *machine) (bool, error) {
		s, err := m.expand(name)
		if err != nil {
			return false, err
		}
		value, ok := m.in.Environment[strings.ToLower(s)]
		if !ok {
			return false, nil
		}
		return t.any(m, subjectsOf(value))
	}, nil
}

// askWork is what it costs to ask for something that is not in the message.
const askWork = 1000

// everyOne compiles a test that is true where ok is for each of the strings of an argument.
func (c *compiler) everyOne(a *syntax.Argument, ok func(*machine, string) bool) (check, *Error) {
	texts, err := c.texts(a)
	return func(m *machine) (bool, error) {
		list, err := m.expandAll(texts)
		if err != nil {
			return false, err
		}
		for _, s := range list {
			if err := m.budget.Spend(askWork); err != nil {
				return false, err
			}
			if !ok(m, s) {
				return false, nil
			}
		}
		return true, nil
	}, err
}

// mailboxExists compiles RFC 5490, section 3.1.
func (c *compiler) mailboxExists(k *call) (check, *Error) {
	return c.everyOne(k.args[0], func(m *machine, name string) bool {
		name, err := mailboxName(name)
		return err == nil && m.mailboxes().Exists(name)
	})
}

// mailboxIDExists compiles RFC 9042, section 5.
func (c *compiler) mailboxIDExists(k *call) (check, *Error) {
	return c.everyOne(k.args[0], func(m *machine, id string) bool {
		_, ok := m.mailboxes().ByID(id)
		return ok
	})
}

// specialUseExists compiles RFC 8579, section 3.
func (c *compiler) specialUseExists(k *call) (check, *Error) {
	var name text
	var err *Error
	if len(k.args) == 2 {
		if name, err = c.one(k.args[0]); err != nil {
			return nil, err
		}
	}
	return c.everyOne(k.args[len(k.args)-1], func(m *machine, use string) bool {
		found, ok := m.mailboxes().BySpecialUse(use)
		if !ok || len(k.args) == 1 {
			return ok
		}
		wanted, err := m.expand(name)
		if err != nil {
			return false
		}
		wanted, err = mailboxName(wanted)
		return err == nil && wanted == found
	})
}

// spamTest compiles RFC 5235, section 2: 0 is not tested, 1 to 10 from clean to spam, or with :percent 0 to 100.
func (c *compiler) spamTest(k *call) (check, *Error) {
	return c.scoreTest(k, func(m *machine) (Score, int) {
		value := int(math.Round(clamp(m.in.Spam.Value) * 9))
		if k.has(":percent") {
			return m.in.Spam, int(math.Round(clamp(m.in.Spam.Value) * 100))
		}
		return m.in.Spam, 1 + value
	})
}

// virusTest compiles RFC 5235, section 3: 0 is not tested, 1 to 5 from clean to infected.
func (c *compiler) virusTest(k *call) (check, *Error) {
	return c.scoreTest(k, func(m *machine) (Score, int) {
		return m.in.Virus, 1 + int(math.Round(clamp(m.in.Virus.Value)*4))
	})
}

func clamp(v float64) float64 { return max(0, min(v, 1)) }

func (c *compiler) scoreTest(k *call, value func(*machine) (Score, int)) (check, *Error) {
	t, err := c.matcher(k, k.args[0])
	if err != nil {
		return nil, err
	}
	return func(m *machine) (bool, error) {
		s, n := value(m)
		switch {
		case s.Known:
		case t.counts():
			return t.any(m, nil)
		default:
			n = 0
		}
		return t.any(m, subjectsOf(strconv.Itoa(n)))
	}, nil
}

// ihave compiles RFC 5463, section 4.
func (c *compiler) ihave(k *call) (check, *Error) {
	return c.everyOne(k.args[0], func(_ *machine, name string) bool {
		return slices.Contains(Extensions(), name) && (!changesStrings(name) || c.enabled[name])
	})
}

// The times for which duplicate remembers (RFC 7352, section 3.1), in seconds.
const (
	defaultDuplicate = 7 * 86400
	maxDuplicate     = 90 * 86400
)

// duplicate compiles RFC 7352.
func (c *compiler) duplicate(k *call) (check, *Error) {
	var handle, header, unique text
	for _, f := range []struct {
		tag string
		to  *text
	}{{":handle", &handle}, {":header", &header}, {":uniqueid", &unique}} {
		if a := k.tags[f.tag]; a != nil {
			var err *Error
			if *f.to, err = c.one(a); err != nil {
				return nil, err
			}
		}
	}
	within := min(k.number(":seconds", defaultDuplicate), maxDuplicate)
	return func(m *machine) (bool, error) {
		all, err := m.expandAll([]text{handle, header, unique})
		if err != nil {
			return false, err
		}
		id, ok := all[2], true
		if !k.has(":uniqueid") {
			if all[1] == "" {
				all[1] = "Message-ID"
			}
			fields := m.letter.Fields(all[1])
			if ok = len(fields) > 0; ok {
				id = fields[0].Subject().Text
			}
		}
		if !ok || id == "" && !k.has(":uniqueid") {
			return false, nil // nothing to know it by (RFC 7352, section 3)
		}
		return m.isDuplicate(k, all[0], id, Duplicate{For: seconds(int64(within)), Last: k.has(":last")})
	}, nil
}

func (m *machine) isDuplicate(k *call, handle, id string, d Duplicate) (bool, error) {
	if err := m.budget.Spend(askWork + len(id)); err != nil {
		return false, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "duplicate %d %s %s", len(handle), handle, id))
	d.Key = hex.EncodeToString(sum[:])
	seen, asked := m.seen[d.Key]
	if !asked {
		if len(m.seen) >= m.limits.Actions {
			return false, fmt.Errorf("more than %d ids are asked for", m.limits.Actions)
		}
		seen = m.in.Seen != nil && m.in.Seen(d.Key)
		m.seen[d.Key] = seen
	}
	if i := slices.IndexFunc(m.out.Remember, func(o Duplicate) bool { return o.Key == d.Key }); i >= 0 {
		m.out.Remember[i].Last = m.out.Remember[i].Last || d.Last
		return seen, nil
	}
	if seen && !d.Last {
		return true, nil // its time runs on
	}
	m.out.Remember = append(m.out.Remember, d)
	return seen, nil
}
