// Package arc validates the authenticated received chain of a message (RFC 8617) and adds a seal of our own to a message
// that is sent on, so that who gets it can see what it was when it came here. Signatures and keys are those of mta/dkim; DNS comes
// in as a function. What is believed of a chain is not decided here.
package arc

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rookery-mail/rookery/mta/dkim"
)

// The names of the fields of a set (RFC 8617, section 4.1).
const (
	ResultsField   = "ARC-Authentication-Results"
	SignatureField = "ARC-Message-Signature"
	SealField      = "ARC-Seal"
)

// MaxSets is how many sets a chain may have (RFC 8617, section 4.2.1).
const MaxSets = 50

// Status is what a chain is worth (RFC 8617, section 4.4).
type Status string

// The statuses.
const (
	None Status = "none" // there is no chain
	Pass Status = "pass"
	Fail Status = "fail"
)

// ErrTemporary says that a chain cannot be validated now.
var ErrTemporary = errors.New("the chain cannot be validated for now")

// Lookup gives the TXT records of a name, none where it has none. An error is temporary.
type Lookup = dkim.Lookup

// set is the fields of one instance.
type set struct{ results, signature, seal field }

// field is one of them, with its tags; results have none but the instance.
type field struct {
	text string
	tags dkim.Tags
}

// Chain is the sets of a message, with what they are worth.
type Chain struct {
	Status Status
	Reason string // of Fail, for a log
	sets   []set
	ended  bool // nobody adds to it (RFC 8617, section 5.1)
}

// Len is how many sets there are.
func (c Chain) Len() int { return len(c.sets) }

// Validate validates the chain of a message (RFC 8617, section 5.2). The error is ErrTemporary.
func Validate(ctx context.Context, m *dkim.Message, lookup Lookup) (Chain, error) {
	sets, err := collect(m.Header)
	c := Chain{Status: Pass, sets: sets}
	switch {
	case err != nil:
		c.Status, c.Reason = Fail, err.Error()
		c.sets, c.ended = nil, true // which set would be the next cannot be told
		return c, nil
	case len(sets) == 0:
		c.Status = None
		return c, nil
	}
	last := sets[len(sets)-1]
	c.ended = len(sets) >= MaxSets || last.seal.tags.Word("cv") == string(Fail)
	v := validator{lookup: lookup, message: m, keys: map[string]dkim.Record{}}
	if err := v.chain(ctx, sets); errors.Is(err, ErrTemporary) {
		return c, err
	} else if err != nil {
		c.Status, c.Reason = Fail, err.Error()
	}
	return c, nil
}

// collect finds the sets of a header, the oldest first.
func collect(h dkim.Header) ([]set, error) {
	found := map[int]*set{}
	most := 0
	for _, f := range h {
		of := func(*set) *field { return nil }
		switch {
		case strings.EqualFold(f.Name, ResultsField):
			of = func(s *set) *field { return &s.results }
		case strings.EqualFold(f.Name, SignatureField):
			of = func(s *set) *field { return &s.signature }
		case strings.EqualFold(f.Name, SealField):
			of = func(s *set) *field { return &s.seal }
		default:
			continue
		}
		tags, i, err := instance(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if found[i] == nil {
			found[i] = new(set)
		}
		if at := of(found[i]); at.text != "" {
			return nil, fmt.Errorf("instance %d has two fields %s", i, f.Name)
		} else {
			*at = field{f.Text, tags}
		}
		most = max(most, i)
	}
	var sets []set
	for i := 1; i <= most; i++ {
		s := found[i]
		if s == nil || s.results.text == "" || s.signature.text == "" || s.seal.text == "" {
			return nil, fmt.Errorf("instance %d of %d is not whole", i, most)
		}
		sets = append(sets, *s)
	}
	return sets, nil
}

// instance reads which set a field belongs to.
func instance(f dkim.Field) (dkim.Tags, int, error) {
	text := f.Value()
	if strings.EqualFold(f.Name, ResultsField) {
		text, _, _ = strings.Cut(text, ";") // what follows is no tag list (RFC 8601)
	}
	tags, err := dkim.ParseTags(text)
	if err != nil {
		return nil, 0, err
	}
	i, err := strconv.Atoi(tags.Word("i"))
	if err != nil || i < 1 || i > MaxSets {
		return nil, 0, fmt.Errorf("instance %.10q, there are 1 to %d", tags.Word("i"), MaxSets)
	}
	return tags, i, nil
}
