package arc_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/arc"
	"github.com/rookery-mail/rookery/mta/dkim"
)

const message = "DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=x; h=from; bh=AAAA; b=AAAA\r\n" +
	"Received: from a by b; Fri, 20 Nov 2026 10:00:00 +0000\r\nFrom: Ann <ann@example.net>\r\nTo: list@example.org\r\n" +
	"Subject: Hello\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n\r\nHello  there\r\n"

// world is keys and the DNS that has them.
type world struct {
	keys []dkim.Key
	fail error
}

func newWorld(t testing.TB, kind string) *world {
	t.Helper()
	w := &world{}
	var private []byte
	for _, domain := range []string{"a.example", "b.example", "c.example"} {
		if private == nil || kind == dkim.Ed25519 { // one of RSA takes its time
			var err error
			if private, err = dkim.Generate(kind, rand.Reader); err != nil {
				t.Fatal(err)
			}
		}
		k, err := dkim.NewKey(domain, "arc", private)
		if err != nil {
			t.Fatal(err)
		}
		w.keys = append(w.keys, k)
	}
	return w
}

func (w *world) lookup(_ context.Context, name string) ([]string, error) {
	for _, k := range w.keys {
		if k.Host() == name {
			return []string{k.Record()}, w.fail
		}
	}
	return nil, w.fail
}

func (w *world) validate(t testing.TB, text string) (arc.Chain, *dkim.Message) {
	t.Helper()
	m, err := dkim.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c, err := arc.Validate(context.Background(), m, w.lookup)
	if err != nil {
		t.Fatal(err)
	}
	return c, m
}

