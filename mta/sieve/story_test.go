package sieve_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/sieve"
)

var update = flag.Bool("update", false, "write what the stories give into their files")

// A story file has cases: "=== name", the script, perhaps "--- input" with lines "name: value", and "--- outcome". "=== message" and
// "=== input" say what the cases behind it have where they say nothing else; "=== script NAME" is what they can include.
type story struct {
	name, script string
	input        map[string]string
	outcome      string
}

// TestStories runs all cases of testdata.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	total := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			out, n := runStories(t, string(text))
			total += n
			if *update && out != string(text) {
				if err := os.WriteFile(file, []byte(out), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if total < 100 {
		t.Errorf("%d cases only", total)
	}
}

// runStories runs the cases of a file and gives the file with what they gave.
func runStories(t *testing.T, text string) (out string, n int) {
	t.Helper()
	site := &site{scripts: map[string]string{}, input: map[string]string{}, message: "Subject: test\n\nbody\n"}
	var b strings.Builder
	intro, rest, _ := strings.Cut("\n"+text, "\n=== ")
	b.WriteString(strings.TrimPrefix(intro, "\n"))
	for rest != "" {
		var chunk string
		chunk, rest, _ = strings.Cut(rest, "\n=== ")
		title, content, _ := strings.Cut(chunk, "\n")
		if intro != "" || b.Len() > 0 {
			b.WriteString("\n")
		}
		intro = "-"
		b.WriteString("=== " + title + "\n")
		switch word, name, _ := strings.Cut(title, " "); {
		case title == "message":
			site.message = content + "\n"
			b.WriteString(content)
		case title == "input":
			site.input = lines(content)
			b.WriteString(content)
		case word == "script" && name != "":
			site.scripts[name] = content
			b.WriteString(content)
		default:
			n++
			before, want, ok := strings.Cut(content, "--- outcome\n")
			if !ok {
				before = strings.TrimRight(before, "\n") + "\n"
			}
			got := site.run(before)
			if strings.TrimRight(want, "\n") != strings.TrimRight(got, "\n") && !*update {
				t.Errorf("%s:\n%s--- got\n%s--- want\n%s", title, before, got, want)
			}
			b.WriteString(before + "--- outcome\n" + got)
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n", n
}

// lines reads "name: value" lines; "\n" and "\t" in a value are a line end and a tab.
func lines(text string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\n"), ":"); ok {
			m[name] = strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(strings.TrimSpace(value))
		}
	}
	return m
}

// site is the world of a story.
type site struct {
	scripts map[string]string
	input   map[string]string
	message string

	boxes []string
}

func (s *site) Exists(name string) bool { return slices.Contains(s.boxes, name) }

func (s *site) ByID(id string) (string, bool) {
	return map[string]string{"F1": "Work", "F2": "Junk"}[id], id == "F1" || id == "F2"
}

func (s *site) BySpecialUse(use string) (string, bool) {
	return map[string]string{`\junk`: "Junk", `\sent`: "Sent"}[strings.ToLower(use)], strings.EqualFold(use, `\Junk`) || strings.EqualFold(use, `\Sent`)
}

func (s *site) Script(where sieve.Location, name string) (*sieve.Script, error) {
	if where == sieve.Global {
		name = "global " + name
	}
	text, ok := s.scripts[name]
	if !ok {
		return nil, sieve.ErrNoScript
	}
	return sieve.Compile([]byte(text), sieve.Limits{})
}

func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// run runs one case.
func (s *site) run(text string) string {
	script, own, _ := strings.Cut(text, "--- input\n")
	in := lines(own)
	for name, value := range s.input {
		if _, ok := in[name]; !ok {
			in[name] = value
		}
	}
	limits := sieve.Limits{}
	if n, err := strconv.Atoi(in["work"]); err == nil {
		limits.Work = n
	}
	compiled, err := sieve.Compile([]byte(script), limits)
	if err != nil {
		return "refused: " + err.Error() + "\n"
	}
	message := s.message
	if m, ok := in["message"]; ok {
		message = m
	}
	message = crlf(message)
	s.boxes = strings.Split(or(in["mailboxes"], "INBOX,Work,Junk,Sent"), ",")
	outcome, err := compiled.Run(s.inputOf(in, message))
	var b strings.Builder
	if err != nil {
		b.WriteString("failed: " + err.Error() + "\n")
		var at *sieve.Error
		if !errors.As(err, &at) {
			b.WriteString("not an *Error\n")
		}
	}
	render(&b, outcome, in)
	return b.String()
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (s *site) inputOf(in map[string]string, message string) sieve.Input {
	now, err := time.Parse(time.RFC3339, or(in["now"], "2026-03-04T15:06:07+01:00"))
	if err != nil {
		panic(err)
	}
	input := sieve.Input{
		Text: strings.NewReader(message), Size: int64(len(message)), Front: []byte(crlf(in["front"])), Now: now, Delimiters: strings.TrimPrefix(or(in["delimiters"], "+"), "none"),
		Envelope:  sieve.Envelope{From: or(in["from"], "ann@example.org"), Auth: in["auth"], EnvID: in["envid"]},
		Addresses: strings.Fields(or(in["addresses"], "bob@example.com")),
		Mailboxes: s, Scripts: s,
		Environment: map[string]string{"name": "rookery", "remote-ip": "192.0.2.1", "phase": "during", "location": "MTA"},
	}
	if in["from"] == "<>" {
		input.Envelope.From = ""
	}
	input.Envelope.Recipient.Address = or(in["to"], "bob@example.com")
	input.Envelope.Recipient.Notify, _ = mta.ParseNotify(in["notify"])
	input.Envelope.Recipient.ORCPT = in["orcpt"]
	if in["ret"] == "FULL" {
		input.Envelope.Return = mta.ReturnFull
	}
	input.Envelope.By, _ = mta.ParseBy(in["by"], now)
	if v, err := strconv.ParseFloat(in["spam"], 64); err == nil {
		input.Spam = sieve.Score{Known: true, Value: v}
	}
	if v, err := strconv.ParseFloat(in["virus"], 64); err == nil {
		input.Virus = sieve.Score{Known: true, Value: v}
	}
	input.Seen = func(key string) bool { return in["seen"] != "" && strings.HasPrefix(key, in["seen"]) }
	return input
}

// render tells an Outcome.
func render(b *strings.Builder, o *sieve.Outcome, in map[string]string) {
	for _, f := range o.Filings {
		fmt.Fprintf(b, "file %s\n", filing(f))
		show(b, f.Text, in)
	}
	for _, r := range o.Redirects {
		fmt.Fprintf(b, "redirect %s%s%s%s", r.To.Address, mark(" copy", r.Copy), value(" notify ", r.To.Notify.String()), value(" ret ", r.Return.String()))
		if r.By.Mode != "" {
			fmt.Fprintf(b, " by %s %s", r.By.Time.Format(time.RFC3339), r.By.Word())
		}
		fmt.Fprintf(b, "%s\n", mark(" changed", r.Text != nil))
		show(b, r.Text, in)
	}
	if o.Reject != nil {
		fmt.Fprintf(b, "reject %q%s\n", o.Reject.Reason, mark(" extended", o.Reject.Extended))
	}
	if v := o.Vacation; v != nil {
		fmt.Fprintf(b, "vacation to %s within %v own %s%s%s%s\n", v.To, v.Within, v.Own, value(" subject ", v.Subject), value(" from ", v.From),
			mark(" mime", v.MIME))
		fmt.Fprintf(b, "  handle %s\n  original %q references %q in-reply-to %q\n  %q\n", v.Handle, v.OrigSubject, v.References, v.InReplyTo, v.Reason)
		copied(b, v.Copy)
	}
	for _, n := range o.Notices {
		fmt.Fprintf(b, "notify %v %v %v importance %d%s\n  %q %q\n", n.To, n.Cc, n.Bcc, n.Importance, value(" from ", n.From), n.Subject, n.Body)
		if len(n.Header) > 0 {
			fmt.Fprintf(b, "  %v\n", n.Header)
		}
		copied(b, n.Copy)
	}
	for _, d := range o.Remember {
		fmt.Fprintf(b, "remember %.8s for %v%s\n", d.Key, d.For, mark(" last", d.Last))
	}
	if o.Discarded() {
		b.WriteString("discarded\n")
	}
	if in["trace"] != "" {
		for _, s := range o.Trace {
			fmt.Fprintf(b, "%s%d: %s\n", value("", or(s.Script+" ", "")), s.Line, s.What)
		}
	}
}

func filing(f sieve.Filing) string {
	return f.Mailbox + mark(" implicit", f.Implicit) + mark(" create", f.Create) + value(" use ", f.SpecialUse) +
		value(" flags ", strings.Join(f.Flags, ",")) + mark(" changed", f.Text != nil)
}

func copied(b *strings.Builder, f *sieve.Filing) {
	if f != nil {
		fmt.Fprintf(b, "  copy to %s\n", filing(*f))
	}
}

func mark(s string, yes bool) string {
	if yes {
		return s
	}
	return ""
}

func value(name, v string) string {
	if strings.TrimSpace(v) == "" {
		return ""
	}
	return name + v
}

// show gives a changed text, with "show" in the input.
func show(b *strings.Builder, text *sieve.Text, in map[string]string) {
	if text == nil || in["show"] == "" {
		return
	}
	all, err := io.ReadAll(text.Reader())
	if err != nil || int64(len(all)) != text.Size() {
		fmt.Fprintf(b, "read %d octets of %d: %v\n", len(all), text.Size(), err)
	}
	for line := range bytes.Lines(all) {
		fmt.Fprintf(b, "| %s\n", strings.TrimRight(string(line), "\r\n"))
	}
}
