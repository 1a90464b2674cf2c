package sieve

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/sieve/letter"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// foreverypart compiles RFC 5703, section 3: a loop over the parts of the message, of which the message is the first, or over those
// within the part of the loop around.
func (c *compiler) foreverypart(k *call) (action, *Error) {
	name := ""
	if a := k.tags[":name"]; a != nil {
		var err *Error
		if name, err = c.constant(a); err != nil {
			return nil, err
		}
	}
	c.loops = append(c.loops, name)
	block, err := c.block(k.Block)
	c.loops = c.loops[:len(c.loops)-1]
	if err != nil {
		return nil, err
	}
	return func(m *machine) (flow, error) { return m.eachPart(name, block) }, nil
}

func (m *machine) eachPart(name string, block []action) (flow, error) {
	outer := m.part
	defer func() { m.part = outer }()
	var parts []*letter.Part
	if outer != nil {
		parts = outer.Walk()[1:]
	} else {
		root, err := m.root()
		if err != nil {
			return stopped, err
		}
		parts = root.Walk()
	}
	for _, p := range parts {
		if err := m.budget.Spend(100); err != nil {
			return stopped, err
		}
		m.part = p
		f, err := m.run(block)
		if f == broken && (m.breaking == "" || m.breaking == name) {
			return onward, err
		}
		if err != nil || f != onward {
			return f, err
		}
	}
	return onward, nil
}

// breakLoop compiles RFC 5703, section 3.2.
func (c *compiler) breakLoop(k *call) (action, *Error) {
	name := ""
	if a := k.tags[":name"]; a != nil {
		var err *Error
		if name, err = c.constant(a); err != nil {
			return nil, err
		}
		if !slices.Contains(c.loops, name) {
			return nil, syntax.Errorf(a.Pos, "there is no foreverypart of the name %s around", quote(name))
		}
	}
	if len(c.loops) == 0 {
		return nil, syntax.Errorf(k.Pos, "break stands in a foreverypart")
	}
	return func(m *machine) (flow, error) {
		m.breaking = name
		return broken, nil
	}, nil
}

// changeTexts are the strings of replace and enclose.
type changeTexts struct{ content, subject, from text }

func (c *compiler) changeTexts(k *call) (t changeTexts, err *Error) {
	if t.content, err = c.one(k.args[0]); err != nil {
		return t, err
	}
	if a := k.tags[":subject"]; a != nil {
		if t.subject, err = c.one(a); err != nil {
			return t, err
		}
	}
	if a := k.tags[":from"]; a != nil {
		t.from, err = c.one(a)
	}
	return t, err
}

// replace compiles RFC 5703, section 5.
func (c *compiler) replace(k *call) (action, *Error) {
	t, err := c.changeTexts(k)
	if err != nil {
		return nil, err
	}
	return func(m *machine) (flow, error) {
		all, err := m.expandAll([]text{t.content, t.subject, t.from})
		if err != nil {
			return stopped, err
		}
		if err := m.edit(len(all[0])); err != nil {
			return stopped, err
		}
		entity := []byte(all[0])
		if !k.has(":mime") {
			entity = letter.Entity(all[0])
		}
		part := m.part
		whole := part == nil
		if whole {
			if part, err = m.root(); err != nil {
				return stopped, err
			}
		}
		if err := part.Replace(entity); err != nil {
			return stopped, fmt.Errorf("read the replacement: %w", err)
		}
		from := ""
		if all[2] != "" {
			if from, err = senderOf(all[2]); err != nil {
				return stopped, err
			}
		}
		if whole {
			m.letter.Rename(all[1], from)
		}
		m.tell(k.Line, "replace")
		return onward, nil
	}, nil
}

// enclose compiles RFC 5703, section 6.
func (c *compiler) enclose(k *call) (action, *Error) {
	t, err := c.changeTexts(k)
	if err != nil {
		return nil, err
	}
	var headers []text
	if a := k.tags[":headers"]; a != nil {
		if headers, err = c.texts(a); err != nil {
			return nil, err
		}
	}
	return func(m *machine) (flow, error) {
		all, err := m.expandAll([]text{t.content, t.subject})
		if err != nil {
			return stopped, err
		}
		names, err := m.expandAll(headers)
		if err != nil {
			return stopped, err
		}
		if err := m.edit(len(all[0])); err != nil {
			return stopped, err
		}
		if m.enclosed++; m.enclosed > 10 {
			return stopped, errors.New("the message is enclosed more than 10 times")
		}
		from := ""
		if len(m.in.Addresses) > 0 {
			from = "<" + m.in.Addresses[0] + ">"
		}
		m.letter, err = m.letter.Enclose(letter.Enclosure{Text: all[0], Subject: all[1], Headers: names, Date: mta.Date(m.in.Now), From: from})
		if err != nil {
			return stopped, fmt.Errorf("enclose the message: %w", err)
		}
		m.tell(k.Line, "enclose")
		return onward, nil
	}, nil
}