// seal has a host seal a message, who adds a Received field below.
func (w *world) seal(t testing.TB, text string, host int) string {
	t.Helper()
	text = fmt.Sprintf("Received: by host %d\r\n", host) + text
	c, m := w.validate(t, text)
	fields, err := c.Seal(m, arc.Options{Key: w.keys[host], Server: "mx." + w.keys[host].Domain, Results: []string{"dkim=pass header.d=example.net"}, Time: time.Unix(1_700_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return fields + text
}

func TestChain(t *testing.T) {
	for _, kind := range []string{dkim.RSA, dkim.Ed25519} {
		w := newWorld(t, kind)
		text := message
		for host := range w.keys {
			text = w.seal(t, text, host)
			if c, _ := w.validate(t, text); c.Status != arc.Pass || c.Len() != host+1 {
				t.Fatalf("%s: %d sets: %s, %s", kind, c.Len(), c.Status, c.Reason)
			}
		}
	}
}

// TestBroken: what breaks a chain, and that what does not is let be.
func TestBroken(t *testing.T) {
	w := newWorld(t, dkim.Ed25519)
	one := w.seal(t, message, 0)
	good := w.seal(t, one, 1)
	set := good[strings.Index(good, "ARC-Seal: i=1"):strings.Index(good, "Received: by host 0")]
	field := func(name string, i int) string {
		from := strings.Index(good, fmt.Sprintf("%s: i=%d", name, i))
		end := strings.Index(good[from:], "\r\nARC-")
		if next := strings.Index(good[from:], "\r\nReceived"); end < 0 || next < end {
			end = next
		}
		return good[from : from+end+2]
	}
	swap := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("there is no %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, c := range map[string]struct {
		text string
		want arc.Status
	}{
		"as it is":           {good, arc.Pass},
		"blanks":             {swap("Hello  there", "Hello there"), arc.Pass},
		"a field on top":     {"Received: again\r\n" + good, arc.Pass},
		"the body":           {swap("Hello  there", "Hello you"), arc.Fail},
		"the subject":        {swap("Subject: Hello", "Subject: Bye"), arc.Fail},
		"a second From":      {"From: eve@example.com\r\n" + good, arc.Fail},
		"results":            {swap("dkim=pass", "dkim=fail"), arc.Fail},
		"the first set gone": {swap(set, ""), arc.Fail},
		"no first seal":      {swap(field("ARC-Seal", 1), ""), arc.Fail},
		"no second results":  {swap(field("ARC-Authentication-Results", 2), ""), arc.Fail},
		"a set twice":        {set + good, arc.Fail},
		"cv":                 {swap("cv=pass", "cv=none"), arc.Fail},
		"no cv":              {swap("cv=pass;", ""), arc.Fail},
		"cv of the first":    {swap("cv=none", "cv=pass"), arc.Fail},
		"instance 0":         {swap("ARC-Seal: i=1", "ARC-Seal: i=0"), arc.Fail},
		"instance 51":        {swap("ARC-Seal: i=2", "ARC-Seal: i=51"), arc.Fail},
		"no instance":        {swap("ARC-Seal: i=2;", "ARC-Seal:"), arc.Fail},
		"a seal with fields": {swap("cv=pass;", "cv=pass; h=from;"), arc.Fail},
		"another key":        {swap("d=b.example", "d=c.example"), arc.Fail},
		"no key":             {swap("d=b.example", "d=d.example"), arc.Fail},
		"another algorithm":  {swap("ARC-Seal: i=2; a=ed25519-sha256", "ARC-Seal: i=2; a=rsa-sha256"), arc.Fail},
		"a length":           {swap("c=relaxed/relaxed", "c=relaxed/relaxed; l=0"), arc.Fail},
		"a form":             {swap("c=relaxed/relaxed", "c=relaxed/loose"), arc.Fail},
	} {
		if got, _ := w.validate(t, c.text); got.Status != c.want || (got.Reason == "") == (c.want == arc.Fail) {
			t.Errorf("with %s: %s, %s", name, got.Status, got.Reason)
		}
	}
	w.fail = errors.New("no answer")
	m, err := dkim.Read(strings.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := arc.Validate(context.Background(), m, w.lookup); !errors.Is(err, arc.ErrTemporary) || !errors.Is(err, w.fail) {
		t.Errorf("without DNS: %v, %v", c.Status, err)
	}
	if c, _ := w.validate(t, message); c.Status != arc.None {
		t.Errorf("without a chain, which needs no DNS: %v", c.Status)
	}
}

// TestFailed: who finds a chain broken says so with a set that stands alone, and nobody adds to that.
func TestFailed(t *testing.T) {
	w := newWorld(t, dkim.Ed25519)
	text := strings.Replace(w.seal(t, message, 0), "Subject: Hello", "Subject: [list] Hello", 1)
	text = w.seal(t, text, 1)
	if !strings.Contains(text, "cv=fail") || !strings.Contains(text, "arc=fail") {
		t.Fatalf("the seal says nothing of it:\n%s", text)
	}
	c, m := w.validate(t, text)
	if c.Status != arc.Fail || c.Len() != 2 {
		t.Errorf("%v, %d", c.Status, c.Len())
	}
	if fields, err := c.Seal(m, arc.Options{Key: w.keys[2], Server: "mx"}); !errors.Is(err, arc.ErrEnded) {
		t.Errorf("%q, %v", fields, err)
	}
	c, m = w.validate(t, "ARC-Seal: broken\r\n"+message)
	if _, err := c.Seal(m, arc.Options{Key: w.keys[2], Server: "mx"}); c.Status != arc.Fail || !errors.Is(err, arc.ErrEnded) {
		t.Errorf("a set that is not whole: %v, %v", c.Status, err)
	}
}

// TestLong: a chain takes 50 sets, and no more.
func TestLong(t *testing.T) {
	w := newWorld(t, dkim.Ed25519)
	text := message
	for range arc.MaxSets {
		text = w.seal(t, text, 0)
	}
	c, m := w.validate(t, text)
	if c.Status != arc.Pass || c.Len() != arc.MaxSets {
		t.Fatalf("%v, %d, %s", c.Status, c.Len(), c.Reason)
	}
	if _, err := c.Seal(m, arc.Options{Key: w.keys[1], Server: "mx"}); !errors.Is(err, arc.ErrEnded) {
		t.Errorf("another: %v", err)
	}
}

// TestDkimpy has dkimpy (Debian python3-dkim) validate a chain of ours, and seal one that we validate.
func TestDkimpy(t *testing.T) {
	private, err := dkim.Generate(dkim.RSA, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := dkim.NewKey("a.example", "arc", private)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{keys: []dkim.Key{key}}
	const script = `
import os, sys
try: import authres, dkim
except ImportError: sys.exit(77)
text = sys.stdin.buffer.read()
dns = lambda name, timeout=5: os.environ["RECORD"].encode()
cv, _, reason = dkim.arc_verify(text, dnsfunc=dns)
sys.stderr.write("%s %s" % (cv.decode(), reason))
text = b"Authentication-Results: mx.a.example; arc=pass; dkim=pass header.d=example.net\r\n" + text
sys.stdout.buffer.write(b"".join(dkim.arc_sign(text, b"arc", b"a.example", os.environ["KEY"].encode(), b"mx.a.example")) + text)`
	cmd := exec.Command("/usr/bin/python3", "-c", script) // Debian's, which has its packages
	cmd.Stdin = strings.NewReader(w.seal(t, w.seal(t, message, 0), 0))
	cmd.Env = append(os.Environ(), "RECORD="+key.Record(), "KEY="+string(dkim.PEM(private)))
	var says strings.Builder
	cmd.Stderr = &says
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.Is(err, os.ErrNotExist) || errors.As(err, &exit) && exit.ExitCode() == 77 {
		t.Skip("dkimpy is not here: apt-get install python3-dkim python3-authres")
	}
	if err != nil || !strings.HasPrefix(says.String(), "pass ") {
		t.Fatalf("%v: %s", err, says.String())
	}
	if c, _ := w.validate(t, string(out)); c.Status != arc.Pass || c.Len() != 3 {
		t.Errorf("%v, %d, %s", c.Status, c.Len(), c.Reason)
	}
}

// FuzzValidate: whatever a chain is, it is judged, and what was sealed on top of it says so.
func FuzzValidate(f *testing.F) {
	w := newWorld(f, dkim.Ed25519)
	w.keys = w.keys[:1]
	for _, s := range []string{message, "From: a\r\nARC-Seal: i=1; cv=none; h=a\r\n\r\n", "ARC-Authentication-Results: i=1;\r\nARC-Message-Signature: i=1\r\nARC-Seal: i=1; cv=none\r\nFrom: x\r\n"} {
		f.Add(s)
	}
	f.Add(w.seal(f, message, 0))
	f.Fuzz(func(t *testing.T, text string) {
		m, err := dkim.Read(strings.NewReader(text))
		if err != nil {
			return
		}
		c, err := arc.Validate(context.Background(), m, w.lookup)
		if err != nil {
			t.Fatal(err)
		}
		fields, err := c.Seal(m, arc.Options{Key: w.keys[0], Server: "mx", Time: time.Unix(1, 0)})
		if err != nil {
			return
		}
		m, err = dkim.Read(strings.NewReader(fields + text))
		if err != nil {
			return // too long now
		}
		again, err := arc.Validate(context.Background(), m, w.lookup)
		want := arc.Pass
		if c.Status == arc.Fail {
			want = arc.Fail
		}
		if err != nil || again.Status != want || again.Len() != c.Len()+1 {
			t.Errorf("%s with %d became %s with %d: %s, %v", c.Status, c.Len(), again.Status, again.Len(), again.Reason, err)
		}
	})
}
