package sieve_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/sieve"
)

func inputOf(message string) sieve.Input {
	return sieve.Input{
		Text: strings.NewReader(message), Size: int64(len(message)), Now: time.Date(2026, 3, 4, 15, 6, 7, 0, time.UTC), Delimiters: "+",
		Envelope: sieve.Envelope{From: "ann@example.org"}, Addresses: []string{"bob@example.com"},
	}
}

// check holds what is true of every Outcome.
func checkOutcome(t testing.TB, o *sieve.Outcome, err error) {
	t.Helper()
	if err != nil {
		var at *sieve.Error
		if !errors.As(err, &at) {
			t.Fatalf("%v is no *Error", err)
		}
		if len(o.Filings) != 1 || !o.Filings[0].Implicit || o.Filings[0].Mailbox != "INBOX" || len(o.Redirects)+len(o.Notices)+len(o.Remember) > 0 ||
			o.Reject != nil || o.Vacation != nil {
			t.Fatalf("failed with %+v", o)
		}
	}
	if o.Reject != nil && len(o.Filings)+len(o.Redirects) > 0 {
		t.Fatalf("refused and filed: %+v", o)
	}
	if len(o.Filings) > 33 || len(o.Redirects) > 4 || len(o.Trace) > 500 {
		t.Fatalf("%d filings, %d redirects, %d steps", len(o.Filings), len(o.Redirects), len(o.Trace))
	}
	var boxes []string
	for _, f := range o.Filings {
		if slices.Contains(boxes, f.Mailbox) || f.Mailbox == "" {
			t.Fatalf("%q twice", f.Mailbox)
		}
		boxes = append(boxes, f.Mailbox)
		if f.Text != nil {
			if n, err := io.Copy(io.Discard, f.Text.Reader()); err != nil || n != f.Text.Size() {
				t.Fatalf("a text of %d octets has %d: %v", f.Text.Size(), n, err)
			}
		}
	}
}

// hostile gives scripts that ask for much.
func hostile() map[string]string {
	require := `require ["variables", "regex", "body", "foreverypart", "mime", "editheader", "enclose", "replace", "duplicate", "fileinto", "relational", "include", "extracttext"];` + "\n"
	double := `set "a" "0123456789abcdef";` + strings.Repeat("\n"+`set "a" "${a}${a}${a}${a}${a}${a}${a}${a}${a}${a}";`, 10) + "\n"
	keys := strings.Repeat(`"${a}", `, 2000) + `"x"`
	return map[string]string{
		"long strings":   require + double + `if string "` + strings.Repeat("${a}", 5000) + `" "x" { keep; }`,
		"many keys":      require + double + `if string [` + keys + `] [` + keys + `] { keep; }`,
		"regex":          require + strings.Repeat(`if body :raw :regex "((a*)*b)*c(d|e)*x.*y.*z" { keep; }`+"\n", 500),
		"regex compiled": require + strings.Repeat(`set "r" "(a{1,20}b){1,20}"; if header :regex "subject" "${r}" { keep; }`+"\n", 2000),
		"stars":          require + strings.Repeat(`if body :raw :matches "*?a?b?c?d?e*?x*" { keep; }`+"\n", 500),
		"texts":          require + strings.Repeat(`if body :contains "nothing of the kind" { keep; }`+"\n", 5000),
		"loops":          require + strings.Repeat("foreverypart { ", 15) + `if header :mime :anychild :contains "subject" "x" { keep; }` + strings.Repeat("}", 15),
		"edits":          require + strings.Repeat(`addheader "X" "y"; deleteheader "X";`+"\n", 2000),
		"enclosures":     require + strings.Repeat(`enclose "x";`+"\n", 100),
		"replacements":   require + "foreverypart { foreverypart { replace \"x\"; } }\n",
		"ids":            require + double + strings.Repeat(`set "i" "${i}x"; if duplicate :uniqueid "${i}" { keep; }`+"\n", 100),
		"variables": require + func() (s string) {
			for i := range 1000 {
				s += fmt.Sprintf("set \"v%d\" \"x\";\n", i)
			}
			return s
		}(),
		"include": require + strings.Repeat(`include "self";`+"\n", 200),
		"extract": require + strings.Repeat(`foreverypart { extracttext :upper "t"; }`+"\n", 500),
		"nested":  strings.Repeat("if true { ", 31) + "keep;" + strings.Repeat("}", 31),
	}
}

