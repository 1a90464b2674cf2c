package engine

import (
	"strconv"

	"github.com/rookery-mail/rookery/index"
)

// mailboxID is a MAILBOXID (RFC 8474, section 4): the account and the mailbox's own number, which stay
// through renames and are never given again.
func (s *Session) mailboxID(m index.Mailbox) string {
	owner := s.who.Account
	if m.Owner != 0 {
		owner = m.Owner
	}
	return "F" + strconv.FormatUint(uint64(owner), 10) + "-" + strconv.FormatUint(uint64(m.ID), 10)
}

// emailID is an EMAILID (RFC 8474, section 5.1): messages that are copies share their body. There are
// no THREADIDs (section 5.2): they are NIL.
func emailID(id index.BodyID) string { return "M" + strconv.FormatUint(uint64(id), 10) }

// writeID writes " (id)".
func (s *Session) writeID(id string) {
	s.w.Raw(" (")
	s.w.Raw(id)
	s.w.Byte(')')
}
