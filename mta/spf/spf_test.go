package spf_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/spf"
)

// resolver asks a zone, and keeps nothing.
func resolver(z *dnstest.Zone) spf.Resolver {
	return dns.Lists{Resolver: dns.New(dns.Config{Servers: []string{"zone"}, Rounds: 1, Exchange: z.Exchange})}
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// TestCases runs the files of testdata: records of a zone, "timeout NAME", and cases, which are lines of words with "=>" between what
// is asked and what comes of it.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	total := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			total += runCases(t, file, string(text))
		})
	}
	if total < 200 {
		t.Errorf("only %d cases", total)
	}
}

func runCases(t *testing.T, file, text string) (n int) {
	z := new(dnstest.Zone)
	type line struct {
		number int
		text   string
	}
	var cases []line
	for i, l := range strings.Split(text, "\n") {
		switch name, timeout := strings.CutPrefix(l, "timeout "); {
		case strings.HasPrefix(l, "#") || strings.TrimSpace(l) == "":
		case timeout:
			z.Fail(name, errors.New("no answer"))
		case strings.Contains(l, "=>"):
			cases = append(cases, line{i + 1, l})
		default:
			z.Add(l)
		}
	}
	r := resolver(z)
	for _, c := range cases {
		ask, want, _ := strings.Cut(c.text, "=>")
		q := spf.Query{Client: netip.MustParseAddr("192.0.2.1"), Helo: "mail.example", Receiver: "mx.here.example", Time: noon}
		for key, v := range words(t, "from "+ask) {
			switch key {
			case "from":
				q.From = v
			case "helo":
				q.Helo = v
			case "by":
				q.Client = netip.MustParseAddr(v)
			default:
				t.Fatalf("%s:%d: what is %q?", file, c.number, key)
			}
		}
		o := spf.Check(context.Background(), q, r)
		for key, v := range words(t, "result "+want) {
			got := ""
			switch key {
			case "result":
				got = string(o.Result)
			case "says":
				got = o.Explanation
			case "term":
				got = o.Term
			case "path":
				got = strings.Join(o.Path, ">")
			case "match":
				got = o.Match
			case "problem":
				if !strings.Contains(o.Problem, v) {
					t.Errorf("%s:%d: problem %q, not %q", file, c.number, o.Problem, v)
				}
				continue
			case "lookups":
				got = strconv.Itoa(o.Lookups)
			case "voids":
				got = strconv.Itoa(o.Voids)
			default:
				t.Fatalf("%s:%d: what is %q?", file, c.number, key)
			}
			if got != v {
				t.Errorf("%s:%d: %s %q, not %q: %v", file, c.number, key, got, v, o)
			}
		}
	}
	return len(cases)
}

// words reads pairs of a key and a value; a value may be in double quotes.
func words(t *testing.T, text string) map[string]string {
	out := map[string]string{}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		key, rest, _ := strings.Cut(text, " ")
		rest = strings.TrimSpace(rest)
		value, after, _ := strings.Cut(rest, " ")
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			value, _ = strconv.Unquote(quoted)
			after = rest[len(quoted):]
		}
		out[key], text = value, after
	}
	return out
}

// TestIncludes: a hundred includes, one in the other or side by side, are not followed to their end.
func TestIncludes(t *testing.T) {
	z := new(dnstest.Zone)
	var side strings.Builder
	for i := range 100 {
		z.Add(fmt.Sprintf(`n%d.example. TXT "v=spf1 include:n%d.example -all"`, i, i+1))
		fmt.Fprintf(&side, " include:n%d.wide.example", i)
		z.Add(fmt.Sprintf(`n%d.wide.example. TXT "v=spf1 ip4:198.51.100.%d"`, i, i))
	}
	z.Add(`n100.example. TXT "v=spf1 +all"`)
	z.Add("wide.example. TXT " + quote("v=spf1"+side.String()+" +all"))
	for _, from := range []string{"a@n0.example", "a@wide.example"} {
		before := z.Asked()
		o := spf.Check(context.Background(), spf.Query{Client: netip.MustParseAddr("192.0.2.1"), From: from}, resolver(z))
		if o.Result != spf.PermError || !strings.Contains(o.Problem, "more than 10 terms") || len(o.Problem) > 2000 {
			t.Errorf("%s: %v", from, o)
		}
		if asked := z.Asked() - before; asked != 11 {
			t.Errorf("%s: %d questions", from, asked)
		}
	}
}

// quote writes a text as strings of a TXT record.
func quote(text string) string {
	var parts []string
	for len(text) > 255 {
		parts = append(parts, `"`+text[:255]+`"`)
		text = text[255:]
	}
	return strings.Join(append(parts, `"`+text+`"`), " ")
}

