package sieve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta/sieve/letter"
	"github.com/rookery-mail/rookery/mta/sieve/mailto"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

func notifySpec() spec {
	return spec{ext: []string{"enotify"}, args: []string{"s"}, action: (*compiler).notify, tags: append(fccTags(),
		tag{":from", 's', "", ""}, tag{":importance", 's', "", ""}, tag{":options", 'l', "", ""}, tag{":message", 's', "", ""})}
}

// notice is a notify as the script says it.
type notice struct {
	method, from, message text
	importance            int
	copied                bool
	copy                  filing
}

// notify compiles RFC 5435, section 3, with the method of RFC 5436.
func (c *compiler) notify(k *call) (action, *Error) {
	n := notice{importance: 2}
	var err *Error
	if n.method, err = c.one(k.args[0]); err != nil {
		return nil, err
	}
	if n.method.constant() {
		if _, wrong := mailto.Parse(n.method.literal); wrong != nil {
			return nil, syntax.Errorf(k.args[0].Pos, "%v", wrong)
		}
	}
	if a := k.tags[":from"]; a != nil {
		if n.from, err = c.one(a); err != nil {
			return nil, err
		}
	}
	if a := k.tags[":message"]; a != nil {
		if n.message, err = c.one(a); err != nil {
			return nil, err
		}
	}
	if a := k.tags[":importance"]; a != nil {
		word, err := c.constant(a)
		if err != nil {
			return nil, err
		}
		if n.importance = strings.Index(" 123", word); n.importance < 1 || len(word) != 1 {
			return nil, syntax.Errorf(a.Pos, `the importance is "1", "2" or "3"`)
		}
	}
	if n.copy, n.copied, err = c.fcc(k); err != nil {
		return nil, err
	}
	return func(m *machine) (flow, error) { return onward, m.notify(k, n) }, nil
}

// notify adds a Notice. A message that is a notice itself, or a failure's report, makes none (RFC 5436, section 2.7.1).
func (m *machine) notify(k *call, n notice) error {
	all, err := m.expandAll([]text{n.method, n.from, n.message})
	if err != nil {
		return err
	}
	to, err := mailto.Parse(all[0])
	if err != nil {
		return err
	}
	if err := m.count(); err != nil {
		return err
	}
	if why := m.mayNotify(); why != "" {
		m.tell(k.Line, "notify: not sent: %s", why)
		return nil
	}
	out := Notice{To: to.To, Cc: to.Cc, Bcc: to.Bcc, Subject: to.Subject, Body: to.Body, Importance: n.importance, Header: map[string]string{}}
	for name, value := range to.Header {
		if mayName(name) {
			out.Header[name] = value
		}
	}
	if all[1] != "" {
		if out.From, err = senderOf(all[1]); err != nil {
			return err
		}
	}
	if all[2] != "" {
		out.Subject = strings.Join(strings.Fields(all[2]), " ")
	}
	if out.Subject == "" {
		out.Subject = "New mail: " + m.firstText("Subject")
	}
	if out.Body == "" {
		out.Body = fmt.Sprintf("From: %s\r\nSubject: %s\r\n", m.firstText("From"), m.firstText("Subject"))
	}
	if out.Copy, err = m.copyOf(n.copy, n.copied); err != nil {
		return err
	}
	m.out.Notices = append(m.out.Notices, out)
	m.tell(k.Line, "notify: %s", strings.Join(slices.Concat(out.To, out.Cc, out.Bcc), ", "))
	return nil
}

func (m *machine) mayNotify() string {
	if m.in.Envelope.From == "" {
		return "the sender is null"
	}
	for _, f := range m.letter.Fields("Auto-Submitted") {
		if strings.HasPrefix(strings.ToLower(f.Subject().Text), "auto-notified") {
			return "the message is a notice"
		}
	}
	return ""
}

// firstText gives the text of the first field of a name, shortened.
func (m *machine) firstText(name string) string {
	for _, f := range m.letter.Fields(name) {
		return strings.Join(strings.Fields(cut(f.Subject().Text, 200)), " ")
	}
	return ""
}

// mayName tells whether a mailto URI may set a field (RFC 5436, section 2.3; RFC 6068, section 5).
func mayName(name string) bool {
	switch name {
	case "from", "sender", "reply-to", "date", "message-id", "received", "return-path", "auto-submitted", "mime-version", "importance",
		"precedence", "delivered-to", "authentication-results", "dkim-signature", "references", "in-reply-to":
		return false
	}
	for _, start := range []string{"content-", "resent-", "arc-", "list-"} {
		if strings.HasPrefix(name, start) {
			return false
		}
	}
	return len(name) <= 76
}

// validNotifyMethod compiles RFC 5435, section 4.
func (c *compiler) validNotifyMethod(k *call) (check, *Error) {
	return c.everyOne(k.args[0], func(_ *machine, uri string) bool {
		_, err := mailto.Parse(uri)
		return err == nil
	})
}

// notifyCapability compiles RFC 5435, section 5. Of "online" nothing is known for mail.
func (c *compiler) notifyCapability(k *call) (check, *Error) {
	var texts [2]text
	for i := range texts {
		var err *Error
		if texts[i], err = c.one(k.args[i]); err != nil {
			return nil, err
		}
	}
	t, err := c.matcher(k, k.args[2])
	if err != nil {
		return nil, err
	}
	return func(m *machine) (bool, error) {
		all, err := m.expandAll(texts[:])
		if err != nil {
			return false, err
		}
		if _, wrong := mailto.Parse(all[0]); wrong != nil || !strings.EqualFold(all[1], "online") {
			return false, nil
		}
		return t.any(m, subjectsOf("maybe"))
	}, nil
}

// addressesIn reads the addresses of a value.
func addressesIn(value string) []mailbox {
	return addressesOf(&letter.Field{Raw: []byte("From:" + value)})
}
