package dkim_test

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/dkim"
)

var update = flag.Bool("update", false, "write the golden files anew")

// at is the time of the tests.
var at = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// zone is keys by name.
type zone map[string][]string

func (z zone) lookup(_ context.Context, name string) ([]string, error) {
	texts, ok := z[name]
	if ok && texts == nil {
		return nil, errors.New("no answer")
	}
	return texts, nil
}

// example is the key of RFC 6376, appendix A; second is one of RFC 8463, appendix A.
const example = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"

const second = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"

// TestPublished: the signatures that the standards print are good.
func TestPublished(t *testing.T) {
	keys := zone{"brisbane._domainkey.example.com": {example}, "test._domainkey.football.example.com": {second},
		"brisbane._domainkey.football.example.com": {"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}}
	for name, want := range map[string]string{
		"rfc6376": "pass example.com, selector brisbane, rsa-sha256 1024 bits",
		"rfc8463": "pass football.example.com, selector brisbane, ed25519-sha256\npass football.example.com, selector test, rsa-sha256 1024 bits",
	} {
		text, err := os.ReadFile("testdata/" + name + ".eml")
		if err != nil {
			t.Fatal(err)
		}
		crlf := strings.ReplaceAll(string(text), "\n", "\r\n")
		if got := lines(t, crlf, keys); got != want {
			t.Errorf("%s: %s", name, got)
		}
		if got := lines(t, strings.Replace(crlf, "hungry", "thirsty", 1), keys); strings.Contains(got, "pass") {
			t.Errorf("%s with another body: %s", name, got)
		}
	}
}

// lines are the outcomes of a message, one a line.
func lines(t testing.TB, text string, keys zone) string {
	t.Helper()
	list, err := dkim.Verify(t.Context(), strings.NewReader(text), dkim.Wish{Time: at, Authors: []string{"example.org"}}, keys.lookup)
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, o := range list {
		out = append(out, o.String())
	}
	return strings.Join(out, "\n")
}

// plain is a message that the cases sign.
const plain = "From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: a  word\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\n\r\nHello  there \r\n\r\nend\r\n\r\n"

// with signs a message as tags say: those that are given replace others, "" takes one away.
func with(t testing.TB, k dkim.Key, text string, tags ...string) string {
	t.Helper()
	m := read(t, text)
	list := dkim.Tags{{Name: "v", Value: "1"}, {Name: "a", Value: k.Algorithm()}, {Name: "c", Value: "relaxed/relaxed"}, {Name: "d", Value: k.Domain},
		{Name: "s", Value: k.Selector}, {Name: "h", Value: "from:to:subject:date"}, {Name: "bh", Value: base64.StdEncoding.EncodeToString(m.Relaxed[:])}}
	for _, tag := range tags {
		name, value, _ := strings.Cut(tag, "=")
		i := slices.IndexFunc(list, func(t dkim.Tag) bool { return t.Name == name })
		switch {
		case i < 0:
			list = append(list, dkim.Tag{Name: name, Value: value})
		case value == "":
			list = slices.Delete(list, i, i+1)
		default:
			list[i].Value = value
		}
	}
	var names []string
	for _, tag := range list {
		if tag.Name == "h" {
			names = strings.Split(tag.Value, ":")
		}
	}
	var covers []string
	for _, f := range m.Header.Pick(names) {
		covers = append(covers, f.Text)
	}
	field, err := k.Finish(covers, dkim.Compose(dkim.FieldName, list))
	if err != nil {
		t.Fatal(err)
	}
	return field + text
}

// prefix is the digest of the first octets of the body of plain, in its relaxed form.
func prefix(t testing.TB, n int) string {
	t.Helper()
	body := "Hello there\r\n\r\nend\r\n"[:n]
	m := read(t, "From: a@example.org\r\n\r\n"+body)
	if n > 0 && !strings.HasSuffix(body, "\r\n") {
		t.Fatalf("%q is no body", body)
	}
	return "bh=" + base64.StdEncoding.EncodeToString(m.Relaxed[:])
}

const weak = "v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKfIzmlxcFemdZ/U+K86YE1yuCHnXRPMEOL6j02adjebAFMODZWys3DZbHIDXzhpBek+2gAObbtQsmdqvLaGCHsCAwEAAQ=="

// TestVerify: what becomes of signatures of all kinds, as the golden file has it.
func TestVerify(t *testing.T) {
	ed, big := newKey(t, dkim.Ed25519), newKey(t, dkim.RSA)
	record := ed.Record()
	good := zone{ed.Host(): {record}, big.Host(): {big.Record()}}
	flags := func(more string) zone { return zone{ed.Host(): {record + "; " + more}} }
	at := func(d time.Duration) string { return fmt.Sprint(at.Add(d).Unix()) }
	type c struct {
		name, text string
		keys       zone
	}
	one := with(t, ed, plain)
	var cases []c
	add := func(name, text string, keys zone) { cases = append(cases, c{name, text, keys}) }

	add("none", plain, good)
	add("good, of both kinds", with(t, big, one), good)
	add("a changed body", strings.Replace(one, "Hello", "Hallo", 1), good)
	add("a changed subject", strings.Replace(one, "a  word", "another", 1), good)
	add("white space is another", strings.Replace(one, "a  word", "a\r\n\tword", 1), good)
	add("white space is another, in simple forms", strings.Replace(with(t, ed, plain, "c=simple/relaxed"), "a  word", "a word", 1), good)
	add("signed twice over the same field, which comes once", with(t, ed, plain, "h=from:from:to:to:subject:subject"), good)
	add("a second subject, which was signed for", "Subject: x\r\n"+with(t, ed, plain, "h=from:from:subject:subject"), good)
	add("a second subject, which was not", "Subject: x\r\n"+one, good)
	add("two fields From, one signed", "From: eve@example.com\r\n"+one, good)
	add("two fields From, both signed", with(t, ed, "From: eve@example.com\r\n"+plain, "h=from:from:to"), good)
	add("From with a blank before the colon", strings.Replace(with(t, ed, strings.Replace(plain, "From:", "From :", 1)), "x", "x", 1), good)
	add("no From", with(t, ed, strings.Replace(plain, "From:", "Form:", 1)), good)
	add("From is not signed", with(t, ed, plain, "h=to:subject"), good)

	add("a short body by l=", with(t, ed, plain, "l=13", prefix(t, 13)), good)
	add("all of the body by l=", with(t, ed, plain, "l=20", prefix(t, 20)), good)
	add("nothing of the body by l=", with(t, ed, plain, "l=0", prefix(t, 0)), good)
	add("l= that is longer than the body", with(t, ed, plain, "l=21"), good)
	add("l= that is no number", with(t, ed, plain, "l=+20"), good)
	add("l= that is huge", with(t, ed, plain, "l=99999999999999999999"), good)

	add("expired", with(t, ed, plain, "t="+at(-2*time.Hour), "x="+at(-time.Hour)), good)
	add("not yet expired", with(t, ed, plain, "t="+at(-2*time.Hour), "x="+at(time.Hour)), good)
	add("expired before it was made", with(t, ed, plain, "t="+at(-time.Hour), "x="+at(-2*time.Hour)), good)
	add("of tomorrow", with(t, ed, plain, "t="+at(25*time.Hour)), good)
	add("of the far future", with(t, ed, plain, "t=18446744073709551615"), good)
	add("x= that is no number", with(t, ed, plain, "x=soon"), good)

	add("i= of the domain", with(t, ed, plain, "i=ann@example.org"), good)
	add("i= below the domain", with(t, ed, plain, "i=ann@a.example.org"), good)
	add("i= below the domain, which the key does not allow", with(t, ed, plain, "i=ann@a.example.org"), flags("t=s"))
	add("i= of the domain, which the key asks for", with(t, ed, plain, "i=@example.org"), flags("t=y:s"))
	add("i= of another domain", with(t, ed, plain, "i=ann@notexample.org"), good)
	add("d= is a top-level domain", with(t, ed, plain, "d=org"), good)
	add("d= is none", with(t, ed, plain, "d=exa mple..org"), good)
	add("d= with an umlaut", with(t, ed, plain, "d=grün.example"), zone{"sel-ed25519._domainkey.xn--grn-ioa.example": {record}})
	add("s= of two labels", with(t, ed, plain, "s=a.b"), zone{"a.b._domainkey.example.org": {record}})

	for _, name := range []string{"v", "d", "s", "h", "bh", "a"} {
		add("no "+name+"=", with(t, ed, plain, name+"="), good)
	}
	add("version 2", with(t, ed, plain, "v=2"), good)
	add("a tag twice", strings.Replace(one, "c=relaxed/relaxed;", "c=relaxed/relaxed; d=example.com;", 1), good)
	add("51 tags", strings.Replace(one, "v=1;", "v=1; "+manyTags(51), 1), good)
	add("no tags", "DKIM-Signature: hello\r\n"+plain, good)
	add("an empty one", "DKIM-Signature:\r\n"+plain, good)
	add("SHA-1", with(t, ed, plain, "a=rsa-sha1"), good)
	add("an algorithm that is not known", with(t, ed, plain, "a=rsa-sha512"), good)
	add("the algorithm of another kind of key", with(t, ed, plain, "a=rsa-sha256"), good)
	add("a form that is not known", with(t, ed, plain, "c=nowsp"), good)
	add("another way to ask for the key", with(t, ed, plain, "q=http"), good)
	add("two ways to ask for the key", with(t, ed, plain, "q=http:dns/txt"), good)
	add("bh= that is too short", with(t, ed, plain, "bh=AAAA"), good)
	add("501 names", with(t, ed, plain, "h=from:"+strings.Repeat("x:", 500)+"x"), good)
	add("a field of 17 KiB", with(t, ed, plain, "h=from:"+strings.Repeat("a-long-name-of-a-field-that-is-not-there:", 430)+"x"), good)
	add("upper case and blanks", strings.NewReplacer("DKIM-Signature", "dkim-signature", "d=example.org", "d = EXAMPLE.org").Replace(with(t, ed, plain, "d=EXAMPLE.org")), good)

	add("no key", one, zone{})
	add("DNS does not answer", one, zone{ed.Host(): nil})
	add("a key that was revoked", one, zone{ed.Host(): {"v=DKIM1; k=ed25519; p="}})
	add("a record without a key", one, zone{ed.Host(): {"v=DKIM1; k=ed25519"}})
	add("a record of something else", one, zone{ed.Host(): {"v=spf1 -all"}})
	add("another record beside the key", one, zone{ed.Host(): {"v=spf1 -all", record}})
	add("two keys", one, zone{ed.Host(): {record, record}})
	add("another key", one, zone{ed.Host(): {newKey(t, dkim.Ed25519).Record()}})
	add("a key for other hashes", one, flags("h=sha512"))
	add("a key for more hashes", one, flags("h=sha512:sha256"))
	add("a key for something else", one, flags("s=tlsrpt"))
	add("a key that is tried out", one, flags("t=y"))
	add("a key that is tried out, and a changed body", strings.Replace(one, "Hello", "Hallo", 1), flags("t=y"))
	add("512 bits", with(t, big, plain), zone{big.Host(): {weak}})
	add("16 KiB", with(t, big, plain), zone{big.Host(): {"v=DKIM1; p=" + strings.Repeat("MIIB", 4<<10)}})
	add("version 2 of a key", one, zone{ed.Host(): {strings.Replace(record, "DKIM1", "DKIM2", 1)}})

	var b strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&b, "# %s\n%s\n\n", c.name, strings.ReplaceAll(lines(t, c.text, c.keys), "\n", "\n"))
	}
	golden(t, "testdata/verify.golden", b.String())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("not as %s has it:\n%s", file, got)
	}
}

