package filter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rookery-mail/rookery/mta"
)

const letter = "Received: here\r\nFrom: a@b\r\n\tfolded\r\nX-A: 1\r\nno field\r\nx-a : 2\r\nX-A: 3\r\n\r\nBody\r\n"

func draft(t *testing.T, text string) *Draft {
	t.Helper()
	head, _, ok := strings.Cut(text, "\r\n\r\n")
	n := len(head) + 4
	if !ok {
		n = len(text)
	}
	d, err := NewDraft(strings.NewReader(text), int64(len(text)), int64(n))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func written(t *testing.T, d *Draft) string {
	t.Helper()
	text, size, header := d.Text()
	r := io.NewSectionReader(text, 0, size)
	out, err := io.ReadAll(r)
	if err != nil || int64(len(out)) != size || header > size {
		t.Fatalf("%d of %d octets, %d of them the header: %v", len(out), size, header, err)
	}
	if err := iotest.TestReader(io.NewSectionReader(text, 0, size), out); err != nil {
		t.Error(err)
	}
	return string(out)
}

func TestChanges(t *testing.T) {
	for _, c := range []struct {
		change   Change
		from, to string
	}{
		{Change{Verb: Add, Name: "X-New", Value: "v"}, "X-A: 3\r\n\r\n", "X-A: 3\r\nX-New: v\r\n\r\n"},
		{Change{Verb: Insert, Name: "X-New", Value: "v"}, "Received: here", "X-New: v\r\nReceived: here"},
		{Change{Verb: Insert, Name: "X-New", Value: "v", Index: 1}, "From:", "X-New: v\r\nFrom:"},
		{Change{Verb: Insert, Name: "X-New", Value: "v", Index: 99}, "X-A: 3\r\n", "X-A: 3\r\nX-New: v\r\n"},
		{Change{Verb: Set, Name: "x-a", Index: 2, Value: "v"}, "x-a : 2\r\n", "x-a: v\r\n"},
		{Change{Verb: Set, Name: "X-A", Index: 3}, "X-A: 3\r\n", ""},
		{Change{Verb: Set, Name: "X-A", Index: 4, Value: "v"}, "X-A: 3\r\n", "X-A: 3\r\nX-A: v\r\n"},
		{Change{Verb: Set, Name: "X-A", Index: 4}, "", ""},
		{Change{Verb: Set, Name: "From", Value: "\tc@d\n e"}, "From: a@b\r\n\tfolded\r\n", "From:\tc@d\r\n e\r\n"},
		{Change{Verb: Remove, Name: "X-A", Index: -1}, "X-A: 3\r\n", ""},
		{Change{Verb: Remove, Name: "X-A", Index: -3}, "X-A: 1\r\n", ""},
		{Change{Verb: Remove, Name: "X-A", Index: -4}, "", ""},
		{Change{Verb: Add, Name: "X", Value: "v\r\n\r\nSpoof: yes\nBcc: x\x00\ry"}, "X-A: 3\r\n", "X-A: 3\r\nX: v\r\n Spoof: yes\r\n Bcc: xy\r\n"},
	} {
		d := draft(t, letter)
		if left, err := d.Apply([]Change{c.change}); left != 0 || err != nil {
			t.Errorf("%+v: %d, %v", c.change, left, err)
		}
		want := letter
		if c.from != "" {
			want = strings.Replace(letter, c.from, c.to, 1)
		}
		if got := written(t, d); got != want || d.Changed != (want != letter) {
			t.Errorf("%+v gives\n%q\nwant\n%q", c.change, got, want)
		}
	}
	d := draft(t, letter)
	if left, err := d.Apply([]Change{{Verb: Remove, Name: "X-A"}, {Verb: Add, Name: "a b"}, {Verb: Add, Name: ""}, {Verb: 9, Name: "X"}, {Verb: Add, Name: "X", Value: strings.Repeat("v", maxField)}}); left != 4 || err != nil {
		t.Errorf("%d left, %v", left, err)
	}
	if got := written(t, d); strings.Contains(strings.ToLower(got), "x-a") {
		t.Errorf("not all are gone: %q", got)
	}
}

func TestOddMessages(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "X: v\r\n\r\n",
		"A: 1":                   "A: 1\r\nX: v\r\n\r\n",
		"A: 1\r\n":               "A: 1\r\nX: v\r\n\r\n",
		"A: 1\r\n\r\n":           "A: 1\r\nX: v\r\n\r\n",
		"A: 1\n\r\n\r\nbody":     "A: 1\nX: v\r\n\r\n\r\nbody",
		"\r\n\r\nbody":           "X: v\r\n\r\n\r\nbody",
		" fold\r\nA: 1\r\n\r\nb": " fold\r\nA: 1\r\nX: v\r\n\r\nb",
	} {
		d := draft(t, text)
		if got := written(t, d); got != text {
			t.Errorf("%q is read as %q", text, got)
		}
		if _, err := d.Apply([]Change{{Verb: Add, Name: "X", Value: "v"}}); err != nil {
			t.Error(err)
		}
		if got := written(t, d); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	d := draft(t, "A: 1\r\n")
	d.Replace([]byte("new"))
	if got := written(t, d); got != "A: 1\r\n\r\nnew" {
		t.Errorf("got %q", got)
	}
}

func TestHeadersThatAreTooLong(t *testing.T) {
	if _, err := NewDraft(strings.NewReader(""), MaxHeader+1, MaxHeader+1); !errors.Is(err, ErrHeader) {
		t.Error(err)
	}
	d := draft(t, letter)
	var many []Change
	for range 20 {
		many = append(many, Change{Verb: Add, Name: "X", Value: strings.Repeat("v", maxField-1)})
	}
	if _, err := d.Apply(many); !errors.Is(err, ErrHeader) {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	good := func() Setting { return Setting{Name: "a", Kind: Spamd, Address: "127.0.0.1:783"} }
	s := good()
	if err := s.Check(); err != nil || s.Timeout != 15*time.Second || s.Found != ActJunk || s.Over != OverSkip || s.Most != 500<<10 {
		t.Errorf("%+v, %v", s, err)
	}
	for name, change := range map[string]func(*Setting){
		"name": func(s *Setting) { s.Name = "A b" }, "kind": func(s *Setting) { s.Kind = "x" }, "address": func(s *Setting) { s.Address = "here" },
		"port": func(s *Setting) { s.Address = "127.0.0.1:0" }, "path": func(s *Setting) { s.Address = "unix:here" }, "long path": func(s *Setting) { s.Address = "unix:/" + strings.Repeat("x", 200) },
		"short time": func(s *Setting) { s.Timeout = 1 }, "long time": func(s *Setting) { s.Timeout = time.Hour }, "found": func(s *Setting) { s.Found = "x" }, "over": func(s *Setting) { s.Over = "x" },
		"most": func(s *Setting) { s.Most = 1 }, "at once": func(s *Setting) { s.AtOnce = -1 }, "password": func(s *Setting) { s.Password = "x" }, "user": func(s *Setting) { s.User = "a\nb" },
		"weight": func(s *Setting) { s.Weight = -1 }, "refuse at": func(s *Setting) { s.RefuseAt = -1 },
	} {
		s := good()
		if change(&s); s.Check() == nil {
			t.Errorf("%s: %+v is good", name, s)
		}
	}
	for addr, want := range map[string]string{"unix:/run/x": "unix /run/x", "[::1]:25": "tcp [::1]:25", "localhost:11333": "tcp localhost:11333", "filter.example.org:25": "tcp filter.example.org:25"} {
		s := good()
		s.Address = addr
		network, target, err := s.Target()
		if got := network + " " + target; err != nil || got != want {
			t.Errorf("%s is %s, %v", addr, got, err)
		}
	}
}

func TestJudge(t *testing.T) {
	own := mta.Replyf(550, mta.NotAuthorized, "no")
	for _, c := range []struct {
		setting Setting
		report  Report
		want    string
	}{
		{Setting{Kind: Milter}, Report{Word: Pass}, "take"},
		{Setting{Kind: Milter}, Report{Word: Refuse, Reply: own}, "550 5.7.1 no"},
		{Setting{Kind: Milter}, Report{Word: Defer, Reply: own}, "451 4.7.1 the filter x asks to try again later"},
		{Setting{Kind: Milter}, Report{Word: Discard}, "junk"},
		{Setting{Kind: Milter}, Report{Word: Quarantine}, "junk"},
		{Setting{Kind: Rspamd, Found: ActTag}, Report{Word: Spam}, "take"},
		{Setting{Kind: Rspamd, Found: ActJunk}, Report{Word: Spam}, "junk"},
		{Setting{Kind: Rspamd}, Report{Word: Refuse, Looks: true}, "550 5.7.1 the filter x refuses the message (spam)"},
		{Setting{Kind: Rspamd}, Report{Word: Suspicious}, "take"},
		{Setting{Kind: Spamd, Found: ActJunk, RefuseAt: 15}, Report{Word: Spam, Score: 14.9}, "junk"},
		{Setting{Kind: Spamd, Found: ActJunk, RefuseAt: 15}, Report{Word: Spam, Score: 15}, "550 5.7.1 the message looks like spam (spam)"},
		{Setting{Kind: Spamd, Found: ActJunk, RefuseAt: 15}, Report{Word: Pass, Score: 15}, "take"},
		{Setting{Kind: Spamd, Found: ActRefuse}, Report{Word: Spam}, "550 5.7.1 the message looks like spam (spam)"},
		{Setting{Kind: Spamd, Found: ActTag}, Report{Word: Spam}, "take"},
		{Setting{Kind: Clamd, Found: ActRefuse}, Report{Word: Virus, Virus: "V"}, "virus V"},
		{Setting{Kind: Clamd, Found: ActJunk}, Report{Word: Virus, Virus: "V"}, "junk"},
		{Setting{Kind: Clamd, Found: ActTag}, Report{Word: Virus, Virus: "V"}, "take"},
	} {
		c.setting.Name = "x"
		r := c.setting.Judge(c.report)
		got := "take"
		switch {
		case r.Refuse != nil:
			got = r.Refuse.Error()
			if r.Spam {
				got += " (spam)"
			}
		case r.Virus != "":
			got = "virus " + r.Virus
		case r.Junk:
			got = "junk"
		}
		if got != c.want || len(r.Findings) == 0 || r.Name != string(c.setting.Kind)+":x" {
			t.Errorf("%+v of %+v is %s, want %s", c.report, c.setting, got, c.want)
		}
	}
}

func TestFindings(t *testing.T) {
	s := Setting{Name: "x", Kind: Spamd, Weight: 1}
	r := Report{Word: Spam, Score: 12, Required: 6, Detail: "odd\r\n\x1b[31mtext"}
	for i := range 25 {
		r.Symbols = append(r.Symbols, Symbol{Name: fmt.Sprintf("R%02d", i), Score: float64(i%3) - 1})
	}
	got := s.Judge(r).Findings
	if len(got) != 2 || got[0].Score != 10 || got[0].Detail != "12 of 6; odd   [31mtext" || !strings.HasPrefix(got[1].Detail, "R00 -1, R02 1, R03 -1") || !strings.HasSuffix(got[1].Detail, ", and 5 more") || got[1].Score != 0 {
		t.Errorf("got %+v", got)
	}
	for score, want := range map[float64]float64{-1000: leastPoints, 1000: mostPoints, 3: 2.5} {
		if got := s.points(Report{Score: score, Required: 6}); got != want {
			t.Errorf("%v counts %v, want %v", score, got, want)
		}
	}
	if r := s.Unanswered(errors.New("gone")); r.Failed != "" || r.Findings[0].Detail != "gone; goes on without" {
		t.Errorf("open: %+v", r)
	}
	s.Closed = true
	if r := s.Unanswered(errors.New("gone")); r.Failed != "gone" {
		t.Errorf("closed: %+v", r)
	}
}

func FuzzChange(f *testing.F) {
	f.Add([]byte(letter), "X-A", "v\n w", byte(3), 1)
	f.Add([]byte("A: 1\r\n\r\nb"), "X", "\r\n\r\nbody", byte(1), 0)
	f.Fuzz(func(t *testing.T, text []byte, name, value string, verb byte, index int) {
		end := len(text)
		if i := bytes.Index(text, []byte("\r\n\r\n")); i >= 0 {
			end = i + 4
		}
		d, err := NewDraft(bytes.NewReader(text), int64(len(text)), int64(end))
		if err != nil {
			t.Fatal(err)
		}
		was := len(d.Fields())
		left, err := d.Apply([]Change{{Verb: Verb(verb), Name: name, Value: value, Index: index}})
		if err != nil || left == 0 && len(d.Fields()) > was+1 {
			t.Fatalf("%d left, %v", left, err)
		}
		out, size, header := d.Text()
		body := make([]byte, size-header)
		if n, _ := out.ReadAt(body, header); n < len(body) || !bytes.Equal(body, text[end:]) {
			t.Errorf("the body is another")
		}
		again, err := NewDraft(out, size, header)
		if err == nil && left == 0 && Verb(verb) != Remove && len(again.Fields()) > was+1 {
			t.Errorf("one change makes %d fields of %d", len(again.Fields()), was)
		}
	})
}

func TestRecord(t *testing.T) {
	s := Setting{Name: "a", Kind: Spamd, Order: 3, Address: "127.0.0.1:783", Timeout: 1500 * time.Millisecond, Closed: true, Found: ActTag, RefuseAt: 7.5, Weight: 0.5, Most: 4096, Over: OverHead, AtOnce: 9, User: "u", Password: "p", Paused: true}
	if got := Of(s.Record()); got != s {
		t.Errorf("%+v is kept as %+v", s, got)
	}
}
