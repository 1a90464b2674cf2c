package wire

import (
	"bufio"
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

func reader(s string) *bufio.Reader { return bufio.NewReaderSize(strings.NewReader(s), 16) }

func TestReadLine(t *testing.T) {
	const max = 40
	full := strings.Repeat("x", max-2)
	for _, c := range []struct {
		in    string
		lines []string // "!" and an error's text for an error
	}{
		{"NOOP\r\nQUIT\r\n", []string{"NOOP", "QUIT", "!EOF"}},
		{"NOOP\nQUIT", []string{"NOOP", "!unexpected EOF"}},
		{full + "\r\nNOOP\r\n", []string{full, "NOOP", "!EOF"}},
		{full + "x\r\nNOOP\r\n", []string{"!line too long", "NOOP", "!EOF"}},
		{strings.Repeat("x", 1000) + "\r\nNOOP\r\n", []string{"!line too long", "NOOP", "!EOF"}},
		{strings.Repeat("x", 2<<20), []string{"!no end of the line in sight"}},
		{strings.Repeat("x", 1000), []string{"!unexpected EOF"}},
		{"\r\r\n\n", []string{"\r", "", "!EOF"}},
	} {
		r := reader(c.in)
		for i, want := range c.lines {
			line, err := ReadLine(r, max)
			if err != nil {
				line = "!" + err.Error()
			}
			if line != want {
				t.Errorf("line %d of %.50q is %q, want %q", i, c.in, line, want)
			}
		}
	}
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestReadMail(t *testing.T) {
	for _, c := range []struct{ arg, want string }{
		{"FROM:<>", "<> 0 ''"},
		{"from: <a@b>  SIZE=12 BODY=8bitmime", "<a@b> 12 '8BITMIME'"},
		{"FROM:a@b SMTPUTF8", "<a@b> 0 '' utf8"},
		{`FROM:<"a> \" b"@c> SIZE=0`, `<"a> \" b"@c> 0 ''`},
		{"FROM:<@x,@y:a@B.> AUTH=x", "<a@b> 0 ''"},
		{"FROM:<a..b@c_d>", "<a..b@c_d> 0 ''"},
		{"FROM:<ä@b>", "553 5.6.7"},
		{"FROM:<ä@b> SMTPUTF8", "<ä@b> 0 '' utf8"},
		{"FROM:<\xff@b> SMTPUTF8", "501 5.5.2"},
		{"FROM:", "501 5.5.2"},
		{"FROM:<a@b", "501 5.5.2"},
		{"FROM:<a@b>SIZE=1", "501 5.5.2"},
		{"FROM:<a b@c>", "501 5.5.2"},
		{"FROM:<@x>", "501 5.5.2"},
		{"FROM:<a@b> =1", "501 5.5.2"},
		{"FROM:<a@b> SIZE=", "501 5.5.2"},
		{"FROM:<a@b> SIZE=-1", "501 5.5.4"},
		{"FROM:<a@b> SIZE=99999999999999999999", "501 5.5.4"},
		{"FROM:<a@b> SIZE=1 size=1", "501 5.5.2"},
		{"FROM:<a@b> SMTPUTF8=1", "555 5.5.4"},
		{"FROM:<a@b> REQUIRETLS", "<a@b> 0 '' tls"},
		{"FROM:<a@b> REQUIRETLS=1", "555 5.5.4"},
		{"FROM:<a@b> HOLDFOR=90", "<a@b> 0 '' held 1m30s"},
		{"FROM:<a@b> HOLDUNTIL=2026-11-21T12:00:07Z", "<a@b> 0 '' held 7s"},
		{"FROM:<a@b> HOLDUNTIL=2026-11-21T12:00:00Z", "501 5.5.4"},
		{"FROM:<a@b> HOLDUNTIL=2026-11-21T13:00:00+01:00", "501 5.5.4"},
		{"FROM:<a@b> HOLDUNTIL=2027-11-21T12:00:00Z", "501 5.5.4"},
		{"FROM:<a@b> HOLDFOR=0", "501 5.5.4"},
		{"FROM:<a@b> HOLDFOR=-1", "501 5.5.4"},
		{"FROM:<a@b> HOLDFOR=1000000000", "501 5.5.4"},
		{"FROM:<a@b> HOLDFOR=99999999", "501 5.5.4"},
		{"FROM:<a@b> HOLDFOR=1 HOLDUNTIL=2026-11-21T12:00:07Z", "501 5.5.4"},
		{"FROM:<a@b> BY=120;R", "<a@b> 0 '' by 120;R"},
		{"FROM:<a@b> BY=-5;nt", "<a@b> 0 '' by -5;NT"},
		{"FROM:<a@b> BY=+5;RT", "<a@b> 0 '' by 5;RT"},
		{"FROM:<a@b> BY=0;R", "501 5.5.4"},
		{"FROM:<a@b> BY=-5;R", "501 5.5.4"},
		{"FROM:<a@b> BY=+-5;N", "501 5.5.4"},
		{"FROM:<a@b> BY=5;X", "501 5.5.4"},
		{"FROM:<a@b> BY=5;T", "501 5.5.4"},
		{"FROM:<a@b> BY=5", "501 5.5.4"},
		{"FROM:<a@b> BY=1000000000;N", "501 5.5.4"},
		{"FROM:<a@b> MT-PRIORITY=-9", "<a@b> 0 '' priority -9"},
		{"FROM:<a@b> MT-PRIORITY=10", "501 5.5.4"},
		{"FROM:<a@b> MT-PRIORITY=high", "501 5.5.4"},
		{"FROM:<a\x01@b>", "501 5.5.2"},
	} {
		e, _, err := ReadMail(c.arg, Known{Auth: true, DSN: true, Queue: true, Now: noon, RequireTLS: true})
		got := fmt.Sprintf("<%s> %d '%s'", e.From, e.Size, e.Body)
		if e.UTF8 {
			got += " utf8"
		}
		if !e.Release.IsZero() {
			got += " held " + e.Release.Sub(noon).String()
		}
		if e.By.Mode != "" {
			got += " by " + e.By.Value(noon)
		}
		if e.Priority != 0 {
			got += fmt.Sprintf(" priority %d", e.Priority)
		}
		if e.RequireTLS {
			got += " tls"
		}
		if r := (*mta.Reply)(nil); errors.As(err, &r) {
			got = fmt.Sprintf("%d %s", r.Code, r.Enhanced)
		}
		if got != c.want {
			t.Errorf("ReadMail(%q) = %s, want %s", c.arg, got, c.want)
		}
	}
	for _, p := range []string{"AUTH=x", "RET=FULL", "HOLDFOR=1", "BY=1;R", "MT-PRIORITY=1", "REQUIRETLS"} {
		if _, _, err := ReadMail("FROM:<a@b> "+p, Known{}); err == nil {
			t.Errorf("%s was taken where it is not offered", p)
		}
	}
}

// FuzzPath holds that what is read can do no harm where it is repeated.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"FROM:<a@b> SIZE=1", `FROM:<"a\"> b"@c> X`, "FROM:<@a:b@c>", "FROM:a..b@c d=e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		p, err := ReadPath(arg, "FROM:")
		if err != nil {
			return
		}
		if strings.ContainsAny(p.Address, "\r\n\x00") || !p.Valid && strings.ContainsAny(p.Address, " <>\"\\") {
			t.Fatalf("ReadPath(%q) = %+v", arg, p)
		}
		again, err := ReadPath("FROM:<"+p.Address+">", "FROM:")
		if err != nil || again.Address != p.Address || again.Valid != p.Valid {
			t.Fatalf("ReadPath(%q) = %+v, read back as %+v, %v", arg, p, again, err)
		}
	})
}

