package cache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/mtasts"
	"github.com/rookery-mail/rookery/mta/mtasts/cache"
	"github.com/rookery-mail/rookery/mta/mtasts/fetch"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// web is the world of these tests: DNS, the hosts of policies, and the cluster's store. It is all one.example.
type web struct {
	mu      sync.Mutex
	now     time.Time
	texts   []string
	dnsErr  error
	policy  string
	httpErr error
	fetched int
	gate    chan struct{} // not nil: fetches wait for it

	kept    map[string]mtasts.Kept
	version uint64
	saveErr error
	loadErr error
	saves   int
}

func newWeb() *web {
	w := &web{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), kept: map[string]mtasts.Kept{}}
	w.publish("1", "enforce", 7*24*time.Hour)
	return w
}

func (w *web) publish(id, mode string, age time.Duration) {
	w.texts = []string{"v=STSv1; id=" + id}
	w.policy = fmt.Sprintf("version: STSv1\nmode: %s\nmx: mx%s.one.example\nmax_age: %d\n", mode, id, int(age/time.Second))
}

func (w *web) Texts(_ context.Context, name string) ([]string, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name != "_mta-sts.one.example" {
		return nil, false, fmt.Errorf("asked for %s", name)
	}
	return w.texts, false, w.dnsErr
}

