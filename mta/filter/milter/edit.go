package milter

import (
	"fmt"
	"strings"

	"github.com/emersion/go-milter"

	"github.com/rookery-mail/rookery/mta/filter"
)

// maxRecipients is how many recipients a filter may add.
const maxRecipients = 100

// edit reads the changes that a filter asks for at the end of a message, in their order. One that it was not granted in
// the negotiation is an error: it is not the filter that the operator thinks it is.
func (t *talk) edit(r *filter.Report, list []milter.ModifyAction) error {
	replaced := false
	var body []byte
	for _, a := range list {
		if need := needs(a.Code); t.session.ActionOpts&need == 0 {
			return fmt.Errorf("it changes what it did not say it would (%q)", byte(a.Code))
		}
		switch a.Code {
		case milter.ActAddHeader:
			r.Changes = append(r.Changes, filter.Change{Verb: filter.Add, Name: a.HeaderName, Value: t.value(a.HeaderValue)})
		case milter.ActInsertHeader:
			r.Changes = append(r.Changes, filter.Change{Verb: filter.Insert, Name: a.HeaderName, Value: t.value(a.HeaderValue), Index: at(a)})
		case milter.ActChangeHeader:
			r.Changes = append(r.Changes, filter.Change{Verb: filter.Set, Name: a.HeaderName, Value: t.value(a.HeaderValue), Index: max(at(a), 1)})
		case milter.ActReplBody:
			replaced = true
			body = append(body, a.Body...)
		case milter.ActChangeFrom:
			from := path(a.From)
			r.From = &from
		case milter.ActAddRcpt:
			if len(r.Added) == maxRecipients {
				return fmt.Errorf("%w: it adds more than %d recipients", ErrBounds, maxRecipients)
			}
			r.Added = append(r.Added, path(a.Rcpt))
		case milter.ActDelRcpt:
			r.Removed = append(r.Removed, path(a.Rcpt))
		case milter.ActQuarantine:
			r.Detail = a.Reason
			if r.Word != filter.Discard {
				r.Word = filter.Quarantine
			}
		}
	}
	if replaced {
		r.Body = append([]byte{}, body...)
	}
	return nil
}

// value is a field's value with its leading blank, which the filter gives only where it got them with theirs.
func (t *talk) value(text string) string {
	if text == "" || t.session.ProtocolOption(milter.OptHeaderLeadingSpace) {
		return text
	}
	return " " + text
}

func at(a milter.ModifyAction) int { return int(min(a.HeaderIndex, 1<<20)) }

// path is an address without its angle brackets.
func path(text string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "<"), ">")
}

// needs is what must have been granted for a change.
func needs(code milter.ModifyActCode) milter.OptAction {
	switch code {
	case milter.ActAddHeader, milter.ActInsertHeader:
		return milter.OptAddHeader
	case milter.ActChangeHeader:
		return milter.OptChangeHeader
	case milter.ActReplBody:
		return milter.OptChangeBody
	case milter.ActChangeFrom:
		return milter.OptChangeFrom
	case milter.ActAddRcpt:
		return milter.OptAddRcpt | milter.OptAddRcptWithArgs
	case milter.ActDelRcpt:
		return milter.OptRemoveRcpt
	case milter.ActQuarantine:
		return milter.OptQuarantine
	}
	return 0
}
