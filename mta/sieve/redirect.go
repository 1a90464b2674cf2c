package sieve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

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
