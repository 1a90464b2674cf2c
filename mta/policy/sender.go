package policy

import (
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/inbound"
)

// Sender is what DNS says of the domain of a reverse-path.
type Sender struct {
	Domain string
	State  Knowledge // Missing: it has neither MX nor address, or does not exist
	Null   bool      // it says that it takes no mail (RFC 7505)
}

// JudgeSender says what a sender's domain is worth. With Refuse, what DNS does not answer is to be tried again.
func JudgeSender(s Sender, m Mode) (inbound.Finding, *mta.Reply) {
	if m == Off || s.Domain == "" {
		return inbound.Finding{}, nil
	}
	f := inbound.Finding{Check: "sender", Result: "fail"}
	domain := clean(s.Domain)
	switch {
	case s.State == Unclear:
		f.Result, f.Detail = "temperror", "DNS does not say whether "+domain+" takes mail"
		if m == Refuse {
			return f, mta.Replyf(451, mta.TempNoSenderDomain, "DNS gives no answer about %s, try again later", domain)
		}
	case s.Null:
		f.Score, f.Detail = senderMute, domain+" says that it takes no mail"
		if m == Refuse {
			return f, mta.Replyf(550, mta.SenderNullMX, "%s takes no mail (RFC 7505): nobody could answer", domain)
		}
	case s.State == Missing:
		f.Score, f.Detail = senderGone, domain+" has neither hosts for mail nor an address"
		if m == Refuse {
			return f, mta.Replyf(550, mta.BadSenderDomain, "%s does not exist, or takes no mail", domain)
		}
	default:
		f.Result, f.Detail = "pass", domain+" takes mail"
	}
	return f, nil
}

// DomainOf is the domain of a reverse-path in lower case; empty for the null sender, a literal and what is no address.
func DomainOf(path string) string {
	at := strings.LastIndexByte(path, '@')
	if at < 0 || strings.HasPrefix(path[at+1:], "[") {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(path[at+1:], "."))
}

// Wait says a time as a reply does: "5 minutes", "90 seconds".
func Wait(seconds int) string {
	if seconds > 120 {
		return fmt.Sprintf("%d minutes", (seconds+59)/60)
	}
	return fmt.Sprintf("%d seconds", seconds)
}
