package inbound

import (
	"fmt"

	"github.com/rookery-mail/rookery/mta"
)

// Combine makes the verdicts for the recipients of one message such that SMTP can tell them, which has one reply for all of them
// (RFC 5321, section 4.2.5). The reply is nil where the message is taken. It is put off where any recipient wants that: who
// has it already does not get it twice. It is refused only where all refuse it; else those who would, get it in Junk, which
// their findings tell.
func Combine(verdicts []Verdict) *mta.Reply {
	var refused *mta.Reply
	all := len(verdicts) > 0
	for _, v := range verdicts {
		switch v.Action {
		case Defer:
			return v.Reply
		case Refuse:
			if refused == nil {
				refused = v.Reply
			}
		default:
			all = false
		}
	}
	if all {
		return refused
	}
	for i := range verdicts {
		v := &verdicts[i]
		if v.Action != Refuse {
			continue
		}
		v.Action, v.Reply = Junk, nil
		v.Rule = fmt.Sprintf("%s; it would be refused, but others of its recipients take it", v.Rule)
	}
	return nil
}
