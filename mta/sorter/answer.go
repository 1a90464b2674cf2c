package sorter

import (
	"bytes"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dsn"
	"github.com/rookery-mail/rookery/mta/plan"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/sieve"
)

// maxReply bounds the text of a refusal in the reply, in octets.
const maxReply = 1000

// maxHeader bounds the header that a report returns, in octets.
const maxHeader = 32 << 10

// reject refuses the message, and reports whether there is anything else to do (RFC 5429). Who cannot be told in the reply gets a report;
// nobody who is unknown does, nor a null sender, and the message is kept then.
func (s *sorter) reject(r *sieve.Rejection) (more bool) {
	reason := strings.TrimSpace(strings.ReplaceAll(r.Reason, "\r\n", "\n"))
	if s.c.Alone && (ascii(reason) || s.c.Envelope.UTF8) && len(reason) <= maxReply {
		s.out.Refuse = mta.Replyf(550, mta.NotAuthorized, "%s", reason)
		return false
	}
	if s.c.Alone && (r.Extended || !s.c.Answers || s.c.Envelope.From == "") { // the words do not fit a reply
		s.out.Refuse = mta.Replyf(550, mta.NotAuthorized, "The recipient refuses the message")
		return false
	}
	if s.c.Envelope.From == "" || !s.c.Answers {
		s.keepInstead("it is not refused, since nobody can be told of that")
		return false
	}
	id := s.c.NewID()
	report := dsn.Report{Hostname: s.c.Hostname, To: s.c.Envelope.From, ID: string(id), Date: s.c.Now, EnvID: s.c.Envelope.EnvID, Arrived: s.c.Now,
		UTF8: s.c.Envelope.UTF8, Header: slices.Concat(s.c.Header[:min(len(s.c.Header), maxHeader)], []byte("\r\n")),
		Recipients: []dsn.Recipient{{Address: s.c.To.Address, ORCPT: s.c.To.ORCPT, Action: dsn.Failed, Status: mta.NotAuthorized, Reply: reason, At: s.c.Now}}}
	s.send(Answer{Key: s.key("reject"), Until: s.c.Now.Add(onceFor), Text: report.Message()}, id, report.Global(), s.c.Envelope.From)
	return false
}

// send adds an answer to addresses. Nobody hears of one that does not arrive.
func (s *sorter) send(a Answer, id mta.ID, utf8 bool, to ...string) {
	a.Send = queue.Submission{Account: s.c.Account, ID: id, Envelope: mta.Envelope{Body: mta.Body8Bit, UTF8: utf8}, Forward: true}
	for _, address := range to {
		utf8 = utf8 || !ascii(address)
		a.Send.Recipients = append(a.Send.Recipients, mta.Recipient{Address: address, Notify: mta.NotifyNever})
	}
	a.Send.Envelope.UTF8 = utf8
	s.out.Answers = append(s.out.Answers, a)
}

// vacation answers the sender, once in the time that the script says (RFC 5230, section 4.2).
func (s *sorter) vacation(v *sieve.Vacation) {
	if !s.c.Answers || s.c.Envelope.From == "" {
		s.tell("nobody who may be a stranger's forgery is answered")
		return
	}
	id := s.c.NewID()
	a := Answer{Key: digest("vacation", fmt.Sprint(uint64(s.c.Account)), v.Handle, strings.ToLower(v.To)), Until: s.c.Now.Add(v.Within)}
	if v.Within <= 0 { // each message, but once
		a.Key, a.Until = s.key("vacation", v.Handle), s.c.Now.Add(onceFor)
	}
	w := s.letter(id, firstOf(v.From, v.Own, s.c.Own), v.To)
	subject := v.Subject
	if subject == "" {
		subject = "Auto: " + v.OrigSubject
	}
	w.text("Subject", subject)
	w.raw("In-Reply-To", v.InReplyTo)
	w.raw("References", v.References)
	w.raw("Auto-Submitted", "auto-replied (vacation)")
	if v.MIME {
		a.Text = w.entity(v.Reason)
	} else {
		a.Text = w.plain(v.Reason)
	}
	a.Copy = s.copyOfAnswer(v.Copy)
	s.send(a, id, w.utf8, v.To)
}

// copyOfAnswer is the copy of an answer that the account keeps (RFC 8580): none where there is no such mailbox.
func (s *sorter) copyOfAnswer(f *sieve.Filing) *plan.Copy {
	if f == nil {
		return nil
	}
	if s.missing(*f) {
		s.tell("there is no mailbox %q for a copy of the answer", f.Mailbox)
		return nil
	}
	copy := s.copyOf(*f)
	return &copy
}

