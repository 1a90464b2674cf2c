package engine

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/rookery-mail/rookery/imapd/wire"
)

// base are the capabilities that are told before login already; extensions only after it, so that the
// greeting stays short. Each extension adds its line to one of the two.
func base() []string {
	return []string{"IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE"}
}

func extensions() []string {
	return []string{
		"IDLE", "NAMESPACE", "UNSELECT", "UIDPLUS", "MOVE", "CHILDREN", "SPECIAL-USE", "CREATE-SPECIAL-USE",
		"LIST-EXTENDED", "LIST-STATUS", "STATUS=SIZE", "ESEARCH", "SEARCHRES", "SEARCH=FUZZY", "MULTIAPPEND", "REPLACE", "SORT", "SORT=DISPLAY", "ESORT", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES",
		"THREAD=REFS", "OBJECTID", "PREVIEW", "PARTIAL", "INPROGRESS", "NOTIFY", "CONTEXT=SEARCH", "CONTEXT=SORT", "MULTISEARCH",
		"UIDONLY", "UIDBATCHES",
		"BINARY", "CONDSTORE", "QRESYNC",
		"METADATA", "LIST-METADATA", "QUOTASET", "CATENATE",
		"SAVEDATE", "WITHIN", "UTF8=ACCEPT", "QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE",
	}
}

// Hideable reports whether Config.Hide may name a capability: one of those that are told after the login.
func Hideable(capability string) bool {
	return capability == "COMPRESS=DEFLATE" || slices.Contains(extensions(), capability)
}

func (s *Session) hides(capability string) bool { return slices.Contains(s.c.Hide, capability) }

// capabilities is what CAPABILITY tells in the state of the session.
func (s *Session) capabilities() string {
	caps := base()
	if s.state != notAuthenticated {
		caps = append(caps, extensions()...)
		if !s.peer.Conn.Compressed() {
			caps = append(caps, "COMPRESS=DEFLATE")
		}
		if s.peer.Others != nil {
			caps = append(caps, "ACL", "RIGHTS=texk", "LIST-MYRIGHTS", "URLAUTH")
		}
		if s.peer.Leave != nil {
			caps = append(caps, "UNAUTHENTICATE")
		}
		if limit := s.limitCapability(); limit != "" {
			caps = append(caps, limit)
		}
		caps = append(caps, "APPENDLIMIT="+strconv.FormatInt(s.c.MaxMessage, 10))
		return strings.Join(slices.DeleteFunc(caps, s.hides), " ")
	}
	if s.peer.Conn.CanStartTLS() {
		caps = append(caps, "STARTTLS")
	}
	for _, m := range s.peer.Login.Mechanisms() {
		caps = append(caps, "AUTH="+m)
	}
	if !s.peer.Login.Password() {
		caps = append(caps, "LOGINDISABLED")
	}
	return strings.Join(caps, " ")
}

func (s *Session) capability(context.Context, *wire.Command) (reply, error) {
	s.w.Raw("* CAPABILITY ")
	s.w.Raw(s.capabilities())
	s.w.CRLF()
	return reply{}, nil
}

// enable is ENABLE (RFC 5161; RFC 9051, section 6.3.1). Unknown capabilities are passed over.
func (s *Session) enable(ctx context.Context, cmd *wire.Command) (reply, error) {
	var on []string
	for _, c := range cmd.Args.(*wire.Enable).Capabilities {
		if s.hides(c) {
			continue
		}
		switch c {
		case "IMAP4REV2":
			s.enabled.rev2 = true
			on = append(on, "IMAP4rev2")
		case "UTF8=ACCEPT":
			s.enabled.utf8 = true
			on = append(on, c)
		case "CONDSTORE":
			s.useCondStore()
			on = append(on, c)
		case "METADATA":
			if err := s.useMetadata(ctx); err != nil {
				return reply{}, err
			}
			on = append(on, c)
		case "QRESYNC": // it brings CONDSTORE along (RFC 7162, section 3.2.3)
			s.useCondStore()
			s.enabled.qresync = true
			on = append(on, c)
		case "UIDONLY":
			s.useUIDOnly()
			on = append(on, c)
		}
	}
	utf8 := s.enabled.rev2 || s.enabled.utf8
	s.r.SetUTF8(utf8)
	s.w.SetUTF8(utf8)
	s.w.Raw("* ENABLED")
	for _, c := range on {
		s.w.Byte(' ')
		s.w.Raw(c)
	}
	s.w.CRLF()
	return reply{}, nil
}

// useCondStore turns CONDSTORE on and, with a mailbox selected, tells where it stands (RFC 7162,
// section 3.1).
func (s *Session) useCondStore() {
	if s.enabled.condStore {
		return
	}
	s.enabled.condStore = true
	if s.box != nil {
		s.tellModSeq(s.view.Since())
	}
}
