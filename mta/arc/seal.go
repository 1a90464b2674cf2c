package arc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/mta/dkim"
)

// ErrEnded says that no seal is added to a chain: it failed before, or has MaxSets sets.
var ErrEnded = errors.New("the chain takes no more seals")

// Options say how a message is sealed.
type Options struct {
	Key    dkim.Key
	Server string // who found out the results: the authserv-id of RFC 8601, section 2.5
	// Results are what was found out about the message when it came, each a resinfo of RFC 8601, section 2.2. The chain's own
	// is not among them.
	Results []string
	Time    time.Time
}

// Seal gives the three fields of the next set, for the message that the chain was validated of (RFC 8617, section
// 5.1). They go on top of it. The error is ErrEnded where nothing is to be added, or dkim.ErrHeader.
func (c Chain) Seal(m *dkim.Message, o Options) (string, error) {
	if c.ended {
		return "", ErrEnded
	}
	if _, ok := m.Header.First("From"); !ok {
		return "", fmt.Errorf("it has no From: %w", dkim.ErrHeader)
	}
	i := strconv.Itoa(len(c.sets) + 1)
	results := ResultsField + ": i=" + i + "; " + o.Server
	for _, r := range append([]string{"arc=" + string(c.Status)}, o.Results...) {
		results += ";\r\n\t" + r
	}
	results += "\r\n"
	names := m.Header.Names()
	names = append(names, slices.Repeat([]string{dkim.FieldName}, m.Header.Count(dkim.FieldName))...)
	var covers []string
	for _, f := range m.Header.Pick(names) {
		covers = append(covers, f.Text)
	}
	at := strconv.FormatInt(o.Time.Unix(), 10)
	signature, err := o.Key.Finish(covers, dkim.Compose(SignatureField, dkim.Tags{{Name: "i", Value: i}, {Name: "a", Value: o.Key.Algorithm()},
		{Name: "c", Value: "relaxed/relaxed"}, {Name: "d", Value: o.Key.Domain}, {Name: "s", Value: o.Key.Selector}, {Name: "t", Value: at},
		{Name: "h", Value: strings.Join(names, ":")}, {Name: "bh", Value: base64.StdEncoding.EncodeToString(m.Relaxed[:])}}))
	if err != nil {
		return "", fmt.Errorf("sign what is sealed: %w", err)
	}
	before := c.sets
	if c.Status == Fail {
		before = nil // section 5.1.2: it covers itself alone
	}
	covers = append(sealed(before), results, signature)
	seal, err := o.Key.Finish(covers, dkim.Compose(SealField, dkim.Tags{{Name: "i", Value: i}, {Name: "a", Value: o.Key.Algorithm()},
		{Name: "cv", Value: string(c.Status)}, {Name: "d", Value: o.Key.Domain}, {Name: "s", Value: o.Key.Selector}, {Name: "t", Value: at}}))
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	return seal + signature + results, nil
}
