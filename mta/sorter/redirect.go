package sorter

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/plan"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/sieve"
	"github.com/rookery-mail/rookery/mta/wire"
)

// redirect sends the message on to an address. One that comes round is kept instead: it has more Received fields than others, one of
// Delivered-To with the account's own address, or it was sent on before and looked otherwise then. One that is sent to us again, since
// our reply got lost, looks the same: that is sent on once.
func (s *sorter) redirect(r sieve.Redirect) {
	account, to := fmt.Sprint(uint64(s.c.Account)), strings.ToLower(r.To.Address)
	like := digest("redirect", account, to, s.likeness())
	same := s.key("redirected", to)
	switch {
	case wire.CountField(s.c.Header, "received") > maxReceived:
		s.keepInstead("it has come by too many hosts to be sent on to <%s>", r.To.Address)
		return
	case slices.ContainsFunc(values(s.c.Header, "delivered-to"), func(v string) bool { return strings.EqualFold(strings.Trim(v, "<>"), s.c.Own) }):
		s.keepInstead("it was delivered to this account before, and is not sent on to <%s>", r.To.Address)
		return
	case s.c.Known != nil && s.c.Known(like) && !s.c.Known(same):
		s.keepInstead("it was sent on to <%s> before, and has come round", r.To.Address)
		return
	}
	until := s.c.Now.Add(onceFor)
	s.out.Notes = append(s.out.Notes, Note{like, until}, Note{same, until})
	send := queue.Submission{Account: s.c.Account, ID: s.c.ID, Envelope: s.c.Envelope, Recipients: []mta.Recipient{r.To}, Forward: true,
		DedupKey: like}
	send.Envelope.To, send.Envelope.Priority, send.Envelope.By = nil, s.c.Envelope.Priority, r.By
	if r.Return != 0 {
		send.Envelope.Return = r.Return
	}
	if r.Text != nil {
		o := s.other(r.Text)
		o.Sends = append(o.Sends, send)
		return
	}
	s.out.Sends = append(s.out.Sends, send)
}

// likeness tells a message from others though hosts put fields in front of it: what they leave alone.
func (s *sorter) likeness() string {
	id := values(s.c.Header, "message-id")
	if len(id) == 0 {
		return fmt.Sprintf("%x", s.c.Identity)
	}
	return strings.Join(slices.Concat(id, values(s.c.Header, "date"), values(s.c.Header, "from"), values(s.c.Header, "subject")), "\x00")
}

// keepInstead keeps the message where it would be without a script, since what the script says is not done.
func (s *sorter) keepInstead(format string, args ...any) {
	s.tell(format, args...)
	if len(s.out.Copies) == 0 {
		s.out.Copies = []plan.Copy{s.copyOf(sieve.Filing{Implicit: true})}
	}
}

// values are those of the fields of a name, unfolded.
func values(header []byte, name string) (list []string) {
	for rest := header; len(rest) > 0; {
		end := fieldEnd(rest)
		field := rest[:end]
		rest = rest[end:]
		if n, v, ok := bytes.Cut(field, []byte(":")); ok && strings.EqualFold(string(bytes.TrimSpace(n)), name) {
			list = append(list, strings.Join(strings.Fields(string(v)), " "))
		}
	}
	return list
}

// fieldEnd is where the first field of a header ends, with its folded lines.
func fieldEnd(header []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(header[at:], '\n')
		if i < 0 {
			return len(header)
		}
		at += i + 1
		if at >= len(header) || header[at] != ' ' && header[at] != '\t' {
			return at
		}
	}
}
