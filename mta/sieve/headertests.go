package sieve

import (
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