// notify tells somebody of the message by mail (RFC 5436).
func (s *sorter) notify(n *sieve.Notice) {
	to := slices.Concat(n.To, n.Cc, n.Bcc)
	if len(to) == 0 {
		return
	}
	id := s.c.NewID()
	w := s.letter(id, firstOf(n.From, s.c.Own), strings.Join(n.To, ", "))
	w.raw("Cc", strings.Join(n.Cc, ", "))
	w.text("Subject", n.Subject)
	w.raw("Auto-Submitted", "auto-notified; owner-email=\""+s.c.Own+"\"")
	w.raw("Importance", map[int]string{1: "high", 3: "low"}[n.Importance])
	for _, name := range slices.Sorted(maps.Keys(n.Header)) {
		if written(name) {
			continue
		}
		w.text(name, n.Header[name])
	}
	a := Answer{Key: s.key("notify", strings.Join(to, " ")), Until: s.c.Now.Add(onceFor), Text: w.plain(n.Body)}
	a.Copy = s.copyOfAnswer(n.Copy)
	s.send(a, id, w.utf8, to...)
}

// written reports whether a field is one that a script's owner has no say in, as mailto URIs name them (RFC 5436, section 2.4).
func written(name string) bool {
	switch name {
	case "from", "to", "cc", "bcc", "subject", "date", "message-id", "sender", "received", "return-path", "auto-submitted", "mime-version", "content-type",
		"content-transfer-encoding", "in-reply-to", "importance", "body", "dkim-signature", "authentication-results", "delivered-to":
		return true
	}
	return strings.HasPrefix(name, "resent-") || strings.HasPrefix(name, "list-") || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' })
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

func ascii(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) }

// letter writes a message.
type letter struct {
	b    bytes.Buffer
	utf8 bool // its header has more than ASCII
}

// letter begins a message of the account's.
func (s *sorter) letter(id mta.ID, from, to string) *letter {
	w := &letter{}
	w.raw("From", from)
	if to == "" {
		to = "undisclosed-recipients:;"
	}
	w.raw("To", to)
	w.raw("Date", mta.Date(s.c.Now.UTC().Truncate(time.Second)))
	w.raw("Message-ID", "<"+string(id)+"@"+s.c.Hostname+">")
	return w
}

// raw writes a field as it is, on one line; none where the value is empty.
func (w *letter) raw(name, value string) {
	if value = oneLine(value); value == "" {
		return
	}
	w.utf8 = w.utf8 || !ascii(value)
	words := strings.Split(value, " ")
	width := len(name) + 1
	w.b.WriteString(name + ":")
	for i, word := range words {
		if i > 0 && width+1+len(word) > 76 {
			w.b.WriteString("\r\n")
			width = 0
		}
		w.b.WriteString(" " + word)
		width += 1 + len(word)
	}
	w.b.WriteString("\r\n")
}

// text writes a field whose value is free text (RFC 2047).
func (w *letter) text(name, value string) {
	w.raw(name, mime.QEncoding.Encode("utf-8", oneLine(value)))
}

// oneLine is s without line ends and control characters.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(s)))
}

// plain ends the message with a text.
func (w *letter) plain(body string) []byte {
	w.b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	return w.end(body)
}

// entity ends the message with a MIME entity, whose header continues its own.
func (w *letter) entity(body string) []byte {
	w.b.WriteString("MIME-Version: 1.0\r\n")
	return w.end(strings.TrimPrefix(body, "MIME-Version: 1.0\r\n"))
}

// end writes the body with lines of CR LF, none of them longer than SMTP takes.
func (w *letter) end(body string) []byte {
	for line := range strings.SplitSeq(strings.TrimSuffix(strings.ReplaceAll(body, "\r\n", "\n"), "\n"), "\n") {
		line = strings.ReplaceAll(strings.ReplaceAll(line, "\r", " "), "\x00", "")
		for len(line) > 998 {
			cut := strings.LastIndexByte(line[:998], ' ')
			if cut <= 0 {
				cut = 990
				for cut > 0 && line[cut]&0xc0 == 0x80 {
					cut--
				}
			}
			w.b.WriteString(line[:cut] + "\r\n")
			line = strings.TrimPrefix(line[cut:], " ")
		}
		w.b.WriteString(line + "\r\n")
	}
	return w.b.Bytes()
}
