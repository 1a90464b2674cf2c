package rspamd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/filter"
)

// reply is what is read of one.
type reply struct {
	Skipped  bool                `json:"is_skipped"`
	Score    float64             `json:"score"`
	Required float64             `json:"required_score"`
	Action   *string             `json:"action"`
	Symbols  map[string]symbol   `json:"symbols"`
	Limits   map[string]*float64 `json:"thresholds"`
	Messages json.RawMessage     `json:"messages"` // an object, or an empty list
	Subject  string              `json:"subject"`
	Milter   struct {
		Add    map[string]json.RawMessage `json:"add_headers"`    // a value, an object, or a list of either
		Remove map[string]json.RawMessage `json:"remove_headers"` // a number, or a list of them
	} `json:"milter"`
}

type symbol struct {
	Score       float64  `json:"score"`
	Description string   `json:"description"`
	Options     []string `json:"options"`
}

// parse reads a reply.
func parse(body []byte) (filter.Report, error) {
	var in reply
	if err := json.Unmarshal(body, &in); err != nil {
		return filter.Report{}, fmt.Errorf("read the reply of rspamd: %w", err)
	}
	if in.Action == nil {
		return filter.Report{}, errors.New("the reply of rspamd has no action")
	}
	out := filter.Report{Score: in.Score, Required: in.Required, Detail: *in.Action}
	if junk := in.Limits["add header"]; junk != nil && *junk > 0 {
		out.Required = *junk
	}
	for name, s := range in.Symbols {
		detail := strings.Join(s.Options, ", ")
		if detail == "" {
			detail = s.Description
		}
		out.Symbols = append(out.Symbols, filter.Symbol{Name: name, Score: s.Score, Detail: detail})
	}
	slices.SortFunc(out.Symbols, func(a, b filter.Symbol) int { return strings.Compare(a.Name, b.Name) })
	if err := in.act(&out); err != nil {
		return filter.Report{}, err
	}
	return out, in.edits(&out)
}

// act reads the action (https://rspamd.com/doc/configuration/metrics.html).
func (in *reply) act(out *filter.Report) error {
	switch *in.Action {
	case "no action":
		out.Word = filter.Pass
	case "greylist": // rspamd greylists by itself, and says soft reject then
		out.Word = filter.Suspicious
	case "add header":
		out.Word = filter.Spam
	case "rewrite subject":
		out.Word = filter.Spam
		if in.Subject != "" {
			out.Changes = append(out.Changes, filter.Change{Verb: filter.Set, Name: "Subject", Index: 1, Value: in.Subject})
		}
	case "soft reject":
		out.Word, out.Reply = filter.Defer, in.said(451, mta.TempNotNow)
	case "reject":
		out.Word, out.Reply = filter.Refuse, in.said(550, mta.NotAuthorized)
		out.Looks = in.Required > 0 && in.Score >= in.Required // else a module of rspamd insists, as that for viruses
	case "quarantine":
		out.Word = filter.Quarantine
	case "discard":
		out.Word = filter.Discard
	default:
		return fmt.Errorf("rspamd asks for %.40q, which is no action that is known", *in.Action)
	}
	return nil
}

// said is a reply with the words of rspamd; nil where it has none.
func (in *reply) said(code int, enhanced mta.Enhanced) *mta.Reply {
	var m struct {
		SMTP string `json:"smtp_message"`
	}
	if err := json.Unmarshal(in.Messages, &m); err != nil || m.SMTP == "" || len(m.SMTP) > 400 {
		return nil
	}
	return mta.Replyf(code, enhanced, "%s", strings.ToValidUTF8(strings.ReplaceAll(m.SMTP, "\n", " "), "?"))
}

// maxEdits is how many fields rspamd may add or take away.
const maxEdits = 200

// edits reads the changes of the header: those that take away first, for what is added is of the same names.
func (in *reply) edits(out *filter.Report) error {
	if n := len(in.Milter.Add) + len(in.Milter.Remove); n > maxEdits {
		return fmt.Errorf("rspamd changes %d fields; %d are allowed", n, maxEdits)
	}
	for _, name := range names(in.Milter.Remove) {
		removals, err := removals(name, in.Milter.Remove[name])
		if err != nil {
			return err
		}
		out.Changes = append(out.Changes, removals...)
	}
	for _, name := range names(in.Milter.Add) {
		for _, raw := range list(in.Milter.Add[name]) {
			c, err := addition(name, raw)
			if err != nil {
				return err
			}
			out.Changes = append(out.Changes, c)
		}
	}
	if len(out.Changes) > maxEdits {
		return fmt.Errorf("rspamd changes %d fields; %d are allowed", len(out.Changes), maxEdits)
	}
	return nil
}

// removals reads which fields of a name are taken away: the furthest first, so that none moves another.
func removals(name string, raw json.RawMessage) (out []filter.Change, err error) {
	for _, item := range list(raw) {
		var at float64
		if err := json.Unmarshal(item, &at); err != nil {
			return nil, fmt.Errorf("read which %.40q rspamd takes away: %w", name, err)
		}
		out = append(out, filter.Change{Verb: filter.Remove, Name: name, Index: int(max(-1000, min(at, 1000)))})
	}
	far := func(c filter.Change) int { return max(c.Index, -c.Index) }
	slices.SortStableFunc(out, func(a, b filter.Change) int { return far(b) - far(a) })
	return out, nil
}

// addition reads a field to add: its value, or that with its place among the fields.
func addition(name string, raw json.RawMessage) (filter.Change, error) {
	c := filter.Change{Verb: filter.Add, Name: name}
	if err := json.Unmarshal(raw, &c.Value); err == nil {
		return c, nil
	}
	var at struct {
		Value *string  `json:"value"`
		Order *float64 `json:"order"`
	}
	if err := json.Unmarshal(raw, &at); err != nil || at.Value == nil {
		return c, fmt.Errorf("rspamd adds %.40q with something that is no value", name)
	}
	c.Value = *at.Value
	if at.Order != nil && *at.Order >= 0 {
		c.Verb, c.Index = filter.Insert, int(min(*at.Order, 1000))
	}
	return c, nil
}

func names(m map[string]json.RawMessage) (out []string) {
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// list is the items of a list, or what is none as the only one.
func list(raw json.RawMessage) []json.RawMessage {
	var items []json.RawMessage
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) && json.Unmarshal(raw, &items) == nil {
		return items
	}
	return []json.RawMessage{raw}
}