// FuzzMail holds that what is taken of MAIL is within its bounds, and that it says the same when it is written again.
func FuzzMail(f *testing.F) {
	for _, s := range []string{"SIZE=1 BODY=8BITMIME SMTPUTF8", "HOLDFOR=10 BY=20;RT MT-PRIORITY=-3 REQUIRETLS", "HOLDUNTIL=2026-12-01T00:00:00Z BY=-1;N", "RET=FULL ENVID=a+2Bb AUTH=<>"} {
		f.Add(s)
	}
	known := Known{Auth: true, DSN: true, Queue: true, Now: noon, RequireTLS: true}
	f.Fuzz(func(t *testing.T, params string) {
		e, _, err := ReadMail("FROM:<a@b> "+params, known)
		if err != nil {
			return
		}
		if e.Size < 0 || e.Priority < -9 || e.Priority > 9 || len(e.EnvID) > 100 {
			t.Fatalf("%q: %+v", params, e)
		}
		if !e.Release.IsZero() && (!e.Release.After(noon) || e.Release.Sub(noon) > mta.MaxHold) {
			t.Fatalf("%q: released at %v", params, e.Release)
		}
		if e.By.Mode == "" {
			return
		}
		again, ok := mta.ParseBy(e.By.Value(noon), noon)
		if !ok || again != e.By || e.By.Mode == mta.ByReturn && !e.By.Time.After(noon) {
			t.Fatalf("%q: %+v, read back as %+v", params, e.By, again)
		}
	})
}

