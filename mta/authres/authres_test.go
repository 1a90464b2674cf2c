package authres_test

import (
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/mta/authres"
)

var update = flag.Bool("update", false, "rewrite golden files")

type property = authres.Property

// fields are what we write.
func fields() []authres.Field {
	long := strings.Repeat("very-", 30) + "long.example"
	return []authres.Field{
		{Server: "mx.example.org"},
		{Server: "mx.example.org", Results: []authres.Result{
			{Method: "iprev", Value: "pass", Properties: []property{{"policy", "iprev", "192.0.2.1"}}},
			{Method: "iprev", Value: "fail", Reason: "no name of it leads back", Properties: []property{{"policy", "iprev", "2001:db8::1"}}},
			{Method: "spf", Value: "pass", Properties: []property{{"smtp", "mailfrom", "ann@example.com"}}},
			{Method: "spf", Value: "none", Properties: []property{{"smtp", "helo", "out.example.com"}}},
			{Method: "spf", Value: "neutral", Properties: []property{{"smtp", "mailfrom", ""}}},
			{Method: "dkim", Value: "pass", Comment: "2048 bits", Properties: []property{{"header", "d", "example.com"}, {"header", "s", "s2026"}, {"header", "a", "rsa-sha256"}, {"header", "b", "AbC/d+9="}, {"header", "i", "@example.com"}}},
			{Method: "dkim", Value: "temperror", Reason: `DNS says "later" (\o/); ask again`, Properties: []property{{"header", "d", "example.net"}}},
			{Method: "dmarc", Value: "fail", Comment: `p=reject (a test) \`, Properties: []property{{"header", "from", "example.com"}, {"policy", "dmarc", "reject"}}},
		}},
		{Server: "mx 1", Results: []authres.Result{
			{Method: "spf", Value: "pass", Properties: []property{{"smtp", "mailfrom", `"a b"@example.org`}}},
			{Method: "spf", Value: "pass", Properties: []property{{"smtp", "mailfrom", "änn@bücher.example"}}},
			{Method: "spf", Value: "fail", Properties: []property{{"smtp", "mailfrom", "o'neil+x=y@example.org"}}},
			{Method: "arc", Value: "none", Reason: strings.Repeat("word ", 100)},
			{Method: "dkim", Value: "pass", Properties: []property{{"header", "d", long}, {"header", "s", "x"}}},
		}},
		{Server: "mx\r\nX-Evil: yes", Results: []authres.Result{
			{Method: "s p;f", Value: "", Reason: "a\r\n\r\nb\x00\xff", Comment: "c\nd)", Properties: []property{{"sm tp", "x=y", "a;\r\n b"}}},
		}},
	}
}

// TestCompose holds what is written against its golden file, and reads it again.
func TestCompose(t *testing.T) {
	var all strings.Builder
	for i, f := range fields() {
		text := f.String()
		all.WriteString(text)
		if !strings.HasSuffix(text, "\r\n") || !utf8.ValidString(text) {
			t.Errorf("%q", text)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(text, "\r\n"), "\r\n") {
			if strings.TrimSpace(line) == "" || len(line) > 998 || !strings.HasPrefix(line, authres.Name) && !strings.HasPrefix(line, "\t") {
				t.Errorf("line %q", line)
			}
			if n := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "        ")); n > 78 && len(strings.Fields(line)) > 1 && i < 2 {
				t.Errorf("%d columns: %q", n, line)
			}
		}
		got, err := authres.Parse(strings.TrimPrefix(text, authres.Name+":"))
		if err != nil {
			t.Fatal(err)
		}
		if i < 2 && !reflect.DeepEqual(got, f) {
			t.Errorf("read again as %+v", got)
		}
		if payload, err := authres.Parse(f.Payload()); err != nil || !reflect.DeepEqual(payload, got) {
			t.Errorf("the payload is %+v, %v", payload, err)
		}
	}
	const golden = "testdata/fields.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != all.String() {
		t.Errorf("not as in %s: %v\n%s", golden, err, all.String())
	}
}

// TestParse has what others write: the shapes of RFC 8601, appendix B, and worse.
func TestParse(t *testing.T) {
	result := func(method, value string, p ...property) authres.Result {
		return authres.Result{Method: method, Value: value, Properties: p}
	}
	for text, want := range map[string]authres.Field{
		" example.org 1; none":                                 {Server: "example.org"},
		"example.com;\r\n\tspf=pass smtp.mailfrom=example.net": {Server: "example.com", Results: []authres.Result{result("spf", "pass", property{"smtp", "mailfrom", "example.net"})}},
		"example.com; auth=pass (cram-md5) smtp.auth=sender@example.net; spf=pass smtp.mailfrom=example.net": {Server: "example.com", Results: []authres.Result{
			{Method: "auth", Value: "pass", Comment: "cram-md5", Properties: []property{{"smtp", "auth", "sender@example.net"}}}, result("spf", "pass", property{"smtp", "mailfrom", "example.net"})}},
		`foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail policy (A dot can go here) . (like that) expired (this surprised me) = (as I wasn't expecting it) 1362471462`: {
			Server: "foo.example.net", Results: []authres.Result{result("dkim", "fail", property{"policy", "expired", "1362471462"})}},
		`example.org; DKIM=Pass reason="good \"signature\"" Header.I=@mail-router.example.net header.b="oINEO8hg"`: {Server: "example.org", Results: []authres.Result{
			{Method: "dkim", Value: "pass", Reason: `good "signature"`, Properties: []property{{"header", "i", "@mail-router.example.net"}, {"header", "b", "oINEO8hg"}}}}},
		`"mx 1"; x-own=odd x.y="a;b"c;`:                     {Server: "mx 1", Results: []authres.Result{result("x-own", "odd", property{"x", "y", "a;bc"})}},
		"mx; spf=none smtp.mailfrom=":                       {Server: "mx", Results: []authres.Result{result("spf", "none", property{"smtp", "mailfrom", ""})}},
		"mx; dkim=pass header.b=AbC/d+9=;dmarc=pass(p=none": {Server: "mx", Results: []authres.Result{result("dkim", "pass", property{"header", "b", "AbC/d+9="}), result("dmarc", "pass")}},
		"mx": {Server: "mx"},
	} {
		got, err := authres.Parse(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v, %v\nwant %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", ";", "; spf=pass", "(mx); none", "mx 2; none", "mx; spf", "mx; spf=", "mx; =pass", "mx; spf=pass smtp", "mx; spf=pass smtp=x", "mx; spf=pass smtp.x",
		"mx; spf=pass .x=y", "mx; spf/2=pass", "mx spf=pass", `mx; spf=pass reason="open`, `"mx`, "mx; spf=pass smtp.x=a\x00", strings.Repeat("a", 70000), "mx" + strings.Repeat("; spf=pass", 500),
		"mx; spf=pass" + strings.Repeat(" smtp.x=y", 100),
	} {
		if got, err := authres.Parse(text); !errors.Is(err, authres.ErrSyntax) {
			t.Errorf("%.60q: %+v, %v", text, got, err)
		}
	}
}

func TestServer(t *testing.T) {
	for text, want := range map[string]string{
		" MX.example.org; spf=pass":       "MX.example.org",
		"\r\n\t(x) mx.example.org\r\n 1;": "mx.example.org",
		`"mx.example.org"; broken ===`:    "mx.example.org",
		"mx.example.org(x);":              "mx.example.org",
		"mx.example.org:25; none":         "mx.example.org:25",
		"bücher.example; none":            "bücher.example",
		"mx":                              "mx",
		"":                                "",
		"; none":                          "",
		"(mx":                             "",
	} {
		if got, err := authres.Server(text); got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// FuzzParse: what is read is written and read again as the same, whatever it is.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"mx; spf=pass (c) reason=\"x\" smtp.mailfrom=a@b; dkim=fail header.d=c", "mx 1; none", "\"a b\" ; x=y z.w=\"\\\"\"", "(((", "mx; a/1=b c . d = e"} {
		f.Add(s)
	}
	for _, field := range fields() {
		f.Add(field.Payload())
	}
	f.Fuzz(func(t *testing.T, text string) {
		server, err := authres.Server(text)
		field, err2 := authres.Parse(text)
		if err2 == nil && (err != nil || server != field.Server) {
			t.Fatalf("%q, %v; %+v", server, err, field)
		}
		if err2 != nil {
			return
		}
		once := field.Payload()
		for line := range strings.SplitSeq(once, "\r\n") {
			if strings.ContainsAny(line, "\r\n\x00") || !utf8.ValidString(line) {
				t.Fatalf("%q", once)
			}
		}
		again, err := authres.Parse(once)
		if err != nil {
			t.Fatalf("%q: %v", once, err)
		}
		if len(again.Results) != len(field.Results) || again.Payload() != once {
			t.Fatalf("%q is then %q", once, again.Payload())
		}
	})
}
