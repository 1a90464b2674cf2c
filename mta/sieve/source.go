package sieve

import (
	"fmt"

	"github.com/rookery-mail/rookery/mta/sieve/letter"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

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