func (w *web) Fetch(ctx context.Context, _ string) ([]byte, error) {
	if w.gate != nil {
		select {
		case <-w.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetched++
	return []byte(w.policy), w.httpErr
}

func (w *web) Load(domain string) (mtasts.Kept, uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k, ok := w.kept[domain]
	if !ok || w.loadErr != nil {
		return mtasts.Kept{}, 0, w.loadErr
	}
	return k, w.version, nil
}

func (w *web) Save(_ context.Context, domain string, k mtasts.Kept, _ uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.saveErr != nil {
		return w.saveErr
	}
	w.saves++
	w.version++
	w.kept[domain] = k
	return nil
}

func (w *web) Remove(_ context.Context, domain string, _ uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.kept, domain)
	return nil
}

func (w *web) Each(fn func(string, mtasts.Kept, uint64) error) error {
	for domain, k := range w.kept {
		if err := fn(domain, k, w.version); err != nil {
			return err
		}
	}
	return nil
}

func (w *web) cache() *cache.Cache {
	return cache.New(cache.Config{Resolver: w, Fetcher: w, Store: w, Clock: func() time.Time { return w.now }})
}

func describe(s remote.STS, err error) string {
	switch {
	case err != nil:
		return "error"
	case s.Unknown != nil:
		return "unknown"
	case s.Policy == nil && s.Failure == "":
		return "none"
	case s.Policy == nil:
		return string(s.Failure)
	}
	text := fmt.Sprint(s.Policy.Mode, " ", strings.Join(s.Policy.Hosts, " "))
	if s.Failure != "" {
		text += " " + string(s.Failure)
	}
	return text
}

// TestSTS is the life of a domain's policy: each step changes the world, and says what a message goes by then and how
// many fetches that took.
func TestSTS(t *testing.T) {
	w := newWeb()
	c := w.cache()
	for _, step := range []struct {
		what    string
		change  func()
		want    string
		fetches int
	}{
		{"the first message", func() {}, "enforce mx1.one.example", 1},
		{"the next", func() {}, "enforce mx1.one.example", 0},
		{"a node that was restarted", func() { c = w.cache() }, "enforce mx1.one.example", 0},
		{"the record is gone", func() { w.texts, w.dnsErr = nil, dns.ErrNoName }, "enforce mx1.one.example", 0},
		{"DNS is away", func() { w.dnsErr = dns.ErrTemporary }, "enforce mx1.one.example", 0},
		{"the record is broken", func() { w.texts, w.dnsErr = []string{"v=STSv1; id=-"}, nil }, "enforce mx1.one.example", 0},
		{"there is another", func() { w.publish("2", "testing", time.Hour) }, "testing mx2.one.example", 1},
		{"and another, that cannot be fetched", func() { w.publish("3", "enforce", time.Hour); w.httpErr = errors.New("404") }, "testing mx2.one.example sts-policy-fetch-error", 1},
		{"which is not tried again at once", func() {}, "testing mx2.one.example sts-policy-fetch-error", 0},
		{"but after a while", func() {
			w.now = w.now.Add(6 * time.Minute)
			w.httpErr = &fetch.Error{Failure: tlsrpt.STSWebPKIInvalid, Err: errors.New("expired")}
		}, "testing mx2.one.example sts-webpki-invalid", 1},
		{"the old one expires", func() { w.now = w.now.Add(time.Hour) }, "sts-webpki-invalid", 1},
		{"what comes is none", func() { w.now = w.now.Add(time.Hour); w.httpErr, w.policy = nil, "<html>" }, "sts-policy-invalid", 1},
		{"it comes", func() { w.now = w.now.Add(time.Hour); w.publish("3", "enforce", time.Hour) }, "enforce mx3.one.example", 1},
		{"it expires, and DNS says nothing", func() { w.now = w.now.Add(time.Hour); w.dnsErr = dns.ErrNoRecord }, "none", 0},
		{"and is away", func() { w.dnsErr = dns.ErrTemporary }, "unknown", 0},
		{"the store cannot be read", func() { w.loadErr = errors.New("no replica") }, "error", 0},
		{"one that is for this moment", func() { w.dnsErr, w.loadErr = nil, nil; w.publish("4", "enforce", 0) }, "enforce mx4.one.example", 1},
		{"a moment later", func() { w.now = w.now.Add(time.Second) }, "enforce mx4.one.example", 1},
		{"a policy is given up", func() { w.publish("5", "none", time.Hour) }, "none mx5.one.example", 1},
		{"the store keeps nothing", func() { w.publish("6", "enforce", time.Hour); w.saveErr = errors.New("no majority") }, "enforce mx6.one.example", 1},
		{"so this node does", func() {}, "enforce mx6.one.example", 0},
		{"as long as it counts", func() { w.now = w.now.Add(time.Hour) }, "enforce mx6.one.example", 1},
	} {
		step.change()
		before := w.fetched
		got := describe(c.STS(context.Background(), "one.example"))
		if got != step.want || w.fetched-before != step.fetches {
			t.Errorf("%s: %s with %d fetches, not %s with %d", step.what, got, w.fetched-before, step.want, step.fetches)
		}
	}
}

// TestOnce: messages at the same time have a policy fetched once, and one that is broken off does not spoil it for the others.
func TestOnce(t *testing.T) {
	w := newWeb()
	w.gate = make(chan struct{})
	c := w.cache()
	broken, cancel := context.WithCancel(context.Background())
	cancel()
	if got := describe(c.STS(broken, "one.example")); got != "error" {
		t.Errorf("broken off: %s", got)
	}
	var tasks sync.WaitGroup
	got := make([]string, 20)
	for i := range got {
		tasks.Go(func() { got[i] = describe(c.STS(context.Background(), "one.example")) })
	}
	close(w.gate)
	tasks.Wait()
	if i := slices.IndexFunc(got, func(s string) bool { return s != "enforce mx1.one.example" }); i >= 0 || w.fetched != 1 {
		t.Errorf("%d fetches: %q", w.fetched, got)
	}
}

// TestUse: that a policy is used is noted once a day, since only such are kept fresh.
func TestUse(t *testing.T) {
	w := newWeb()
	c := w.cache()
	for range 100 {
		_, _ = c.STS(context.Background(), "one.example")
		w.now = w.now.Add(time.Hour)
	}
	if w.saves != 1+4 {
		t.Errorf("%d times in 100 hours", w.saves-1)
	}
}

// TestRefresh: policies are fetched again before they expire, as long as there is mail; then they go.
func TestRefresh(t *testing.T) {
	w := newWeb()
	c := w.cache()
	ctx := context.Background()
	if got := describe(c.STS(ctx, "one.example")); got != "enforce mx1.one.example" {
		t.Fatal(got)
	}
	pass := func(after time.Duration, want int) {
		t.Helper()
		w.now = w.now.Add(after)
		if n, err := c.Refresh(ctx); err != nil || n != want {
			t.Errorf("%d, %v, not %d", n, err, want)
		}
	}
	pass(time.Hour, 0)
	pass(24*time.Hour, 1)
	pass(time.Hour, 0)
	w.publish("2", "enforce", 7*24*time.Hour)
	pass(24*time.Hour, 1)
	if k := w.kept["one.example"]; k.ID != "2" || !k.Used.Equal(w.now.Add(-50*time.Hour)) {
		t.Errorf("kept is %+v", k)
	}
	w.httpErr = errors.New("404")
	pass(24*time.Hour, 0)
	if !w.kept["one.example"].Counts(w.now) {
		t.Error("a policy does not count because its host is away")
	}
	pass(7*24*time.Hour, 0)
	if len(w.kept) != 0 {
		t.Error("a policy that has expired is still there")
	}
	w.httpErr = nil
	_, _ = c.STS(ctx, "one.example")
	for range 28 {
		pass(25*time.Hour, 1)
	}
	pass(25*time.Hour, 0)
	pass(7*24*time.Hour, 0)
	if len(w.kept) != 0 {
		t.Error("a policy that nobody uses is still there")
	}
}