func TestTLSOptional(t *testing.T) {
	for header, want := range map[string]bool{
		"TLS-Required: No\r\n\r\n": true, "Subject: x\r\ntls-required : no \r\n\r\n": true, "TLS-Required: yes\r\n\r\n": false,
		"TLS-Required: No\r\nTLS-Required: No\r\n\r\n": false, "Subject: x\r\n TLS-Required: No\r\n\r\n": false, "\r\n": false, "TLS-Required\r\n": false,
	} {
		if got := TLSOptional([]byte(header)); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

func TestData(t *testing.T) {
	long := strings.Repeat("y", 40)
	for _, c := range []struct{ in, message, rest string }{
		{".\r\nNOOP", "", "NOOP"},
		{"a\r\n.\r\nNOOP", "a\r\n", "NOOP"},
		{"..\r\n...\r\n.a\r\n.\r\n", ".\r\n..\r\na\r\n", ""},
		{"a\n.\n.\r\nb\r.\r\n.\nc\r\n.\r\nX", "a\n.\n.\r\nb\r.\r\n\nc\r\n", "X"},
		{"a\r\r\n.\r\nX", "a\r\r\n", "X"},
		{"a\r\n.\r\r\nb\r\n.\r\nX", "a\r\n\r\r\nb\r\n", "X"},
		{long + "\r\n.\r\nX", long + "\r\n", "X"},
		{long + "\n.\r\n\r\n.\r\nX", long + "\n.\r\n\r\n", "X"},
		// The buffer of 16 octets ends between CR and LF, and behind a dot.
		{strings.Repeat("y", 15) + "\r\n.\r\nX", strings.Repeat("y", 15) + "\r\n", "X"},
		{"." + strings.Repeat("y", 14) + "\r\n.\r\nX", strings.Repeat("y", 14) + "\r\n", "X"},
		{strings.Repeat("y", 15) + "\r" + strings.Repeat("z", 3) + "\r\n.\r\n", strings.Repeat("y", 15) + "\rzzz\r\n", ""},
	} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "dataerr": iotest.DataErrReader,
		} {
			r := bufio.NewReaderSize(wrap(strings.NewReader(c.in)), 16)
			got, err := io.ReadAll(iotest.OneByteReader(NewData(r)))
			rest, _ := io.ReadAll(r)
			if err != nil || string(got) != c.message || string(rest) != c.rest {
				t.Errorf("%s: %q gives %q, rest %q, %v; want %q, rest %q", name, c.in, got, rest, err, c.message, c.rest)
			}
		}
	}
	for _, in := range []string{"", "a", "a\r\n", ".", ".\r", "a\r\n.\r", "a\n.\n"} {
		if _, err := io.ReadAll(NewData(reader(in))); err != io.ErrUnexpectedEOF {
			t.Errorf("%q ends with %v", in, err)
		}
	}
}