func manyTags(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "z%d=1; ", i)
	}
	return b.String()
}

// TestTwoHundred: of 200 signatures those of the author are found, eight are verified, and a key is asked for once.
func TestTwoHundred(t *testing.T) {
	ed := newKey(t, dkim.Ed25519)
	text := with(t, ed, plain)
	for i := range 199 {
		text = strings.Replace(with(t, ed, plain, "d=d"+fmt.Sprint(i%150)+".example"), plain, text, 1)
	}
	asked := map[string]int{}
	list, err := dkim.Verify(t.Context(), strings.NewReader(text), dkim.Wish{Time: at, Authors: []string{"example.org"}}, func(_ context.Context, name string) ([]string, error) {
		asked[name]++
		if name == ed.Host() {
			return []string{ed.Record()}, nil
		}
		return nil, nil
	})
	if err != nil || len(list) != 20 || len(asked) > 8 {
		t.Fatalf("%d outcomes, %d names asked for: %v", len(list), len(asked), err)
	}
	counts := map[dkim.Result]int{}
	for _, o := range list {
		counts[o.Result]++
		if o.Domain == "example.org" && o.Result != dkim.Pass {
			t.Errorf("%v", o)
		}
	}
	if counts[dkim.Pass] != 1 || counts[dkim.PermError] != 7 || counts[dkim.Neutral] != 12 {
		t.Errorf("%v", counts)
	}
	for name, n := range asked {
		if n != 1 {
			t.Errorf("%s was asked for %d times", name, n)
		}
	}
}

