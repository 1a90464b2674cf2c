package sieve

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/mta/sieve/letter"
	"github.com/rookery-mail/rookery/mta/sieve/match"
	"github.com/rookery-mail/rookery/mta/sieve/syntax"
)

// flow says how a run goes on behind a command.
type flow uint8

const (
	onward   flow = iota
	stopped       // the run ends
	returned      // the included script ends
	broken        // loops end, up to that called machine.breaking
)

// action is a compiled command, check a compiled test.
type (
	action func(*machine) (flow, error)
	check  func(*machine) (bool, error)
)

// machine is one run.
type machine struct {
	in     Input
	limits Limits
	budget match.Budget
	letter *letter.Letter
	part   *letter.Part // of the innermost foreverypart; nil outside of one

	frame    *frame            // of the script that runs
	globals  map[string]string // variables that scripts share (RFC 6609, section 3.4)
	included map[script]bool
	loaded   map[script]*Script
	breaking string
	seen     map[string]bool // what Seen said of keys

	out      Outcome
	implicit bool // the implicit keep stands
	flags    []string
	actions  int
	edits    int
	enclosed int
	answered bool
}

// frame is what belongs to one run of one script.
type frame struct {
	name     string // empty: the outermost
	key      script
	outer    *frame
	depth    int
	vars     map[string]string
	shared   map[string]bool // names that stand for global variables
	captures []string        // match variables
}

// script names an included script.
type script struct {
	where Location
	name  string
}

func newMachine(s *Script, in Input) (*machine, error) {
	m := &machine{in: in, limits: s.limits, implicit: true, budget: match.Budget{Left: s.limits.Work},
		globals: map[string]string{}, included: map[script]bool{}, loaded: map[script]*Script{}, seen: map[string]bool{}}
	m.frame = &frame{vars: map[string]string{}}
	l, err := letter.New(in.Text, in.Size, letter.Limits{Body: s.limits.Body})
	if err == nil {
		l.Front(in.Front)
	}
	m.letter = l
	return m, err
}

// run runs commands in order.
func (m *machine) run(block []action) (flow, error) {
	for _, a := range block {
		if err := m.budget.Spend(10); err != nil {
			return stopped, err
		}
		if f, err := a(m); err != nil || f != onward {
			return f, err
		}
	}
	return onward, nil
}

// finish ends a run that went well: the implicit keep, if it stands.
func (m *machine) finish() {
	if !m.implicit {
		return
	}
	for _, f := range m.out.Filings {
		if f.Mailbox == inbox {
			return
		}
	}
	m.out.Filings = append(m.out.Filings, Filing{Mailbox: inbox, Flags: m.flags, Implicit: true, Text: m.letter.Version()})
	m.tell(0, "implicit keep")
}

// failed is the Outcome of a run that ended in an error.
func (m *machine) failed(err error) *Outcome {
	line := 0
	var at *Error
	text := err.Error()
	if errors.As(err, &at) {
		line, text = at.Line, at.Text
	}
	m.tell(line, "error: %s: implicit keep", text)
	return &Outcome{Filings: []Filing{{Mailbox: inbox, Implicit: true}}, Trace: m.out.Trace}
}

const inbox = "INBOX"

// The bounds of a trace.
const (
	maxSteps = 500
	maxStep  = 240
)

// tell adds to the trace.
func (m *machine) tell(line int, format string, args ...any) {
	if len(m.out.Trace) >= maxSteps {
		return
	}
	what := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, cut(fmt.Sprintf(format, args...), maxStep))
	m.out.Trace = append(m.out.Trace, Step{m.frame.name, line, what})
}

// count takes one of the actions that a run may do.
func (m *machine) count() error {
	if m.actions++; m.actions > m.limits.Actions {
		return fmt.Errorf("more than %d actions", m.limits.Actions)
	}
	return nil
}

// cut shortens a text to so many octets at most, at a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// quote puts a text into quotes for a trace or an error.
func quote(s string) string { return syntax.Quote(s) }