func TestChunk(t *testing.T) {
	r := reader("12345NOOP")
	if got, err := io.ReadAll(NewChunk(r, 5)); err != nil || string(got) != "12345" {
		t.Errorf("read %q, %v", got, err)
	}
	if got, err := io.ReadAll(NewChunk(r, 5)); err != io.ErrUnexpectedEOF || string(got) != "NOOP" {
		t.Errorf("read %q, %v", got, err)
	}
	if got, err := io.ReadAll(NewChunk(r, 0)); err != nil || len(got) != 0 {
		t.Errorf("read %q, %v", got, err)
	}
}

// FuzzLineEnds holds that however octets are cut, strict passes clean messages as they are and
// nothing else, and repair gives clean ones with the same lines.
func FuzzLineEnds(f *testing.F) {
	for _, s := range []string{"a\r\nb\r\n", "a\nb", "a\rb\r", "\r\r\n\n", "\x00", "\r", "\n"} {
		f.Add([]byte(s), uint8(1))
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, message []byte, step uint8) {
		plain := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(message))
		repaired := strings.ReplaceAll(plain, "\n", "\r\n")
		clean := repaired == string(message)
		nul := bytes.IndexByte(message, 0) >= 0
		for _, repair := range []bool{false, true} {
			got, err := pass(&LineEnds{Repair: repair}, message, int(step)+1)
			switch {
			case nul || !repair && !clean:
				if err == nil {
					t.Fatalf("%q passed as %q", message, got)
				}
			case err != nil || string(got) != repaired:
				t.Fatalf("%q, repair %v, steps of %d: %q, %v", message, repair, int(step)+1, got, err)
			}
		}
	})
}

func pass(l *LineEnds, message []byte, step int) (out []byte, err error) {
	for len(message) > 0 {
		n := min(step, len(message))
		kept, err := l.Next(bytes.Clone(message[:n]))
		if err != nil {
			return nil, err
		}
		out, message = append(out, kept...), message[n:]
	}
	rest, err := l.End()
	return append(out, rest...), err
}

func TestHeader(t *testing.T) {
	for in, want := range map[string]int{"": -1, "\r\nx": 2, "a: b\r\n\r\nx": 8, "a: b\r\n": -1, "a\n\nb": -1} {
		if got := HeaderEnd([]byte(in), 0); got != want {
			t.Errorf("HeaderEnd(%q) = %d, want %d", in, got, want)
		}
		for seen := range len(in) {
			if HeaderEnd([]byte(in[:seen]), 0) >= 0 {
				break
			}
			if got := HeaderEnd([]byte(in), seen); got != want {
				t.Errorf("HeaderEnd(%q, %d) = %d, want %d", in, seen, got, want)
			}
		}
	}
	header := []byte("Date: x\r\nX: y\r\n date: no\r\ndate : z\r\nDated: no\r\nDATE\r\n\r\n")
	if got := CountField(header, "date"); got != 2 {
		t.Errorf("CountField = %d", got)
	}
	for in, want := range map[string]bool{
		"": true, "a:": true, "a-b : c": true, ":": false, "hello world": false, "\r\n": false, " a: b": false, "From x@y 1:2": false, "ä: b": false, "a": false,
	} {
		if got := StartsWithField([]byte(in)); got != want {
			t.Errorf("StartsWithField(%q) = %v", in, got)
		}
	}
}
