package sieve

import (
	"errors"
)

// errRejected says that a refused message is not also filed, sent on or answered (RFC 5429, section 2.1.2).
var errRejected = errors.New("the message is refused: it cannot be filed, sent on or answered as well")

// reject refuses the message (RFC 5429).
func (c *compiler) reject(k *call) (action, *Error) {
	reason, err := c.one(k.args[0])
	if err != nil {
		return nil, err
	}
	return func(m *machine) (flow, error) {
		said, err := m.expand(reason)
		if err != nil {
			return stopped, err
		}
		if m.out.Reject != nil || len(m.out.Filings) > 0 || len(m.out.Redirects) > 0 || m.out.Vacation != nil {
			return stopped, errors.New("the message is filed, sent on, answered or refused already")
		}
		if err := m.count(); err != nil {
			return stopped, err
		}
		m.implicit = false
		m.out.Reject = &Rejection{Reason: said, Extended: k.Name == "ereject"}
		m.tell(k.Line, "%s: %s", k.Name, quote(said))
		return onward, nil
	}, nil
}