// hostileMessage is large in all that a script looks at.
func hostileMessage() string {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, "X-%d: %s\r\nSubject: abc abc\r\n", i, strings.Repeat("ab ", 20))
	}
	b.WriteString("Content-Type: multipart/mixed; boundary=b\r\n\r\n")
	for range 600 {
		b.WriteString("--b\r\nContent-Type: text/html\r\n\r\n" + strings.Repeat("<p>aaaa bbbb &amp; cccc ", 80) + "\r\n")
	}
	return b.String() + "--b--\r\n"
}

// TestHostile shows that such scripts end: with an error where they did too much. It gives them a tenth of the usual work; how long
// they take with all of it, BenchmarkHostile tells.
func TestHostile(t *testing.T) {
	message := hostileMessage()
	for name, script := range hostile() {
		compiled, err := sieve.Compile([]byte(script), sieve.Limits{Work: 2_000_000})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		in := inputOf(message)
		in.Scripts = self{compiled}
		o, err := compiled.Run(in)
		checkOutcome(t, o, err)
		if err == nil && !slices.Contains([]string{"loops", "nested", "replacements", "texts"}, name) {
			t.Errorf("%s went well", name)
		}
	}
}

// self finds one script under every name.
type self struct{ script *sieve.Script }

func (s self) Script(sieve.Location, string) (*sieve.Script, error) { return s.script, nil }

// TestOneScriptManyRuns runs a script at several places at once.
func TestOneScriptManyRuns(t *testing.T) {
	compiled, err := sieve.Compile([]byte(typical), sieve.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for range 20 {
				o, err := compiled.Run(inputOf(typicalMessage()))
				if err != nil || len(o.Filings) != 1 || o.Filings[0].Mailbox != "INBOX" {
					t.Fatalf("%v: %+v", err, o)
				}
			}
		})
	}
}

// TestCompileLimit shows the bound on a script's size, and that a script of a mebibyte is taken where it is allowed.
func TestCompileLimit(t *testing.T) {
	script := []byte(strings.Repeat("keep; # and so on and so forth, and so on and so forth\n", 19000))
	if _, err := sieve.Compile(script, sieve.Limits{}); err == nil || !strings.Contains(err.Error(), "octets, 262144 are allowed") {
		t.Errorf("a large script: %v", err)
	}
	if _, err := sieve.Compile(script, sieve.Limits{Octets: 1 << 20}); err != nil {
		t.Errorf("a large script where it is allowed: %v", err)
	}
}

// TestRegexTogether shows that many small expressions that become large are refused.
func TestRegexTogether(t *testing.T) {
	script := `require "regex"; if header :regex "subject" [` + strings.Repeat(`"a{900}", `, 60) + `"b"] { keep; }`
	if _, err := sieve.Compile([]byte(script), sieve.Limits{}); err == nil || !strings.Contains(err.Error(), "50000 instructions together") {
		t.Errorf("%v", err)
	}
}

var errDisk = errors.New("the disk")

type brokenText struct{}

func (brokenText) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

