package sieve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

func (c *compiler) stop(*call) (action, *Error) {
	return func(*machine) (flow, error) { return stopped, nil }, nil
}

func (c *compiler) discard(k *call) (action, *Error) {
	return func(m *machine) (flow, error) {
		m.implicit = false
		m.tell(k.Line, "discard")
		return onward, nil
	}, nil
}

// keep files into INBOX (RFC 5228, section 4.3).
func (c *compiler) keep(k *call) (action, *Error) {
	f, err := c.filing(k)
	return func(m *machine) (flow, error) { return onward, m.file(k, f, true) }, err
}

// fileinto files into a mailbox (RFC 5228, section 4.1).
func (c *compiler) fileinto(k *call) (action, *Error) {
	f, err := c.filing(k)
	if err == nil {
		f.mailbox, err = c.one(k.args[0])
	}
	if err == nil && f.mailbox.constant() && f.mailbox.literal == "" {
		err = syntax.Errorf(k.args[0].Pos, "a mailbox without a name")
	}
	return func(m *machine) (flow, error) { return onward, m.file(k, f, !k.has(":copy")) }, err
}

// filing is where and how a message is filed, as the script says it.
type filing struct {
	mailbox    text // empty: INBOX
	flags      []text
	own        bool // flags is of the command, not the internal variable
	create     bool
	use, id    text
	hasUse, by bool
}

// filing compiles the tags of filingTags.
func (c *compiler) filing(k *call) (f filing, err *Error) {
	f.create = k.has(":create")
	if a := k.tags[":flags"]; a != nil {
		f.own = true
		if f.flags, err = c.texts(a); err != nil {
			return f, err
		}
	}
	if a := k.tags[":specialuse"]; a != nil {
		f.hasUse = true
		if f.use, err = c.one(a); err != nil {
			return f, err
		}
		if f.use.constant() && !isUse(f.use.literal) {
			return f, syntax.Errorf(a.Pos, `%s is no special use: they begin with a \`, quote(f.use.literal))
		}
		if k.has(":mailboxid") {
			return f, syntax.Errorf(a.Pos, "the tags :specialuse and :mailboxid exclude each other")
		}
	}
	if a := k.tags[":mailboxid"]; a != nil {
		f.by = true
		f.id, err = c.one(a)
	}
	return f, err
}

// isUse tells whether a text has the form of a special use (RFC 6154, section 6).
func isUse(s string) bool {
	return len(s) > 1 && s[0] == '\\' && isFlag(s)
}

// resolve makes a Filing of what the script says.
func (m *machine) resolve(f filing) (out Filing, err error) {
	out.Create = f.create
	out.Flags = m.flags
	if f.own {
		list, err := m.expandAll(f.flags)
		if err != nil {
			return out, err
		}
		out.Flags = splitFlags(nil, list)
	}
	if out.Mailbox, err = m.expand(f.mailbox); err != nil {
		return out, err
	}
	out.Mailbox, err = mailboxName(out.Mailbox)
	if err != nil {
		return out, err
	}
	switch {
	case f.by:
		id, err := m.expand(f.id)
		if err != nil {
			return out, err
		}
		if name, ok := m.mailboxes().ByID(id); ok {
			out.Mailbox, out.Create = name, false
		}
	case f.hasUse:
		use, err := m.expand(f.use)
		if err != nil {
			return out, err
		}
		if !isUse(use) {
			return out, fmt.Errorf("%s is no special use", quote(use))
		}
		if name, ok := m.mailboxes().BySpecialUse(use); ok {
			out.Mailbox, out.Create = name, false
		} else if f.create {
			out.SpecialUse = use
		}
	}
	return out, nil
}

// maxMailbox is the longest name of a mailbox in octets.
const maxMailbox = 1000

// mailboxName checks a name and writes INBOX in capitals.
func mailboxName(name string) (string, error) {
	if name == "" || strings.EqualFold(name, inbox) {
		return inbox, nil
	}
	if len(name) > maxMailbox || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%s cannot be the name of a mailbox", quote(name))
	}
	return name, nil
}

// file adds a Filing; at most one for a mailbox (RFC 5228, section 2.10.3).
func (m *machine) file(k *call, f filing, cancels bool) error {
	out, err := m.resolve(f)
	if err != nil {
		return err
	}
	if m.out.Reject != nil {
		return errRejected
	}
	if cancels {
		m.implicit = false
	}
	if slices.ContainsFunc(m.out.Filings, func(o Filing) bool { return o.Mailbox == out.Mailbox }) {
		m.tell(k.Line, "%s: %s has it already", k.Name, quote(out.Mailbox))
		return nil
	}
	if err := m.count(); err != nil {
		return err
	}
	out.Text = m.letter.Version()
	m.out.Filings = append(m.out.Filings, out)
	m.tell(k.Line, "%s: %s", k.Name, quote(out.Mailbox))
	return nil
}

// noMailboxes is what is known of mailboxes where nobody knows any.
type noMailboxes struct{}

var _ Mailboxes = noMailboxes{}

func (noMailboxes) Exists(name string) bool            { return name == inbox }
func (noMailboxes) ByID(string) (string, bool)         { return "", false }
func (noMailboxes) BySpecialUse(string) (string, bool) { return "", false }

func (m *machine) mailboxes() Mailboxes {
	if m.in.Mailboxes == nil {
		return noMailboxes{}
	}
	return m.in.Mailboxes
}
