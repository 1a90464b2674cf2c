package sieve

import (
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/mta/sieve/letter"
	"github.com/rookery-mail/rookery/mta/sieve/match"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// addressFields are the fields that hold addresses (RFC 5228, section 5.1; RFC 5322; RFC 8058's are none).
func addressFields() []string {
	return []string{"from", "to", "cc", "bcc", "sender", "reply-to", "resent-from", "resent-to", "resent-cc", "resent-bcc", "resent-sender",
		"resent-reply-to", "return-path", "delivered-to", "x-original-to", "x-envelope-to", "envelope-to", "errors-to",
		"disposition-notification-to", "return-receipt-to", "apparently-to", "for-approval", "for-handling", "for-comment", "approved",
		"mail-followup-to", "mail-reply-to", "abuse-reports-to", "x-complaints-to", "x-report-abuse-to", "x-apple-mailto",
		"x-google-original-from", "x-original-from", "original-from", "original-recipient"}
}

// address compiles RFC 5228, section 5.1.
func (c *compiler) address(k *call) (check, *Error) {
	s, err := c.source(k, k.args[0])
	if err != nil {
		return nil, err
	}
	for i, t := range s.names {
		if t.constant() && !slices.Contains(addressFields(), strings.ToLower(t.literal)) {
			return nil, syntax.Errorf(k.args[0].Strings[i].Pos, "%s is no field of addresses", quote(t.literal))
		}
	}
	t, err := c.matcher(k, k.args[1])
	if err != nil {
		return nil, err
	}
	part := partOf(k)
	return func(m *machine) (bool, error) {
		var subjects []*match.Subject
		err := m.eachField(s, func(f *letter.Field) error {
			for _, a := range addressesOf(f) {
				if part != ":all" && (a.local == "" || a.domain == "") {
					continue // what is no address has no parts (RFC 5228, section 2.7.4)
				}
				if v, ok := m.addressPart(a, part); ok {
					subjects = append(subjects, &match.Subject{Text: v})
				}
			}
			return m.budget.Spend(len(f.Raw))
		})
		if err != nil {
			return false, err
		}
		return t.any(m, subjects)
	}, nil
}

// partOf gives which part of addresses a test compares.
func partOf(k *call) string {
	for _, name := range []string{":localpart", ":domain", ":user", ":detail"} {
		if k.has(name) {
			return name
		}
	}
	return ":all"
}

// mailbox is an address in its two parts, of which one is empty in what is no address.
type mailbox struct{ local, domain string }

// addressesOf reads the addresses of a field, those in groups with them.
func addressesOf(f *letter.Field) []mailbox {
	var list []mailbox
	for _, a := range message.Addresses(f.Value()) {
		if a.Host == nil {
			continue // where a group begins or ends
		}
		box := mailbox{string(a.Mailbox), string(a.Host)}
		if box.domain == "MISSING_DOMAIN" {
			box.domain = ""
		}
		if box.local == "MISSING_MAILBOX" {
			box.local = ""
		}
		list = append(list, box)
	}
	return list
}

// addressPart gives a part of an address, ok false where it has none (RFC 5233, section 4, for :detail).
func (m *machine) addressPart(a mailbox, part string) (string, bool) {
	switch part {
	case ":localpart":
		return a.local, true
	case ":domain":
		return a.domain, a.domain != ""
	case ":all":
		if a.domain == "" {
			return a.local, true
		}
		return a.local + "@" + a.domain, true
	}
	i := -1
	if m.in.Delimiters != "" {
		i = strings.IndexAny(a.local, m.in.Delimiters)
	}
	if i <= 0 {
		return a.local, part == ":user"
	}
	if part == ":user" {
		return a.local[:i], true
	}
	return a.local[i+1:], true
}

// splitAddress splits an address of the envelope at its last "@".
func splitAddress(s string) mailbox {
	local, domain := s, ""
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		local, domain = s[:i], s[i+1:]
	}
	if len(local) >= 2 && local[0] == '"' && local[len(local)-1] == '"' {
		local = strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(local[1 : len(local)-1])
	}
	return mailbox{local, domain}
}
