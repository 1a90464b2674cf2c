package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the expected outputs")
	os.Exit(m.Run())
}

// transcript reads all commands of input and tells what each was read as.
func transcript(input string) string {
	var out strings.Builder
	r := NewReader(strings.NewReader(input), DefaultLimits(), func() error {
		out.WriteString("+\n")
		return nil
	})
	for {
		cmd, err := r.ReadCommand()
		if wrong, ok := errors.AsType[*SyntaxError](err); ok {
			fmt.Fprintf(&out, "wrong %q %s: %s toobig=%v\n", wrong.Tag, wrong.Name, wrong.Text, wrong.TooBig)
			continue
		}
		if err != nil {
			fmt.Fprintf(&out, "end: %v\n", err)
			return out.String()
		}
		args, _ := json.Marshal(cmd.Args)
		fmt.Fprintf(&out, "%s %s uid=%v %T %s\n", cmd.Tag, cmd.Name, cmd.UID, cmd.Args, args)
		if a, ok := cmd.Args.(*Append); ok {
			if err := r.Refuse(a, 1<<10); err != nil {
				fmt.Fprintf(&out, "refuse: %v\n", err)
				return out.String()
			}
		}
	}
}

func TestCommands(t *testing.T) {
	input, err := os.ReadFile("testdata/commands.imap")
	if err != nil {
		t.Fatal(err)
	}
	got := transcript(strings.ReplaceAll(string(input), "\n", "\r\n"))
	const golden = "testdata/commands.golden"
	if updating() {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("commands are read otherwise than %s says; run with -update and look at the difference\n%s", golden, got)
	}
}

func TestBadInput(t *testing.T) {
	long := strings.Repeat("x", 70<<10)
	for name, c := range map[string]struct{ input, want string }{
		"parens":         {"a SEARCH " + strings.Repeat("(", 10000) + "ALL" + strings.Repeat(")", 10000) + "\r\nb NOOP\r\n", "nested deeper"},
		"nots":           {"a SEARCH " + strings.Repeat("NOT ", 10000) + "ALL\r\nb NOOP\r\n", "nested deeper"},
		"line":           {"a LOGIN " + long + "\r\nb NOOP\r\n", "line is longer"},
		"nul":            {"a LOGIN a\x00b c\r\nb NOOP\r\n", "octet 0x00"},
		"nul in literal": {"a LOGIN {3+}\r\na\x00b c\r\nb NOOP\r\n", "NUL in a literal"},
		"nul quoted":     {"a LOGIN \"a\x00b\" c\r\nb NOOP\r\n", "NUL in a quoted"},
		"bare cr":        {"a LOGIN a\rb c\r\nb NOOP\r\n", "expected a space"},
		"big literal":    {"a LOGIN {70000+}\r\n" + strings.Repeat("z", 70000) + " c\r\nb NOOP\r\n", "toobig=true"},
		"big unasked":    {"a LOGIN {70000}\r\nb NOOP\r\n", "toobig=true"},
		"huge sync":      {"a LOGIN {99999999999999999999999}\r\nb NOOP\r\n", "toobig=true"},
		"keys":           {"a SEARCH " + strings.Repeat("ALL ", 5000) + "\r\nb NOOP\r\n", "more than 2000"},
		"fuzzies":        {"a SEARCH " + strings.Repeat("FUZZY ", 10000) + "ALL\r\nb NOOP\r\n", "nested deeper"},
		"fuzzy texts":    {"a SEARCH FUZZY (" + strings.Repeat("TEXT a ", 17) + "ALL)\r\nb NOOP\r\n", "more than 16"},
		"set":            {"a FETCH 4294967296 FLAGS\r\nb NOOP\r\n", "too large"},
		"utf7":           {"a SELECT &AAA-\r\nb NOOP\r\n", "UTF-7"},
		"urls":           {"a URLFETCH" + strings.Repeat(" x", 101) + "\r\nb NOOP\r\n", "more than 100"},
		"rumps":          {"a GENURLAUTH" + strings.Repeat(" x INTERNAL", 101) + "\r\nb NOOP\r\n", "more than 100"},
	} {
		t.Run(name, func(t *testing.T) {
			got := transcript(c.input)
			if !strings.Contains(got, c.want) || !strings.Contains(got, "b NOOP") || strings.Count(got, "\n") > 4 {
				t.Errorf("got %.300s", got)
			}
		})
	}
}

func TestOutOfSync(t *testing.T) {
	for _, input := range []string{
		"a LOGIN {99999999999999999999999+}\r\nb NOOP\r\n",
		"a FOO {9999999999+}\r\nb NOOP\r\n",
		"a " + strings.Repeat("x", 3<<20) + "\r\nb NOOP\r\n",
	} {
		if got := transcript(input); !strings.HasSuffix(got, "end: "+ErrOutOfSync.Error()+"\n") {
			t.Errorf("%.40q gave %s", input, got)
		}
	}
}

