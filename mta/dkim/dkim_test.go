package dkim_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"github.com/rookery-mail/rookery/mta/dkim"
)

const message = "Received: from a by b;\r\n\tFri, 20 Nov 2026 10:00:00 +0000\r\n" +
	"From: Ann <ann@example.org>\r\nTo: bob@example.net,\r\n  carol@example.net\r\n" +
	"Subject:  two  blanks\t and a tab \r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n" +
	"List-Unsubscribe: <https://example.org/u>\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nHello  \t there \r\n\r\n \t\r\n  end\r\n\r\n\r\n"

// newKey makes a key of a kind.
func newKey(t testing.TB, kind string) dkim.Key {
	t.Helper()
	private, err := dkim.Generate(kind, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := dkim.NewKey("example.org", "sel-"+kind, private)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func read(t testing.TB, text string) *dkim.Message {
	t.Helper()
	m, err := dkim.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// signed puts signatures of both kinds in front of a message.
func signed(t testing.TB, text string, keys ...dkim.Key) string {
	t.Helper()
	m := read(t, text)
	fields := ""
	for _, k := range keys {
		f, err := m.Sign(dkim.Options{Key: k, Time: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(f, "\r\n"), "\r\n") {
			if len(line) > 78 {
				t.Errorf("a line of %d characters: %s", len(line), line)
			}
		}
		fields += f
	}
	return fields + text
}

// verify has go-msgauth verify, and gives a word for each signature.
func verify(t testing.TB, text string, keys ...dkim.Key) string {
	t.Helper()
	list, err := msgauth.VerifyWithOptions(strings.NewReader(text), &msgauth.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		for _, k := range keys {
			if k.Host() == name {
				return []string{k.Record()}, nil
			}
		}
		return nil, errors.New("no such name")
	}})
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, v := range list {
		word := "pass"
		if v.Err != nil {
			word = v.Err.Error()
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// TestSign: another implementation finds both signatures good, and neither when what they cover was changed.
func TestSign(t *testing.T) {
	keys := []dkim.Key{newKey(t, dkim.RSA), newKey(t, dkim.Ed25519)}
	for name, text := range map[string]string{
		"message": message, "no body": "From: a@example.org\r\n\r\n",
		"empty lines":     "From: a@example.org\r\n\r\n\r\n\r\n",
		"blank lines":     "From: a@example.org\r\n\r\n \r\n\t\r\n",
		"no last end":     "From: a@example.org\r\n\r\nabc",
		"two of a kind":   "From: a@example.org\r\nReceived: 1\r\nCc: a\r\nCc: b\r\n\r\nabc\r\n",
		"long line":       "From: a@example.org\r\n\r\n" + strings.Repeat("abc ", 40_000) + "\r\n",
		"end over part":   "From: a@example.org\r\n\r\n" + strings.Repeat("a", 8<<10-1) + "\r\nabc\r\n",
		"end over buffer": "From: a@example.org\r\n\r\n" + strings.Repeat("a", 32<<10-22-1) + "\r\nabc\r\n",
		"long field":      "From: a@example.org\r\nSubject: " + strings.Repeat("abc\r\n ", 10_000) + "\r\n\r\nabc\r\n",
		"eight bits":      "From: a@example.org\r\nSubject: gr\xc3\xbc\xc3\x9fe\r\n\r\nGr\xfc\xdfe\r\n",
	} {
		if got := verify(t, signed(t, text, keys...), keys...); got != "pass, pass" {
			t.Errorf("%s: %s", name, got)
		}
	}
	good := signed(t, message, keys...)
	for name, change := range map[string]func(string) string{
		"a body":          func(s string) string { return strings.Replace(s, "end", "END", 1) },
		"a subject":       func(s string) string { return strings.Replace(s, "Subject:  two", "Subject: three", 1) },
		"a second From":   func(s string) string { return "From: eve@example.org\r\n" + s },
		"a second To":     func(s string) string { return "To: eve@example.org\r\n" + s },
		"a Reply-To":      func(s string) string { return "Reply-To: eve@example.org\r\n" + s },
		"an unsubscriber": func(s string) string { return "List-Unsubscribe: <https://eve.example>\r\n" + s },
	} {
		if got := verify(t, change(good), keys...); strings.Contains(got, "pass") {
			t.Errorf("with %s changed: %s", name, got)
		}
	}
	for name, change := range map[string]func(string) string{
		"white space": func(s string) string { return strings.Replace(s, "Hello  \t there ", "Hello there", 1) },
		"a Received":  func(s string) string { return "Received: again\r\n" + s },
		"folds": func(s string) string {
			return strings.Replace(s, "To: bob@example.net,\r\n  carol", "To: bob@example.net, carol", 1)
		},
		"a Sender": func(s string) string { return "Sender: list@example.com\r\n" + s },
	} {
		if got := verify(t, change(good), keys...); got != "pass, pass" {
			t.Errorf("with %s changed: %s", name, got)
		}
	}
}

// TestPieces: it does not matter in what pieces a message is read.
func TestPieces(t *testing.T) {
	text := message + strings.Repeat("a b\r\n \r\n", 9000)
	want := read(t, text)
	m, err := dkim.Read(iotest.OneByteReader(strings.NewReader(text)))
	if err != nil || m.Relaxed != want.Relaxed || m.Simple != want.Simple || len(m.Header) != len(want.Header) {
		t.Errorf("in single octets: %v", err)
	}
	if _, err := dkim.Read(iotest.TimeoutReader(strings.NewReader(text))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("an error of the source: %v", err)
	}
}

// TestDinner checks the message of RFC 8463, appendix A, whose digest and Ed25519 signature are published.
func TestDinner(t *testing.T) {
	const signature = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n" +
		" d=football.example.com; i=@football.example.com;\r\n" +
		" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n" +
		" subject : date : message-id : from : subject : date;\r\n" +
		" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n" +
		" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n" +
		" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
	m := read(t, "From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n"+
		"Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"+
		"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\n"+
		"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n")
	_, value, _ := strings.Cut(signature, ":")
	tags, err := dkim.ParseTags(value)
	if err != nil {
		t.Fatal(err)
	}
	if got := base64.StdEncoding.EncodeToString(m.Relaxed[:]); got != tags.Word("bh") {
		t.Errorf("the body's digest is %s", got)
	}
	if got := base64.StdEncoding.EncodeToString(m.Simple[:]); got != "4bLNXImK9drULnmePzZNEBleUanJCX5PIsDIFoH4KTQ=" {
		t.Errorf("the digest of the simple form is %s", got)
	}
	var covers []string
	for _, f := range m.Header.Pick(tags.List("h")) {
		covers = append(covers, f.Text)
	}
	r, err := dkim.ParseRecord("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(dkim.Relaxed, covers, signature, tags); err != nil {
		t.Error(err)
	}
	covers[0] = strings.Replace(covers[0], "Joe", "Jim", 1)
	if err := r.Verify(dkim.Relaxed, covers, signature, tags); !errors.Is(err, dkim.ErrSignature) {
		t.Errorf("a changed field: %v", err)
	}
}

func TestRefused(t *testing.T) {
	k := newKey(t, dkim.Ed25519)
	if _, err := read(t, "To: a@example.org\r\n\r\n").Sign(dkim.Options{Key: k}); !errors.Is(err, dkim.ErrHeader) {
		t.Errorf("without From: %v", err)
	}
	for name, text := range map[string]string{
		"a long line": "A: " + strings.Repeat("a", dkim.MaxHeader), "many lines": strings.Repeat("A: a\r\n", dkim.MaxHeader/6+2), "a fold": " A: a\r\n",
	} {
		if _, err := dkim.Read(strings.NewReader(text)); !errors.Is(err, dkim.ErrHeader) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeys(t *testing.T) {
	for _, kind := range []string{dkim.RSA, dkim.Ed25519} {
		private, err := dkim.Generate(kind, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		back, err := dkim.ReadPEM(append([]byte("# a comment\n"), dkim.PEM(private)...))
		if err != nil || !bytes.Equal(back, private) {
			t.Errorf("%s: %v", kind, err)
		}
		k, err := dkim.NewKey("example.org", "s", private)
		if err != nil || k.Kind() != kind {
			t.Fatalf("%s: %v", kind, err)
		}
		spread := strings.ReplaceAll(k.Record(), "; ", " ;\t")
		if !k.Published([]string{k.Record()}) || !k.Published([]string{spread}) {
			t.Errorf("%s is not found published", k.Record())
		}
		other := newKey(t, kind)
		for _, texts := range [][]string{nil, {""}, {other.Record()}, {k.Record(), k.Record()}, {"v=DKIM1; k=" + kind + "; p="}} {
			if k.Published(texts) {
				t.Errorf("%s is found in %q", k.Record(), texts)
			}
		}
	}
	if _, err := dkim.Generate("dsa", rand.Reader); !errors.Is(err, dkim.ErrKey) {
		t.Errorf("a kind that is not known: %v", err)
	}
	for _, text := range []string{"", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"} {
		if _, err := dkim.ReadPEM([]byte(text)); !errors.Is(err, dkim.ErrKey) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestDkimpy has dkimpy (Debian python3-dkim) verify.
func TestDkimpy(t *testing.T) {
	keys := []dkim.Key{newKey(t, dkim.RSA), newKey(t, dkim.Ed25519)}
	const script = `
import os, sys
try: import dkim
except ImportError: sys.exit(77)
d = dkim.DKIM(sys.stdin.buffer.read())
for i in 0, 1: print(d.verify(idx=i, dnsfunc=lambda name, timeout=5: os.environ["RECORD%d" % i].encode()))`
	cmd := exec.Command("/usr/bin/python3", "-c", script) // Debian's, which has its packages
	cmd.Stdin = strings.NewReader(signed(t, message, keys...))
	cmd.Env = append(os.Environ(), "RECORD0="+keys[0].Record(), "RECORD1="+keys[1].Record())
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); errors.Is(err, os.ErrNotExist) || errors.As(err, &exit) && exit.ExitCode() == 77 {
		t.Skip("dkimpy is not here: apt-get install python3-dkim")
	}
	if err != nil || strings.TrimSpace(string(out)) != "True\nTrue" {
		t.Errorf("%v: %s", err, out)
	}
}

// FuzzRead: whatever a message is, it is read or refused, and what signs it verifies.
func FuzzRead(f *testing.F) {
	for _, s := range []string{message, "", "\r\n", "a", "From:x\n\nb\n", "From : x\r\n\r\n \r\n", "nofield\r\nFrom: a\r\n\r\n\r\r\n"} {
		f.Add(s)
	}
	k := newKey(f, dkim.Ed25519)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := dkim.Read(strings.NewReader(text))
		if err != nil {
			return
		}
		field, err := m.Sign(dkim.Options{Key: k, Time: time.Unix(1, 0)})
		if err != nil {
			return
		}
		_, value, _ := strings.Cut(field, ":")
		tags, err := dkim.ParseTags(value)
		if err != nil {
			t.Fatal(err)
		}
		again, err := dkim.Read(strings.NewReader(field + text))
		if err != nil {
			return // the field makes it too long
		}
		if again.Relaxed != m.Relaxed {
			t.Error("a field changed the body")
		}
		var covers []string
		for _, f := range again.Header.Pick(tags.List("h")) {
			covers = append(covers, f.Text)
		}
		r, err := dkim.ParseRecord(k.Record())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Verify(dkim.Relaxed, covers, field, tags); err != nil {
			t.Errorf("%v: %q", err, field)
		}
	})
}

// FuzzRecord: records of others are read or refused, and what b= is taken out of keeps the rest.
func FuzzRecord(f *testing.F) {
	for _, s := range []string{"v=DKIM1; k=rsa; p=", "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "p=AA; p=BB", "=", "v=DKIM1 p=x", "a:b=c;b=\r\n d;e=f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = dkim.ParseRecord(text)
		tags, err := dkim.ParseTags(text)
		if err != nil || strings.Contains(text, ":") {
			return
		}
		bare, err := dkim.ParseTags(strings.TrimPrefix(dkim.WithoutSignature("X:"+text), "X:"))
		if err != nil || len(bare) != len(tags) || bare.Word("b") != "" {
			t.Errorf("%q became %q, %v", tags, bare, err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	text := "From: a@example.org\r\n\r\n" + strings.Repeat("The quick brown fox jumps over the lazy dog.\r\n", 100)
	for name, simple := range map[string]bool{"relaxed": false, "both": true} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				r, err := dkim.Begin(strings.NewReader(text))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.Body(simple); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	m := read(b, message)
	for _, kind := range []string{dkim.RSA, dkim.Ed25519} {
		k := newKey(b, kind)
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				if _, err := m.Sign(dkim.Options{Key: k, Time: time.Unix(1, 0)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