// TestHostileNames: a header of many fields and signatures that name many is picked from in bounded time.
func TestHostileNames(t *testing.T) {
	ed := newKey(t, dkim.Ed25519)
	text := strings.Repeat("a:\r\n", 200_000) + plain
	field := with(t, ed, plain, "h=from:"+strings.Repeat("b:", 490)+"a")
	field = strings.TrimSuffix(field, plain)
	begun := time.Now()
	if got := lines(t, strings.Repeat(field, 8)+text, zone{ed.Host(): {ed.Record()}}); strings.Count(got, "fail") != 8 {
		t.Errorf("%s", got)
	}
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it took %v", took)
	}
}

// TestAgrees: what go-msgauth and this package say of messages with random changes is the same, but for what this one is
// strict about.
func TestAgrees(t *testing.T) {
	keys := []dkim.Key{newKey(t, dkim.RSA), newKey(t, dkim.Ed25519)}
	known := zone{keys[0].Host(): {keys[0].Record()}, keys[1].Host(): {keys[1].Record()}}
	random := rand.New(rand.NewPCG(1, 2))
	good := signed(t, message, keys...)
	for range 300 {
		text := []byte(good)
		for range random.IntN(3) {
			i := random.IntN(len(text))
			text[i] = "aA :;=\t"[random.IntN(7)]
		}
		theirs := strings.Count(verify(t, string(text), keys...), "pass")
		ours := 0
		list, err := dkim.Verify(t.Context(), strings.NewReader(string(text)), dkim.Wish{Time: time.Now()}, known.lookup)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list {
			if o.Result == dkim.Pass {
				ours++
			}
		}
		if ours != theirs {
			t.Errorf("%d are good here, %d there:\n%s", ours, theirs, text)
		}
	}
}

