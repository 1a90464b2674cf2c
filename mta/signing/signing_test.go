package signing_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/arc"
	"github.com/rookery-mail/rookery/mta/batv"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/signing"
	"github.com/rookery-mail/rookery/mta/srs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const plain = "From: Ann <ann@example.org>\r\nTo: bob@far.example\r\nSubject: Hello\r\n\r\nHello\r\n"

// book is a directory with example.org, whose account 1 is ann@example.org and may write as sales@shop.example, and far.example's
// keys in DNS.
type book struct {
	rules signing.Rules
	keys  map[string][]dkim.Key
	err   error
}

func newBook(t testing.TB) *book {
	b := &book{rules: signing.Rules{DKIM: true, ARC: true, SRS: true}, keys: map[string][]dkim.Key{}}
	for _, domain := range []string{"example.org", "shop.example", "far.example"} {
		private, err := dkim.Generate(dkim.Ed25519, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		k, err := dkim.NewKey(domain, "s", private)
		if err != nil {
			t.Fatal(err)
		}
		b.keys[domain] = []dkim.Key{k}
	}
	return b
}

func (b *book) Rules() (signing.Rules, error) { return b.rules, b.err }
func (b *book) Ours(domain string) (bool, error) {
	return slices.Contains([]string{"example.org", "shop.example", "keyless.example"}, domain), b.err
}
func (b *book) Signers(domain string) ([]dkim.Key, error) { return b.keys[domain], b.err }
func (b *book) MaySign(a index.AccountID, address string) (bool, error) {
	return a == 1 && address == "sales@shop.example", b.err
}
func (b *book) Home(index.AccountID) (string, error) { return "example.org", b.err }
func (b *book) RewriteKey() ([]byte, bool, error)    { return []byte("secret"), true, b.err }
func (b *book) TagKey() (batv.Key, bool, error) {
	return batv.Key{Number: 1, Secret: []byte("secret")}, true, b.err
}
func (b *book) lookup(_ context.Context, name string) ([]string, error) {
	for _, keys := range b.keys {
		if keys[0].Host() == name {
			return []string{keys[0].Record()}, b.err
		}
	}
	return nil, b.err
}

// sink is the next link. It reads what it is given.
type sink struct {
	mu    sync.Mutex
	jobs  []remote.Job
	texts []string
}

func (s *sink) Deliver(_ context.Context, job remote.Job) []remote.Result {
	r, err := job.Open()
	if err != nil {
		return []remote.Result{{Kind: remote.Temporary}}
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil || int64(len(text)) != job.Envelope.Size {
		return []remote.Result{{Kind: remote.Permanent}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs, s.texts = append(s.jobs, job), append(s.texts, string(text))
	return []remote.Result{{Kind: remote.Delivered}}
}

type bench struct {
	*book
	*sink
	link *signing.Link
	now  time.Time

	counting sync.Mutex
	counted  map[signing.Outcome]int // guarded by counting
}

func newBench(t testing.TB) *bench {
	b := &bench{book: newBook(t), sink: &sink{}, now: time.Now().Add(-time.Hour), counted: map[signing.Outcome]int{}}
	b.link = signing.New(signing.Config{Next: b.sink, Book: b.book, Lookup: b.lookup, Server: "mx.example.org", Clock: func() time.Time { return b.now }, Count: b.count})
	return b
}

func (b *bench) count(o signing.Outcome) {
	b.counting.Lock()
	defer b.counting.Unlock()
	b.counted[o]++
}

// expectCounts holds what was counted to a text such as "signed 1".
func (b *bench) expectCounts(t *testing.T, want string) {
	t.Helper()
	b.counting.Lock()
	defer b.counting.Unlock()
	var got []string
	for _, o := range []signing.Outcome{signing.Signed, signing.Sealed, signing.Unsigned, signing.Failed} {
		if n := b.counted[o]; n > 0 {
			got = append(got, fmt.Sprint(o, " ", n))
		}
	}
	if strings.Join(got, ", ") != want {
		t.Errorf("counted %q, want %q", got, want)
	}
}

func jobOf(text, from string) remote.Job {
	return remote.Job{ID: "ID1", Account: 1, Destination: "far.example", Envelope: mta.Envelope{From: from, Size: int64(len(text))},
		Recipients: []mta.Recipient{{Address: "bob@far.example"}},
		Open:       func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

// send sends a job and returns what went out.
func (b *bench) send(t testing.TB, job remote.Job) (remote.Job, string) {
	t.Helper()
	if res := b.link.Deliver(context.Background(), job); len(res) != 1 || res[0].Kind != remote.Delivered {
		t.Fatalf("%+v", res)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.jobs[len(b.jobs)-1], b.texts[len(b.texts)-1]
}

// signers are the domains whose signatures of a message hold.
func (b *bench) signers(t testing.TB, text string) string {
	t.Helper()
	list, err := msgauth.VerifyWithOptions(strings.NewReader(text), &msgauth.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		return b.lookup(context.Background(), name)
	}})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, v := range list {
		if v.Err != nil {
			t.Errorf("%s: %v", v.Domain, v.Err)
		}
		out = append(out, v.Domain)
	}
	return strings.Join(out, " ")
}

// TestDomain: whose name a message is signed in.
func TestDomain(t *testing.T) {
	for name, c := range map[string]struct {
		text, from string
		account    index.AccountID
		want       string
	}{
		"author and sender":          {plain, "ann@example.org", 1, "example.org"},
		"author may":                 {strings.Replace(plain, "ann@example.org", "sales@shop.example", 1), "ann@example.org", 1, "shop.example"},
		"author may not":             {strings.Replace(plain, "ann@example.org", "boss@shop.example", 1), "ann@example.org", 1, "example.org"},
		"another's address":          {strings.Replace(plain, "ann@example.org", "sales@shop.example", 1), "bob@example.org", 2, "example.org"},
		"null sender, may":           {strings.Replace(plain, "ann@example.org", "sales@shop.example", 1), "", 1, "shop.example"},
		"null sender, may not":       {plain, "", 2, ""},
		"author elsewhere":           {strings.Replace(plain, "ann@example.org", "ann@far.example", 1), "ann@example.org", 1, "example.org"},
		"all elsewhere":              {strings.Replace(plain, "ann@example.org", "ann@far.example", 1), "ann@far.example", 1, ""},
		"capitals":                   {strings.Replace(plain, "ann@example.org", "Ann@EXAMPLE.org", 1), "ann@example.org", 1, "example.org"},
		"a name with an address":     {strings.Replace(plain, "Ann <ann@example.org>", `"eve@far.example" <ann@example.org>`, 1), "ann@example.org", 1, "example.org"},
		"folded":                     {strings.Replace(plain, "Ann <", "Ann\r\n <", 1), "ann@example.org", 1, "example.org"},
		"two authors":                {strings.Replace(plain, "From: ", "From: ann@example.org\r\nFrom: ", 1), "ann@example.org", 1, ""},
		"no author":                  {strings.Replace(plain, "From: ", "X: ", 1), "ann@example.org", 1, ""},
		"a domain that has no key":   {strings.Replace(plain, "example.org", "keyless.example", 1), "ann@keyless.example", 1, ""},
		"a header that is too long":  {strings.Repeat("X: x\r\n", dkim.MaxHeader/5) + plain, "ann@example.org", 1, ""},
		"a From that is no address":  {strings.Replace(plain, "ann@example.org", "ann@exa mple..org", 1), "ann@example.org", 1, "example.org"},
		"an author without a domain": {strings.Replace(plain, "Ann <ann@example.org>", "ann", 1), "ann@example.org", 1, "example.org"},
	} {
		b := newBench(t)
		job := jobOf(c.text, c.from)
		job.Account = c.account
		out, text := b.send(t, job)
		if got := b.signers(t, text); got != c.want || !strings.HasSuffix(text, c.text) || out.Envelope.From != c.from {
			t.Errorf("%s: signed by %q, sender %q", name, got, out.Envelope.From)
		}
	}
}

// TestOnce: a message for many domains is read and signed once, until its fields are old.
func TestOnce(t *testing.T) {
	b := newBench(t)
	var opened atomic.Int64
	job := jobOf(plain, "ann@example.org")
	open := job.Open
	job.Open = func() (io.ReadCloser, error) {
		opened.Add(1)
		return open()
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { b.link.Deliver(context.Background(), job) })
	}
	all.Wait()
	if n := opened.Load(); n != 51 || len(b.texts) != 50 || len(slices.Compact(b.texts)) != 1 {
		t.Errorf("opened %d times for %d deliveries", n, len(b.texts))
	}
	b.now = b.now.Add(10 * time.Minute)
	b.send(t, job)
	if n := opened.Load(); n != 53 {
		t.Errorf("after a while: opened %d times", n)
	}
	other := job
	other.ID = "ID2"
	b.send(t, other)
	if n := opened.Load(); n != 55 {
		t.Errorf("another message: opened %d times", n)
	}
	b.expectCounts(t, "signed 3")
}

// TestForward: what is sent on gets a seal and a sender of ours, and never a signature: its From may be a lie.
func TestForward(t *testing.T) {
	b := newBench(t)
	m, err := dkim.Read(strings.NewReader(strings.ReplaceAll(plain, "example.org", "far.example")))
	if err != nil {
		t.Fatal(err)
	}
	signature, err := m.Sign(dkim.Options{Key: b.keys["far.example"][0], Time: b.now})
	if err != nil {
		t.Fatal(err)
	}
	forward := func(text, from, orcpt string) remote.Job {
		job := jobOf(text, from)
		job.Forward, job.Recipients[0].ORCPT = true, orcpt
		return job
	}
	out, text := b.send(t, forward(signature+strings.ReplaceAll(plain, "example.org", "far.example"), "ann@far.example", "rfc822;sales@shop.example"))
	m, err = dkim.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	chain, err := arc.Validate(context.Background(), m, b.lookup)
	if err != nil || chain.Status != arc.Pass || !strings.Contains(text, "arc=none;\r\n\tdkim=pass header.d=far.example\r\n") || !strings.Contains(text, "; d=shop.example;") {
		t.Errorf("%v, %v:\n%s", chain, err, text)
	}
	if back, err := srs.Restore(out.Envelope.From, [][]byte{[]byte("secret")}, b.now); err != nil || back != "ann@far.example" || !strings.HasSuffix(out.Envelope.From, "@shop.example") {
		t.Errorf("the sender is %s: %s, %v", out.Envelope.From, back, err)
	}
	for name, c := range map[string]struct{ from, orcpt, begins, ends string }{
		"ours":               {"ann@example.org", "", "ann@", "example.org"},
		"null":               {"", "", "", ""},
		"without ORCPT":      {"ann@far.example", "", "SRS0=", "@example.org"},
		"ORCPT of another":   {"ann@far.example", "rfc822;x@far.example", "SRS0=", "@example.org"},
		"ORCPT that is none": {"ann@far.example", "rfc822;+", "SRS0=", "@example.org"},
		"a literal":          {"ann@[192.0.2.1]", "", "ann@[", "]"},
	} {
		out, text := b.send(t, forward(plain, c.from, c.orcpt))
		if from := out.Envelope.From; !strings.HasPrefix(from, c.begins) || !strings.HasSuffix(from, c.ends) {
			t.Errorf("%s: the sender is %q", name, from)
		}
		if b.signers(t, text) != "" || !strings.Contains(text, "dkim=none") {
			t.Errorf("%s: %s", name, text)
		}
	}
	b.expectCounts(t, "sealed 5") // three of them are one message
	b.rules.ARC, b.rules.SRS = false, false
	if out, text := b.send(t, forward(plain, "ann@far.example", "")); text != plain || out.Envelope.From != "ann@far.example" {
		t.Errorf("with all of it off: %q, %q", out.Envelope.From, text)
	}
}

func TestTags(t *testing.T) {
	b := newBench(t)
	b.rules.Tags = true
	for _, from := range []string{"ann@example.org", "", "ann@far.example"} {
		out, _ := b.send(t, jobOf(plain, from))
		back, tagged, err := batv.Untag(out.Envelope.From, []batv.Key{{Number: 1, Secret: []byte("secret")}}, b.now)
		if back != from || tagged != (from == "ann@example.org") || err != nil {
			t.Errorf("%q is sent as %q: %q, %v", from, out.Envelope.From, back, err)
		}
	}
}

// TestWaits: what cannot be signed now is not sent, and not kept as if it had been.
func TestWaits(t *testing.T) {
	b := newBench(t)
	job := jobOf(plain, "ann@example.org")
	waits := func(name string, job remote.Job) {
		t.Helper()
		if res := b.link.Deliver(context.Background(), job); len(res) != 1 || res[0].Kind != remote.Temporary || !res[0].Reached {
			t.Errorf("%s: %+v", name, res)
		}
		if len(b.texts) != 0 {
			t.Errorf("%s: it was sent", name)
		}
	}
	b.err = errors.New("no directory")
	waits("without a directory", job)
	b.err = nil
	broken := job
	broken.Open = func() (io.ReadCloser, error) { return nil, errors.New("no store") }
	waits("without the message", broken)
	broken.Open = func() (io.ReadCloser, error) {
		return io.NopCloser(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(plain)))), nil
	}
	waits("with a message that breaks off", broken)
	broken.Forward = true
	waits("with one sent on that breaks off", broken)
	if _, text := b.send(t, job); b.signers(t, text) != "example.org" {
		t.Errorf("later: %s", text)
	}
	b.expectCounts(t, "signed 1, failed 3")
}

// TestNoSeal: a message is sent on without a seal where none can be made.
func TestNoSeal(t *testing.T) {
	for name, change := range map[string]func(b *bench, text *string){
		"no key":           func(b *bench, _ *string) { delete(b.keys, "example.org") },
		"a broken chain":   func(_ *bench, text *string) { *text = "ARC-Seal: i=9\r\n" + *text },
		"a long header":    func(_ *bench, text *string) { *text = strings.Repeat("X: x\r\n", dkim.MaxHeader/5) + *text },
		"no end of header": func(_ *bench, text *string) { *text = "DKIM-Signature: v=1\r\nX: x" },
	} {
		b := newBench(t)
		text := plain
		change(b, &text)
		job := jobOf(text, "ann@far.example")
		job.Forward = true
		if _, got := b.send(t, job); got != text {
			t.Errorf("%s: %.300s", name, got)
		}
		b.expectCounts(t, "unsigned 1")
	}
}

// TestCancelled: a job whose own time is not over outlasts the one that it waits for.
func TestCancelled(t *testing.T) {
	b := newBench(t)
	asked, lookups := make(chan struct{}, 100), atomic.Int64{}
	link := signing.New(signing.Config{Next: b.sink, Book: b.book, Server: "mx", Clock: func() time.Time { return b.now },
		Lookup: func(ctx context.Context, name string) ([]string, error) {
			if lookups.Add(1) > 1 {
				return nil, nil
			}
			asked <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}})
	job := jobOf("DKIM-Signature: v=1; a=ed25519-sha256; d=far.example; s=s; h=from; bh=AA==; b=AA==\r\n"+plain, "ann@far.example")
	job.Forward = true
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { link.Deliver(ctx, job) })
	<-asked
	all.Go(func() {
		if res := link.Deliver(context.Background(), job); res[0].Kind != remote.Delivered {
			t.Errorf("the other: %+v", res)
		}
	})
	cancel()
	all.Wait()
	if len(b.texts) != 1 || !strings.Contains(b.texts[0], "dkim=permerror header.d=far.example") {
		t.Errorf("%q", b.texts)
	}
}

func BenchmarkDeliver(bb *testing.B) {
	b := newBench(bb)
	n := 0
	for bb.Loop() {
		n++
		job := jobOf(plain, "ann@example.org")
		job.ID = fmt.Sprint(n)
		b.link.Deliver(context.Background(), job)
		b.texts, b.jobs = nil, nil
	}
}