// TestHuge: a record of 64 KiB is read whole, and macros in it do not grow beyond bounds.
func TestHuge(t *testing.T) {
	z := new(dnstest.Zone)
	nets := "v=spf1"
	for i := 0; len(nets) < 63<<10; i++ {
		nets += fmt.Sprintf(" ip4:10.%d.%d.%d", i>>16, i>>8&255, i&255)
	}
	z.Add("nets.example. TXT " + quote(nets+" ip4:192.0.2.1 -all"))
	z.Add("macros.example. TXT " + quote("v=spf1 -exists:"+strings.Repeat("%{s}", 16000)+".example ?all"))
	z.Add("words.example. TXT " + quote("v=spf1 -all exp=text.example"))
	z.Add("text.example. TXT " + quote(strings.Repeat("%{s}", 16000)))
	z.Add("long.example. TXT " + quote("v=spf1 a:"+strings.Repeat("x", 60000)+".example -all"))
	for from, want := range map[string]spf.Result{"nets": spf.Pass, "macros": spf.Neutral, "words": spf.Fail, "long": spf.Fail} {
		o := spf.Check(context.Background(), spf.Query{Client: netip.MustParseAddr("192.0.2.1"), From: strings.Repeat("y", 64) + "@" + from + ".example"}, resolver(z))
		if o.Result != want || o.Explanation != "" || len(o.Term) > 300 {
			t.Errorf("%s: %v, explained as %.80q", from, o, o.Explanation)
		}
	}
}

// silent answers nothing to any question about anything but the texts of one domain.
type silent struct {
	domain, text string
	asked        int
}

func (s *silent) Texts(_ context.Context, name string) ([]string, error) {
	s.asked++
	if name == s.domain {
		return []string{s.text}, nil
	}
	return nil, errors.New("no answer")
}

func (s *silent) A(context.Context, string) ([]netip.Addr, error) {
	s.asked++
	return nil, errors.New("no answer")
}

func (s *silent) AAAA(ctx context.Context, name string) ([]netip.Addr, error) { return s.A(ctx, name) }

func (s *silent) Exchangers(context.Context, string) ([]string, error) {
	s.asked++
	return nil, errors.New("no answer")
}

func (s *silent) Names(context.Context, netip.Addr) ([]string, error) {
	s.asked++
	return nil, errors.New("no answer")
}

// TestSilence: DNS that gives no answer ends a check at the first term that needs one; ptr goes on, since nobody is to wait for the
// client's own zone (RFC 7208, section 5.5).
func TestSilence(t *testing.T) {
	for text, want := range map[string]struct {
		spf.Result
		asked int
	}{
		"v=spf1 a mx -all":                  {spf.TempError, 2},
		"v=spf1 mx a -all":                  {spf.TempError, 2},
		"v=spf1 exists:x.example -all":      {spf.TempError, 2},
		"v=spf1 include:x.example -all":     {spf.TempError, 2},
		"v=spf1 redirect=x.example":         {spf.TempError, 2},
		"v=spf1 ptr ptr ptr ~all":           {spf.SoftFail, 2},
		"v=spf1 -all exp=x.example":         {spf.Fail, 2},
		"v=spf1 ?exists:%{p}.example -all":  {spf.TempError, 3},
		"v=spf1 ip4:192.0.2.1 a:x.example":  {spf.Pass, 1},
		"v=spf1 a:x.example ip4:192.0.2.1 ": {spf.TempError, 2},
	} {
		s := &silent{domain: "d.example", text: text}
		o := spf.Check(context.Background(), spf.Query{Client: netip.MustParseAddr("192.0.2.1"), From: "a@d.example"}, s)
		if o.Result != want.Result || s.asked != want.asked {
			t.Errorf("%s: %v after %d questions", text, o, s.asked)
		}
	}
	s := &silent{}
	if o := spf.Check(context.Background(), spf.Query{Client: netip.MustParseAddr("192.0.2.1"), From: "a@d.example"}, s); o.Result != spf.TempError || s.asked != 1 {
		t.Errorf("%v after %d questions", o, s.asked)
	}
}

// TestWords: an outcome tells what decided.
func TestWords(t *testing.T) {
	z := new(dnstest.Zone)
	z.Add(`shop.example. TXT "v=spf1 include:_spf.post.example ~all"
_spf.post.example. TXT "v=spf1 a:out.post.example -all"
out.post.example. A 192.0.2.1
twice.example. TXT "v=spf1 -all"
twice.example. TXT "v=spf1 +all"`)
	for from, want := range map[string]string{
		"a@shop.example":  "pass for shop.example by a:out.post.example of _spf.post.example (192.0.2.1 of out.post.example)",
		"a@twice.example": "permerror for twice.example: twice.example has 2 SPF records",
		"a@none.example":  "none for none.example: none.example has no SPF record",
	} {
		if got := spf.Check(context.Background(), spf.Query{Client: netip.MustParseAddr("192.0.2.1"), From: from}, resolver(z)).String(); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	if o := spf.Check(context.Background(), spf.Query{From: "a@shop.example"}, resolver(z)); o.Result != spf.None {
		t.Errorf("without a client: %v", o)
	}
}
