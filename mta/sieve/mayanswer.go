package sieve

import (
	"slices"
	"strings"
)

// mayAnswer tells to which of the owner's addresses the message is, or why it is not answered (RFC 5230, sections 4.5 and 4.6; RFC 3834,
// section 2).
func (m *machine) mayAnswer(mine []string) (own, why string) {
	from := m.in.Envelope.From
	switch {
	case from == "":
		return "", "the sender is null"
	case isRobot(splitAddress(from).local):
		return "", "the sender " + from + " is no person"
	case slices.ContainsFunc(mine, func(a string) bool { return strings.EqualFold(a, from) }):
		return "", "the sender is the owner"
	}
	for _, name := range []string{"List-Id", "List-Help", "List-Subscribe", "List-Unsubscribe", "List-Post", "List-Owner", "List-Archive",
		"Mailing-List", "Feedback-ID"} {
		if len(m.letter.Fields(name)) > 0 {
			return "", "the message has a field " + name
		}
	}
	for _, f := range m.letter.Fields("Auto-Submitted") {
		word, _, _ := strings.Cut(f.Subject().Text, ";")
		if !strings.EqualFold(strings.TrimSpace(word), "no") {
			return "", "the message is Auto-Submitted"
		}
	}
	for _, f := range m.letter.Fields("Precedence") {
		switch p := strings.ToLower(f.Subject().Text); p {
		case "bulk", "junk", "list":
			return "", "the message has Precedence: " + p
		}
	}
	for _, f := range m.letter.Fields("X-Auto-Response-Suppress") {
		if s := strings.ToLower(f.Subject().Text); strings.Contains(s, "oof") || strings.Contains(s, "all") || strings.Contains(s, "autoreply") {
			return "", "the message has X-Auto-Response-Suppress"
		}
	}
	if own := m.addressedTo(mine); own != "" {
		return own, ""
	}
	return "", "none of the owner's addresses is among the recipients in its header"
}

// addressedTo gives the first of some addresses that the header names as a recipient.
func (m *machine) addressedTo(mine []string) string {
	for _, name := range []string{"To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"} {
		for _, f := range m.letter.Fields(name) {
			if m.budget.Spend(len(f.Raw)) != nil {
				return ""
			}
			for _, a := range addressesOf(f) {
				for _, own := range mine {
					if m.sameAddress(a, own) {
						return own
					}
				}
			}
		}
	}
	return ""
}

// sameAddress tells whether an address of the header is one's own, or that with a detail behind the user.
func (m *machine) sameAddress(a mailbox, own string) bool {
	o := splitAddress(own)
	if !strings.EqualFold(a.domain, o.domain) {
		return false
	}
	user, _ := m.addressPart(a, ":user")
	return strings.EqualFold(a.local, o.local) || strings.EqualFold(user, o.local)
}

// isRobot tells local parts that no person answers to (RFC 5230, section 4.6).
func isRobot(local string) bool {
	local = strings.ToLower(local)
	for _, name := range []string{"mailer-daemon", "listserv", "majordomo", "noreply", "no-reply", "no_reply", "donotreply", "do-not-reply",
		"bounce", "bounces", "postmaster"} {
		if local == name {
			return true
		}
	}
	for _, end := range []string{"-request", "-owner", "-bounces", "-bounce", "-relay", "-noreply", "-no-reply"} {
		if strings.HasSuffix(local, end) {
			return true
		}
	}
	for _, start := range []string{"owner-", "noreply-", "no-reply-", "noreply+", "no-reply+", "bounce-", "bounces-", "bounce+", "bounces+"} {
		if strings.HasPrefix(local, start) {
			return true
		}
	}
	return false
}
