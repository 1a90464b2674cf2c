package sieve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/mta/sieve/letter"
	"github.com/rookery-mail/rookery/mta/sieve/match"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

func (c *compiler) always(k *call) (check, *Error) {
	value := k.Name == "true"
	return func(*machine) (bool, error) { return value, nil }, nil
}

func (c *compiler) not(k *call) (check, *Error) {
	t, err := c.test(k.Tests[0])
	return func(m *machine) (bool, error) {
		ok, err := t(m)
		return !ok && err == nil, err
	}, err
}

// several compiles allof and anyof, which stop at the first test that decides.
func (c *compiler) several(k *call) (check, *Error) {
	var list []check
	for _, n := range k.Tests {
		t, err := c.test(n)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	deciding := k.Name == "anyof"
	return func(m *machine) (bool, error) {
		for _, t := range list {
			if ok, err := t(m); err != nil || ok == deciding {
				return ok, err
			}
		}
		return !deciding, nil
	}, nil
}

func (c *compiler) sizeTest(k *call) (check, *Error) {
	limit, over := int64(k.args[0].Number), k.has(":over")
	if !over && !k.has(":under") {
		return nil, syntax.Errorf(k.Pos, "size takes :over or :under")
	}
	return func(m *machine) (bool, error) {
		if over {
			return m.in.Size > limit, nil
		}
		return m.in.Size < limit, nil
	}, nil
}

// source says which fields a test is about.
type source struct {
	names    []text
	mime     bool
	children bool
	index    int // of each name, from 1; 0: all
	last     bool
}

func (c *compiler) source(k *call, names *syntax.Argument) (s source, err *Error) {
	if s.names, err = c.texts(names); err != nil {
		return s, err
	}
	s.mime, s.children, s.last = k.has(":mime"), k.has(":anychild"), k.has(":last")
	s.index = int(k.number(":index", 0))
	if s.children && !s.mime {
		return s, syntax.Errorf(k.Pos, ":anychild needs :mime")
	}
	return s, checkIndex(k)
}

func checkIndex(k *call) *Error {
	if k.has(":last") && !k.has(":index") {
		return syntax.Errorf(k.Pos, ":last needs :index")
	}
	if k.has(":index") && k.tags[":index"].Number == 0 {
		return syntax.Errorf(k.tags[":index"].Pos, ":index counts from 1")
	}
	return nil
}

// parts gives the parts that are looked at: nil for the message's own header.
func (m *machine) parts(s source) ([]*letter.Part, error) {
	if !s.mime || m.part == nil && !s.children {
		return nil, nil
	}
	part := m.part
	if part == nil {
		var err error
		if part, err = m.root(); err != nil {
			return nil, err
		}
	}
	if s.children {
		return part.Walk(), nil
	}
	return []*letter.Part{part}, nil
}

// root reads the message's structure.
func (m *machine) root() (*letter.Part, error) {
	root, err := m.letter.Root()
	if err != nil {
		return nil, fmt.Errorf("read the message: %w", err)
	}
	return root, nil
}

// fields gives the fields of one name.
func (m *machine) fields(s source, name string) ([]*letter.Field, error) {
	parts, err := m.parts(s)
	if err != nil {
		return nil, err
	}
	if parts == nil {
		return pickIndex(m.letter.Fields(name), s.index, s.last), nil
	}
	var list []*letter.Field
	for _, p := range parts {
		if err := m.budget.Spend(10); err != nil {
			return nil, err
		}
		found, err := p.Fields(name)
		if err != nil {
			return nil, err
		}
		list = append(list, pickIndex(found, s.index, s.last)...)
	}
	return list, nil
}

// pickIndex gives the field that :index asks for (RFC 5260, section 6).
func pickIndex(fields []*letter.Field, index int, last bool) []*letter.Field {
	if index == 0 {
		return fields
	}
	if index > len(fields) {
		return nil
	}
	if last {
		index = len(fields) - index + 1
	}
	return fields[index-1 : index]
}

// eachField calls fn for the fields of all names.
func (m *machine) eachField(s source, fn func(*letter.Field) error) error {
	for _, t := range s.names {
		name, err := m.expand(t)
		if err != nil {
			return err
		}
		fields, err := m.fields(s, name)
		if err != nil {
			return err
		}
		for _, f := range fields {
			if err := m.budget.Spend(10); err != nil {
				return err
			}
			if err := fn(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// exists is true if there is a field of each name (RFC 5228, section 5.5).
func (c *compiler) exists(k *call) (check, *Error) {
	s, err := c.source(k, k.args[0])
	return func(m *machine) (bool, error) {
		for _, t := range s.names {
			name, err := m.expand(t)
			if err != nil {
				return false, err
			}
			if fields, err := m.fields(s, name); err != nil || len(fields) == 0 {
				return false, err
			}
		}
		return true, nil
	}, err
}

// header compiles RFC 5228, section 5.7, with RFC 5703, section 4.1.
func (c *compiler) header(k *call) (check, *Error) {
	s, err := c.source(k, k.args[0])
	if err != nil {
		return nil, err
	}
	t, err := c.matcher(k, k.args[1])
	if err != nil {
		return nil, err
	}
	what, params, err := c.mimeOption(k)
	if err != nil {
		return nil, err
	}
	return func(m *machine) (bool, error) {
		var subjects []*match.Subject
		names, err := m.expandAll(params)
		if err != nil {
			return false, err
		}
		err = m.eachField(s, func(f *letter.Field) error {
			if what == "" {
				subjects = append(subjects, f.Subject())
				return nil
			}
			subjects = append(subjects, contentOf(f, what, names)...)
			return m.budget.Spend(len(f.Raw) * (1 + len(names)))
		})
		if err != nil {
			return false, err
		}
		return t.any(m, subjects)
	}, nil
}

// mimeOption gives which of :type, :subtype, :contenttype and :param a header test has.
func (c *compiler) mimeOption(k *call) (what string, params []text, err *Error) {
	for _, name := range []string{":type", ":subtype", ":contenttype", ":param"} {
		a := k.tags[name]
		if a == nil {
			continue
		}
		if !k.has(":mime") {
			return "", nil, syntax.Errorf(a.Pos, "%s needs :mime", name)
		}
		if what = name; what == ":param" {
			params, err = c.texts(a)
		}
	}
	return what, params, err
}

// contentOf gives what a MIME option takes of a field (RFC 5703, section 4.1).
func contentOf(f *letter.Field, what string, params []string) []*match.Subject {
	isType := strings.EqualFold(f.Name, "Content-Type")
	if !isType && !strings.EqualFold(f.Name, "Content-Disposition") {
		return nil
	}
	value := string(f.Value())
	if what == ":param" {
		return paramsOf(value, params)
	}
	word, _, _ := strings.Cut(value, ";")
	main, sub, _ := strings.Cut(strings.ToLower(word), "/")
	main, sub = strings.TrimSpace(main), strings.TrimSpace(sub)
	switch {
	case what == ":type":
		return subjectsOf(main)
	case what == ":subtype":
		return subjectsOf(sub)
	case isType:
		return subjectsOf(main + "/" + sub)
	}
	return subjectsOf(main)
}

// paramsOf reads parameters, which both fields have in one form; the parser keeps them of a disposition whatever it is.
func paramsOf(value string, names []string) (list []*match.Subject) {
	parser := message.NewParser(message.Limits{})
	parser.Write([]byte("Content-Disposition: " + value + "\r\n\r\n")) //nolint:errcheck // a Parser takes everything
	part := parser.Finish().Structure
	for _, name := range names {
		if v, ok := message.ParamValue(part.DispositionParams, strings.ToLower(name)); ok {
			list = append(list, subjectsOf(v)...)
		}
	}
	return list
}

// addressFields are the fields that hold addresses (RFC 5228, section 5.1; RFC 5322; RFC 8058's are none).
func addressFields() []string {
	return []string{"from", "to", "cc", "bcc", "sender", "reply-to", "resent-from", "resent-to", "resent-cc", "resent-bcc", "resent-sender",
		"resent-reply-to", "return-path", "delivered-to", "x-original-to", "x-envelope-to", "envelope-to", "errors-to",
		"disposition-notification-to", "return-receipt-to", "apparently-to", "for-approval", "for-handling", "for-comment", "approved",
		"mail-followup-to", "mail-reply-to", "abuse-reports-to", "x-complaints-to", "x-report-abuse-to", "x-apple-mailto",
		"x-google-original-from", "x-original-from", "original-from", "original-recipient"}
}

// address compiles RFC 5228, section 5.1.
func (c *compiler) address(k *call) (check, *Error) {
	s, err := c.source(k, k.args[0])
	if err != nil {
		return nil, err
	}
	for i, t := range s.names {
		if t.constant() && !slices.Contains(addressFields(), strings.ToLower(t.literal)) {
			return nil, syntax.Errorf(k.args[0].Strings[i].Pos, "%s is no field of addresses", quote(t.literal))
		}
	}
	t, err := c.matcher(k, k.args[1])
	if err != nil {
		return nil, err
	}
	part := partOf(k)
	return func(m *machine) (bool, error) {
		var subjects []*match.Subject
		err := m.eachField(s, func(f *letter.Field) error {
			for _, a := range addressesOf(f) {
				if v, ok := m.addressPart(a, part); ok {
					subjects = append(subjects, &match.Subject{Text: v})
				}
			}
			return m.budget.Spend(len(f.Raw))
		})
		if err != nil {
			return false, err
		}
		return t.any(m, subjects)
	}, nil
}

// partOf gives which part of addresses a test compares.
func partOf(k *call) string {
	for _, name := range []string{":localpart", ":domain", ":user", ":detail"} {
		if k.has(name) {
			return name
		}
	}
	return ":all"
}

// mailbox is an address in its two parts; domain is empty where there is no "@".
type mailbox struct{ local, domain string }

// addressesOf reads the addresses of a field, those in groups with them.
func addressesOf(f *letter.Field) []mailbox {
	var list []mailbox
	for _, a := range message.Addresses(f.Value()) {
		if a.Host == nil {
			continue // where a group begins or ends
		}
		box := mailbox{string(a.Mailbox), string(a.Host)}
		if box.domain == "MISSING_DOMAIN" {
			box.domain = ""
		}
		if box.local == "MISSING_MAILBOX" {
			continue
		}
		list = append(list, box)
	}
	return list
}

// addressPart gives a part of an address, ok false where it has none (RFC 5233, section 4, for :detail).
func (m *machine) addressPart(a mailbox, part string) (string, bool) {
	switch part {
	case ":localpart":
		return a.local, true
	case ":domain":
		return a.domain, a.domain != ""
	case ":all":
		if a.domain == "" {
			return a.local, true
		}
		return a.local + "@" + a.domain, true
	}
	i := -1
	if m.in.Delimiters != "" {
		i = strings.IndexAny(a.local, m.in.Delimiters)
	}
	if i <= 0 {
		return a.local, part == ":user"
	}
	if part == ":user" {
		return a.local[:i], true
	}
	return a.local[i+1:], true
}

// splitAddress splits an address of the envelope at its last "@".
func splitAddress(s string) mailbox {
	local, domain := s, ""
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		local, domain = s[:i], s[i+1:]
	}
	if len(local) >= 2 && local[0] == '"' && local[len(local)-1] == '"' {
		local = strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(local[1 : len(local)-1])
	}
	return mailbox{local, domain}
}
