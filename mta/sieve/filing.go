package sieve

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// errRejected says that a refused message is not also filed, sent on or answered (RFC 5429, section 2.1.2).
var errRejected = errors.New("the message is refused: it cannot be filed, sent on or answered as well")

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

// redirection is a redirect as the script says it.
type redirection struct {
	to, notify, absolute text
	ret                  mta.Return
	notifies             bool
	relative             int64 // seconds; 0: absolute counts
	mode                 mta.ByMode
}

// redirect compiles RFC 5228, section 4.2, with RFC 3894 and RFC 6009.
func (c *compiler) redirect(k *call) (action, *Error) {
	var r redirection
	var err *Error
	if r.to, err = c.one(k.args[0]); err != nil {
		return nil, err
	}
	if r.to.constant() {
		if _, wrong := parseAddress(r.to.literal); wrong != nil {
			return nil, syntax.Errorf(k.args[0].Pos, "%v", wrong)
		}
	}
	if err := c.redirectTags(k, &r); err != nil {
		return nil, err
	}
	return func(m *machine) (flow, error) { return onward, m.redirect(k, r) }, nil
}

func (c *compiler) redirectTags(k *call, r *redirection) (err *Error) {
	if a := k.tags[":notify"]; a != nil {
		r.notifies = true
		if r.notify, err = c.one(a); err != nil {
			return err
		}
		if _, ok := mta.ParseNotify(r.notify.literal); r.notify.constant() && !ok {
			return syntax.Errorf(a.Pos, "%s is no NOTIFY: NEVER, or some of SUCCESS, FAILURE and DELAY", quote(r.notify.literal))
		}
	}
	if a := k.tags[":ret"]; a != nil {
		word, err := c.constant(a)
		if err != nil {
			return err
		}
		switch strings.ToUpper(word) {
		case "FULL":
			r.ret = mta.ReturnFull
		case "HDRS":
			r.ret = mta.ReturnHeaders
		default:
			return syntax.Errorf(a.Pos, "%s is neither FULL nor HDRS", quote(word))
		}
	}
	return c.deliverBy(k, r)
}

func (c *compiler) deliverBy(k *call, r *redirection) (err *Error) {
	r.relative = int64(k.number(":bytimerelative", 0))
	if a := k.tags[":bytimeabsolute"]; a != nil {
		if r.absolute, err = c.one(a); err != nil {
			return err
		}
		if _, wrong := parseMoment(r.absolute.literal); r.absolute.constant() && wrong != nil {
			return syntax.Errorf(a.Pos, "%v", wrong)
		}
	}
	timed := k.has(":bytimerelative") || k.has(":bytimeabsolute")
	r.mode = mta.ByNotify
	if a := k.tags[":bymode"]; a != nil {
		word, err := c.constant(a)
		if err != nil {
			return err
		}
		switch strings.ToLower(word) {
		case "notify", "n":
		case "return", "r":
			r.mode = mta.ByReturn
		default:
			return syntax.Errorf(a.Pos, "%s is neither notify nor return", quote(word))
		}
	}
	if !timed && (k.has(":bymode") || k.has(":bytrace")) {
		return syntax.Errorf(k.Pos, "redirect with :bymode or :bytrace needs :bytimerelative or :bytimeabsolute")
	}
	if k.has(":bytimerelative") && r.relative == 0 {
		return syntax.Errorf(k.tags[":bytimerelative"].Pos, ":bytimerelative takes 1 or more seconds")
	}
	return nil
}

// redirect adds a Redirect; at most one for an address.
func (m *machine) redirect(k *call, r redirection) error {
	if m.out.Reject != nil {
		return errRejected
	}
	out := Redirect{Copy: k.has(":copy"), Return: r.ret}
	to, err := m.expand(r.to)
	if err != nil {
		return err
	}
	if out.To.Address, err = parseAddress(to); err != nil {
		return err
	}
	if err := m.wishes(k, r, &out); err != nil {
		return err
	}
	if !out.Copy {
		m.implicit = false
	}
	if slices.ContainsFunc(m.out.Redirects, func(o Redirect) bool { return o.To.Address == out.To.Address }) {
		m.tell(k.Line, "redirect: %s gets it already", out.To.Address)
		return nil
	}
	if len(m.out.Redirects) >= m.limits.Redirects {
		return fmt.Errorf("more than %d redirects", m.limits.Redirects)
	}
	if err := m.count(); err != nil {
		return err
	}
	out.Text = m.letter.Version()
	m.out.Redirects = append(m.out.Redirects, out)
	m.tell(k.Line, "redirect: %s", out.To.Address)
	return nil
}

// wishes fills in what redirect-dsn and redirect-deliverby ask for.
func (m *machine) wishes(k *call, r redirection, out *Redirect) error {
	if r.notifies {
		word, err := m.expand(r.notify)
		if err != nil {
			return err
		}
		ok := false
		if out.To.Notify, ok = mta.ParseNotify(word); !ok {
			return fmt.Errorf("%s is no NOTIFY", quote(word))
		}
	}
	if !k.has(":bytimerelative") && !k.has(":bytimeabsolute") {
		return nil
	}
	out.By = mta.By{Mode: r.mode, Trace: k.has(":bytrace"), Time: m.in.Now.Add(seconds(r.relative))}
	if k.has(":bytimeabsolute") {
		word, err := m.expand(r.absolute)
		if err != nil {
			return err
		}
		if out.By.Time, err = parseMoment(word); err != nil {
			return err
		}
	}
	return nil
}

// parseAddress checks an address that mail is sent to and gives it as SMTP has it.
func parseAddress(text string) (string, error) {
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, "<"); ok {
		text, _ = strings.CutSuffix(rest, ">")
	}
	a, err := address.Parse(text)
	if err != nil {
		return "", err
	}
	return a.String(), nil
}

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