func TestAppendStreams(t *testing.T) {
	const size = 50 << 20
	pr, pw := io.Pipe()
	go func() {
		fmt.Fprintf(pw, "a APPEND x {%d+}\r\n", size)
		chunk := bytes.Repeat([]byte("0123456789abcde\n"), 4096)
		for range size / len(chunk) {
			pw.Write(chunk)
		}
		fmt.Fprintf(pw, "\r\nb NOOP\r\n")
		pw.Close()
	}()
	r := NewReader(pr, DefaultLimits(), func() error { t.Error("asked for a literal that comes unasked"); return nil })
	cmd, err := r.ReadCommand()
	if err != nil {
		t.Fatal(err)
	}
	a := cmd.Args.(*Append)
	body, err := r.Accept(a)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, body); n != size || err != nil {
		t.Fatalf("read %d octets: %v", n, err)
	}
	if _, err := r.Next(a); err != nil {
		t.Fatal(err)
	}
	if cmd, err = r.ReadCommand(); err != nil || cmd.Name != "NOOP" {
		t.Fatalf("got %v, %v after APPEND", cmd, err)
	}
}

func TestDates(t *testing.T) {
	for _, s := range []string{`"17-Jul-1996 02:44:25 -0700"`, `" 7-Jul-1996 02:44:25 +0000"`, `"07-Jul-1996 02:44:25 +0000"`} {
		r := NewReader(strings.NewReader(s+"\r\n"), DefaultLimits(), nil)
		if d := r.dateTime(); r.err != nil || d.Time.Year() != 1996 || d.Time.Month() != time.July {
			t.Errorf("%s: %v, %v", s, d, r.err)
		}
	}
}

func TestResolve(t *testing.T) {
	set := NumSet{Ranges: []NumRange{{Star, Star}, {9, Star}, {2, 4}}}
	if got := fmt.Sprint(set.Resolve(5)); got != "[{5 5} {5 9} {2 4}]" {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(set.Resolve(0)); got != "[{2 4}]" {
		t.Errorf("got %s", got)
	}
	if set.Max() != 9 || (NumSet{Ranges: []NumRange{{1, math.MaxUint32}}}).Max() != math.MaxUint32 {
		t.Errorf("got %d", set.Max())
	}
}

func FuzzReader(f *testing.F) {
	input, err := os.ReadFile("testdata/commands.imap")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.ReplaceAll(input, []byte("\n"), []byte("\r\n")))
	for line := range bytes.Lines(input) {
		f.Add(line)
	}
	f.Add([]byte("a SEARCH OR OR NOT 1 2 (3 (4)) UID 5:*\r\n"))
	f.Add([]byte("a APPEND x UTF8 (~{3+}\r\nabc)\r\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		r := NewReader(bytes.NewReader(input), DefaultLimits(), func() error { return nil })
		for {
			cmd, err := r.ReadCommand()
			if _, wrong := errors.AsType[*SyntaxError](err); err != nil && !wrong {
				return
			}
			if err != nil {
				continue
			}
			checkFormat(t, cmd)
			if a, ok := cmd.Args.(*Append); ok {
				if r.Refuse(a, 1<<20) != nil {
					return
				}
			}
		}
	})
}

// checkFormat formats what can be formatted and reads it again.
func checkFormat(t *testing.T, cmd *Command) {
	again := func(b []byte) *Reader {
		return NewReader(bytes.NewReader(append(b, "\r\n"...)), Limits{Line: 1 << 20, Literal: 1 << 20, Depth: 9}, nil)
	}
	switch a := cmd.Args.(type) {
	case *Copy:
		text := a.Set.Append(nil)
		if got := again(text).numSet(); fmt.Sprint(got) != fmt.Sprint(a.Set) {
			t.Fatalf("set %v was written as %s and read as %v", a.Set, text, got)
		}
	case *Fetch:
		for _, item := range a.Items {
			if item.Kind != FetchSection {
				continue
			}
			text := item.Section.Append(nil)
			if got := again(text).sectionItem(FetchSection, false); fmt.Sprint(got.Section) != fmt.Sprint(item.Section) {
				t.Fatalf("section %v was written as %s and read as %v", item.Section, text, got.Section)
			}
		}
	case *Mailbox:
		var out bytes.Buffer
		w := NewWriter(&out)
		w.MailboxName(a.Name)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := again(out.Bytes()).mailbox(); got != a.Name {
			t.Fatalf("mailbox %q was written as %s and read as %q", a.Name, out.Bytes(), got)
		}
	}
}