// TestReadError shows that a message that cannot be read is kept, and that the error says why.
func TestReadError(t *testing.T) {
	compiled, err := sieve.Compile([]byte("discard;"), sieve.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	in := inputOf("Subject: x\r\n\r\n")
	in.Text = brokenText{}
	o, err := compiled.Run(in)
	if !errors.Is(err, errDisk) || len(o.Filings) != 1 || !o.Filings[0].Implicit {
		t.Errorf("%v: %+v", err, o)
	}
}

// FuzzRun runs any script over any message.
func FuzzRun(f *testing.F) {
	require := `require ["` + strings.Join(sieve.Extensions(), `", "`) + `"];` + "\n"
	message := "From: a@b.test\r\nTo: bob@example.com\r\nSubject: =?utf-8?q?x?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"
	for _, s := range []string{
		"keep;", `if header :matches "subject" "*?" { fileinto "${1}"; }`, `foreverypart { if header :mime :type "content-type" "text" { replace "x"; } }`,
		`vacation :days 1 "x"; notify "mailto:a@b.test"; redirect :copy "c@d.test";`, `if body :regex "x+" { addheader "A" "b"; keep; }`,
		`enclose :subject "s" "t"; if date :zone "+0100" "date" "year" "2026" { stop; }`, `set :length "a" "${0}"; reject "${a}";`,
		`if anyof (envelope :detail "to" "x", currentdate :value "ge" "hour" "10", duplicate, size :over 1K) { setflag "a b"; }`,
	} {
		f.Add(s, message)
	}
	f.Fuzz(func(t *testing.T, script, message string) {
		compiled, err := sieve.Compile([]byte(require+script), sieve.Limits{Work: 300_000})
		if err != nil {
			var at *sieve.Error
			if !errors.As(err, &at) {
				t.Fatalf("%v is no *Error", err)
			}
			return
		}
		o, err := compiled.Run(inputOf(message))
		checkOutcome(t, o, err)
		again, err2 := compiled.Run(inputOf(message))
		if fmt.Sprint(err) != fmt.Sprint(err2) || fmt.Sprint(o.Trace) != fmt.Sprint(again.Trace) {
			t.Fatalf("not the same twice: %v %v", err, err2)
		}
	})
}

// typical is a script of ten rules as people have them.
const typical = `require ["fileinto", "imap4flags", "variables", "subaddress", "envelope", "body", "mailbox", "vacation", "relational", "comparator-i;ascii-numeric"];
if header :contains "X-Spam-Flag" "YES" { fileinto "Junk"; stop; }
if header :value "ge" :comparator "i;ascii-numeric" "X-Spam-Score" "5" { fileinto "Junk"; stop; }
if header :contains "List-Id" ["golang-nuts", "debian-devel", "ietf-smtp"] { fileinto "Lists"; stop; }
if header :matches "List-Id" "*<*.lists.example.org>*" { fileinto :create "Lists/${2}"; stop; }
if address :domain :is "from" ["example.org", "example.net", "bank.test"] { addflag "$Known"; }
if address :is ["from", "sender"] ["boss@example.com", "chief@example.com"] { addflag "\\Flagged"; keep; stop; }
if anyof (header :contains "subject" ["invoice", "receipt", "order"], body :contains "amount due") { fileinto "Money"; stop; }
if envelope :detail "to" "shop" { fileinto "Shops"; stop; }
if size :over 10M { fileinto "Large"; stop; }
if allof (header :contains "subject" "newsletter", not address :all :contains "from" "friend") { fileinto "News"; stop; }
`

// typicalMessage has 8 KiB of text.
func typicalMessage() string {
	return "Received: from a.example by b.example; Tue, 3 Mar 2026 23:30:00 -0500\r\nFrom: Ann Example <ann@example.test>\r\nTo: bob@example.com\r\n" +
		"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from the sea\r\nDate: Wed, 4 Mar 2026 14:00:00 +0000\r\nMessage-ID: <m1@example.test>\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
		strings.Repeat("The sea is wide, the ship is small, and we =C3=BC are well.\r\n", 140)
}

func BenchmarkRun(b *testing.B) {
	compiled, err := sieve.Compile([]byte(typical), sieve.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	message := typicalMessage()
	b.ReportAllocs()
	for b.Loop() {
		o, err := compiled.Run(inputOf(message))
		if err != nil || len(o.Filings) != 1 {
			b.Fatal(o, err)
		}
	}
}

func BenchmarkHostile(b *testing.B) {
	message := hostileMessage()
	for name, script := range hostile() {
		compiled, err := sieve.Compile([]byte(script), sieve.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				in := inputOf(message)
				in.Scripts = self{compiled}
				o, err := compiled.Run(in)
				checkOutcome(b, o, err)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sieve.Compile([]byte(typical), sieve.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