// FuzzVerify: whatever comes, the outcomes are few, in words for a line, and none is good that was not signed by the key.
func FuzzVerify(f *testing.F) {
	for _, name := range []string{"rfc6376", "rfc8463"} {
		text, err := os.ReadFile("testdata/" + name + ".eml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.ReplaceAll(string(text), "\n", "\r\n"), example)
	}
	f.Add("DKIM-Signature: v=1; a=rsa-sha256; d=a.b; s=c; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; l=0; b=AA\r\nFrom: a@b\r\n\r\nx", weak)
	f.Fuzz(func(t *testing.T, text, record string) {
		m := zone{}
		list, err := dkim.Verify(t.Context(), strings.NewReader(text), dkim.Wish{Time: at}, func(ctx context.Context, name string) ([]string, error) {
			m[name] = []string{record}
			return []string{record}, nil
		})
		if err != nil {
			return
		}
		if len(list) > 20 || len(m) > dkim.MaxVerified {
			t.Errorf("%d outcomes, %d names", len(list), len(m))
		}
		for _, o := range list {
			if o.Result == "" || strings.ContainsAny(o.String(), "\r\n\x00") || len(o.String()) > 2000 {
				t.Errorf("%q", o)
			}
		}
	})
}

// BenchmarkVerify verifies a message of 10 KiB with one signature of an RSA key of 2,048 bits.
func BenchmarkVerify(b *testing.B) {
	k := newKey(b, dkim.RSA)
	text := signed(b, message+strings.Repeat("A line of text as people write them, of some length.\r\n", 180), k)
	known := zone{k.Host(): {k.Record()}}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		list, err := dkim.Verify(context.Background(), strings.NewReader(text), dkim.Wish{Time: time.Now()}, known.lookup)
		if err != nil || len(list) != 1 || list[0].Result != dkim.Pass {
			b.Fatal(list, err)
		}
	}
}
