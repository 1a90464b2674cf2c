package sieve

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// The times within which a sender is answered once (RFC 5230, section 4.1).
const (
	defaultDays = 7
	maxDays     = 365
)

func vacationSpec() spec {
	return spec{ext: []string{"vacation"}, args: []string{"s"}, action: (*compiler).vacation, tags: append(fccTags(),
		tag{":days", 'n', "", "time"}, tag{":seconds", 'n', "vacation-seconds", "time"}, tag{":subject", 's', "", ""},
		tag{":from", 's', "", ""}, tag{":addresses", 'l', "", ""}, tag{":mime", 0, "", ""}, tag{":handle", 's', "", ""})}
}

// fccTags are those of RFC 8580.
func fccTags() []tag { return append(filingTags(), tag{":fcc", 's', "fcc", ""}) }

// fcc compiles where a copy of what is sent goes; ok false where it goes nowhere.
func (c *compiler) fcc(k *call) (f filing, ok bool, err *Error) {
	if !k.has(":fcc") {
		for _, t := range filingTags() {
			if k.has(t.name) {
				return f, false, syntax.Errorf(k.tags[t.name].Pos, "the tag %s needs :fcc", t.name)
			}
		}
		return f, false, nil
	}
	if f, err = c.filing(k); err == nil {
		f.mailbox, err = c.one(k.tags[":fcc"])
	}
	if !k.has(":flags") {
		f.own = true // the internal variable is of the message
	}
	return f, true, err
}

// copyOf resolves what fcc compiled.
func (m *machine) copyOf(f filing, ok bool) (*Filing, error) {
	if !ok {
		return nil, nil
	}
	out, err := m.resolve(f)
	return &out, err
}

// answer is a vacation as the script says it.
type answer struct {
	reason, subject, from, handle text
	addresses                     []text
	within                        time.Duration
	copied                        bool
	copy                          filing
}

// vacation compiles RFC 5230 and RFC 6131.
func (c *compiler) vacation(k *call) (action, *Error) {
	a := answer{within: time.Duration(max(1, min(k.number(":days", defaultDays), maxDays))) * 24 * time.Hour}
	if k.has(":seconds") {
		a.within = time.Duration(min(k.number(":seconds", 0), maxDays*86400)) * time.Second
	}
	var err *Error
	if a.reason, err = c.one(k.args[0]); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		tag string
		to  *text
	}{{":subject", &a.subject}, {":from", &a.from}, {":handle", &a.handle}} {
		if arg := k.tags[f.tag]; arg != nil {
			if *f.to, err = c.one(arg); err != nil {
				return nil, err
			}
		}
	}
	if a.from.constant() && a.from.literal != "" {
		if _, wrong := senderOf(a.from.literal); wrong != nil {
			return nil, syntax.Errorf(k.tags[":from"].Pos, "%v", wrong)
		}
	}
	if arg := k.tags[":addresses"]; arg != nil {
		if a.addresses, err = c.texts(arg); err != nil {
			return nil, err
		}
	}
	if a.copy, a.copied, err = c.fcc(k); err != nil {
		return nil, err
	}
	return func(m *machine) (flow, error) { return onward, m.answer(k, a) }, nil
}

// answer adds a Vacation if the message may be answered.
func (m *machine) answer(k *call, a answer) error {
	if m.answered {
		return errors.New("a second vacation in one run")
	}
	if m.out.Reject != nil {
		return errRejected
	}
	if err := m.count(); err != nil {
		return err
	}
	m.answered = true
	all, err := m.expandAll(append([]text{a.reason, a.subject, a.from, a.handle}, a.addresses...))
	if err != nil {
		return err
	}
	own, why := m.mayAnswer(slices.Concat(m.in.Addresses, all[4:]))
	if why != "" {
		m.tell(k.Line, "vacation: no answer: %s", why)
		return nil
	}
	v := &Vacation{To: m.in.Envelope.From, Handle: all[3], Within: a.within, Subject: all[1], Own: own, MIME: k.has(":mime"), Reason: all[0]}
	if all[2] != "" {
		if v.From, err = senderOf(all[2]); err != nil {
			return err
		}
	}
	if v.Handle == "" {
		sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %t %q", all[1], all[2], v.MIME, all[0]))
		v.Handle = hex.EncodeToString(sum[:16])
	}
	if v.Copy, err = m.copyOf(a.copy, a.copied); err != nil {
		return err
	}
	m.thread(v)
	m.out.Vacation = v
	m.tell(k.Line, "vacation: to %s", v.To)
	return nil
}

// thread fills in what ties the answer to the message (RFC 5230, section 5.8; RFC 5322, section 3.6.4).
func (m *machine) thread(v *Vacation) {
	value := func(name string) string {
		for _, f := range m.letter.Fields(name) {
			return f.Subject().Text
		}
		return ""
	}
	v.OrigSubject = cut(value("Subject"), 500)
	ids := message.MessageIDs([]byte(value("Message-ID")))
	if len(ids) == 0 {
		return
	}
	v.InReplyTo = ids[0]
	before := message.MessageIDs([]byte(value("References")))
	if len(before) == 0 {
		if before = message.MessageIDs([]byte(value("In-Reply-To"))); len(before) > 1 {
			before = nil
		}
	}
	if n := len(before); n > 20 { // the first one and the last ones
		before = append(before[:1:1], before[n-19:]...)
	}
	v.References = strings.Join(append(before, ids[0]), " ")
}

// maxFrom is the longest From that a script may give, in octets.
const maxFrom = 500

// senderOf checks the value of a From field of one address. A name that is not ASCII is left out.
func senderOf(value string) (string, error) {
	list := addressesIn(value)
	if len(list) != 1 || len(value) > maxFrom || strings.ContainsAny(value, "\r\n") {
		return "", fmt.Errorf("%s is not one address", quote(value))
	}
	clean, err := parseAddress(list[0].local + "@" + list[0].domain)
	if err != nil {
		return "", err
	}
	for _, r := range value {
		if r >= 0x80 || r < ' ' {
			return clean, nil
		}
	}
	return strings.TrimSpace(value), nil
}
