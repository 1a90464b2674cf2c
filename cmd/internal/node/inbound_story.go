package node

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/rookery-mail/rookery/mta/inbound"
	"github.com/rookery-mail/rookery/mta/inbound/stamp"
	"github.com/rookery-mail/rookery/mta/queue"
)

// storyOf tells a verdict: what was decided and why, and each finding in a line of its own.
func storyOf(v inbound.Verdict) string {
	var b strings.Builder
	if v.Rule != "" {
		fmt.Fprintf(&b, "%v, score %.1f: %s", v.Action, v.Score, v.Rule)
	}
	for _, f := range v.Findings {
		fmt.Fprintf(&b, "\n%+.1f %s %s", f.Score, f.Check, f.Result)
		if f.Detail != "" {
			b.WriteString(": " + shorten(f.Detail))
		}
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// maxDetail bounds what a story has of one finding, in octets.
const maxDetail = 200

func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxDetail {
		s = strings.ToValidUTF8(s[:maxDetail], "") + "…"
	}
	return s
}

// story tells what was decided for all that the message is for. What several decided alike is told once.
func (d *decision) story() string {
	var parts []string
	seen := map[string]bool{}
	for _, p := range d.parties {
		v := p.verdict
		v.Findings = append(v.Findings[:len(v.Findings):len(v.Findings)], p.told...)
		text := storyOf(v)
		if seen[text] {
			continue
		}
		if seen[text] = true; len(d.parties) > 1 {
			text = "for " + p.recipient.Address + ": " + text
		}
		parts = append(parts, text)
	}
	text := strings.Join(parts, "\n")
	if len(text) > queue.MaxChecked {
		text = strings.ToValidUTF8(text[:queue.MaxChecked-len("…")], "") + "…"
	}
	return text
}

// fields are what is put in front of a message about the checks. There is one text for all that it is for: the first one's verdict.
func (d *decision) fields(server string) []byte {
	out := []byte(d.results.Field(server).String())
	if len(d.parties) == 0 {
		return out
	}
	v := d.parties[0].verdict
	var tests []string
	for _, f := range v.Findings {
		if f.Score != 0 {
			tests = append(tests, f.Check+"/"+f.Result)
		}
	}
	return append(out, stamp.Spam(v.Action == inbound.Junk, v.Score, d.parties[0].policy.JunkScore, tests)...)
}

// stored is the message as it is to be stored; nil is as it came.
func (d *decision) stored(l *missive, rules stamp.Rules) (io.Reader, error) {
	text, size, header := io.ReaderAt(l.text), l.text.Size(), l.header
	if d.filtered.Changed {
		var err error
		text, size = d.filtered.Text, d.filtered.Size
		if header, err = readHeader(text, size); err != nil {
			return nil, err
		}
	}
	kept, removed := rules.Clean(header)
	if removed == nil && !d.filtered.Changed {
		return nil, nil
	}
	rest := int64(len(header))
	return io.MultiReader(bytes.NewReader(kept), io.NewSectionReader(text, rest, size-rest)), nil
}
