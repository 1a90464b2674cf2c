package sieve

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/sieve/match"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// envelope compiles RFC 5228, section 5.4, with the parts of RFC 6009.
func (c *compiler) envelope(k *call) (check, *Error) {
	names, err := c.texts(k.args[0])
	if err != nil {
		return nil, err
	}
	for i, t := range names {
		if !t.constant() {
			continue
		}
		ext := envelopePart(strings.ToLower(t.literal))
		if ext == "" {
			return nil, syntax.Errorf(k.args[0].Strings[i].Pos, "%s is no part of the envelope", quote(t.literal))
		}
		if ext != "envelope" && !c.enabled[ext] {
			return nil, c.unknown(k.args[0].Strings[i].Pos, "the part %s needs: require %s", quote(t.literal), quote(ext))
		}
	}
	t, err := c.matcher(k, k.args[1])
	if err != nil {
		return nil, err
	}
	part := partOf(k)
	return func(m *machine) (bool, error) {
		var subjects []*match.Subject
		for _, name := range names {
			s, err := m.expand(name)
			if err != nil {
				return false, err
			}
			subjects = append(subjects, subjectsOf(m.envelopeValues(strings.ToLower(s), part)...)...)
		}
		return t.any(m, subjects)
	}, nil
}

// envelopePart gives the extension that a part of the envelope is of; "" where it is none.
func envelopePart(name string) string {
	switch {
	case slices.Contains([]string{"from", "to", "auth"}, name):
		return "envelope"
	case slices.Contains([]string{"notify", "orcpt", "ret", "envid"}, name):
		return "envelope-dsn"
	case slices.Contains([]string{"bytimeabsolute", "bytimerelative", "bymode", "bytrace"}, name):
		return "envelope-deliverby"
	}
	return ""
}

// envelopeValues gives the values of a part of the envelope, none where it was not given.
func (m *machine) envelopeValues(name, part string) []string {
	e := &m.in.Envelope
	switch name {
	case "from":
		if e.From == "" {
			return []string{""} // the null sender, whatever part is asked for
		}
		return m.addressValues(e.From, part)
	case "to":
		return m.addressValues(e.Recipient.Address, part)
	case "auth":
		if e.Auth != "" {
			return m.addressValues(e.Auth, part)
		}
	case "notify":
		return strings.FieldsFunc(e.Recipient.Notify.String(), func(r rune) bool { return r == ',' })
	case "orcpt":
		return m.originalRecipient(part)
	case "ret":
		return present(e.Return.String())
	case "envid":
		if id, err := mta.DecodeXtext(e.EnvID); err == nil {
			return present(id)
		}
	}
	return m.deliverByValues(name)
}

func (m *machine) addressValues(address, part string) []string {
	v, ok := m.addressPart(splitAddress(address), part)
	if !ok {
		return nil
	}
	return []string{v}
}

// originalRecipient gives ORCPT, "type;address" for :all and else of the address alone (RFC 6009, section 2).
func (m *machine) originalRecipient(part string) []string {
	kind, text, ok := strings.Cut(m.in.Envelope.Recipient.ORCPT, ";")
	if !ok {
		return nil
	}
	decoded, err := mta.DecodeXtext(text)
	if err != nil {
		decoded = text
	}
	if part == ":all" {
		return []string{kind + ";" + decoded}
	}
	if !strings.EqualFold(kind, "rfc822") && !strings.EqualFold(kind, "utf-8") {
		return nil
	}
	return m.addressValues(decoded, part)
}

func (m *machine) deliverByValues(name string) []string {
	by := m.in.Envelope.By
	if by.Mode == "" {
		return nil
	}
	switch name {
	case "bytimeabsolute":
		return []string{by.Time.UTC().Format(time.RFC3339)}
	case "bytimerelative":
		return []string{strconv.FormatInt(int64(by.Time.Sub(m.in.Now)/time.Second), 10)}
	case "bymode":
		return []string{map[mta.ByMode]string{mta.ByReturn: "return", mta.ByNotify: "notify"}[by.Mode]}
	case "bytrace":
		if by.Trace {
			return []string{"true"}
		}
		return []string{"false"}
	}
	return nil
}

func present(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
