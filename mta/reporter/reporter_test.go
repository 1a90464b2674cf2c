package reporter_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/reporter"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// world is a directory, DNS, a clock, and what was sent.
type world struct {
	t     *testing.T
	store *directorytest.Store
	zone  *dnstest.Zone
	now   time.Time

	mu     sync.Mutex // guards what follows
	mails  []string
	posts  int
	refuse error // what mails and posts come to
	broken error // what changes of the directory come to
}

func newWorld(t *testing.T) *world {
	z := new(dnstest.Zone)
	z.Add(`_smtp._tls.mail.example. 60 IN TXT "v=TLSRPTv1; rua=mailto:tls@mail.example"
_smtp._tls.both.example. 60 IN TXT "v=TLSRPTv1; rua=mailto:tls@both.example,https://both.example/tls"`)
	return &world{t: t, store: &directorytest.Store{}, zone: z, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
}

func (w *world) View(read func(directory.View) error) error { return read(directory.View{R: w.store}) }

func (w *world) Put(_ context.Context, changes ...directory.MailChange) error {
	if w.broken != nil {
		return w.broken
	}
	c, err := directory.PutMail(changes...)
	if err != nil {
		return err
	}
	c.Time = w.now
	result, err := directory.New().Execute(w.store, c)
	if err != nil {
		return err
	}
	_, err = directory.DecodeResult(result)
	return err
}

func (w *world) clock() time.Time { return w.now }

// resolver is one that has kept nothing.
func (w *world) resolver() *dns.Resolver {
	return dns.New(dns.Config{Servers: []string{"x"}, Exchange: w.zone.Exchange, Clock: w.clock})
}

func (w *world) collector(node string) *reporter.Collector {
	return reporter.NewCollector(reporter.CollectorConfig{Node: node, Directory: w, Resolver: w.resolver(), Wanted: func() bool { return true },
		Every: time.Hour, Clock: w.clock, Logger: slog.New(slog.DiscardHandler)})
}

func (w *world) sender() *reporter.Sender {
	return reporter.NewSender(reporter.SenderConfig{Directory: w, Resolver: w.resolver(), Wanted: func() bool { return true }, Clock: w.clock,
		Identity: func() (reporter.Identity, error) {
			return reporter.Identity{Domain: "example.org", Contact: "postmaster@example.org"}, nil
		},
		Mail: func(_ context.Context, to string, message []byte) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.refuse == nil {
				w.mails = append(w.mails, to+"\n"+string(message))
			}
			return w.refuse
		},
		Web: func(context.Context, string, []byte) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.refuse == nil {
				w.posts++
			}
			return w.refuse
		}, Logger: slog.New(slog.DiscardHandler)})
}

// names are those of the records that are there.
func (w *world) names() string {
	var list []string
	err := w.View(func(v directory.View) error {
		return v.EachMailRecord(directory.MailTLSResults, "", func(m *directorypb.MailRecord) error {
			list = append(list, m.Name)
			return nil
		})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(list, " ")
}

func (w *world) step(s *reporter.Sender) {
	w.t.Helper()
	if err := s.Step(context.Background()); err != nil {
		w.t.Error(err)
	}
}

// TestOneReport: what two nodes met is one report, however often nodes and leaders change.
func TestOneReport(t *testing.T) {
	w := newWorld(t)
	a, b := w.collector("a"), w.collector("b")
	for range 3 {
		a.Observe(tlsrpt.Event{Domain: "mail.example", Type: tlsrpt.NoPolicy})
		a.Observe(tlsrpt.Event{Domain: "silent.example", Type: tlsrpt.NoPolicy})
		b.Observe(tlsrpt.Event{Domain: "mail.example", Type: tlsrpt.NoPolicy, Failure: tlsrpt.STARTTLSNotSupported, Host: "mx.mail.example"})
	}
	a.Flush(context.Background())
	b.Flush(context.Background())
	a = w.collector("a") // it was restarted
	a.Observe(tlsrpt.Event{Domain: "mail.example", Type: tlsrpt.NoPolicy})
	a.Flush(context.Background())
	if got := w.names(); got != "2026-11-20/mail.example/a 2026-11-20/mail.example/b" {
		t.Fatal(got)
	}
	w.step(w.sender())
	if len(w.mails) != 0 {
		t.Fatal("a day was reported that is not over")
	}
	w.now = time.Date(2026, 11, 21, 1, 0, 0, 0, time.UTC)
	w.step(w.sender())
	if len(w.mails) != 0 {
		t.Fatal("a day was reported before all had brought their counts")
	}
	w.now = time.Date(2026, 11, 21, 6, 0, 0, 0, time.UTC)
	w.step(w.sender())
	w.step(w.sender())
	if len(w.mails) != 1 {
		t.Fatalf("%d reports", len(w.mails))
	}
	to, message, _ := strings.Cut(w.mails[0], "\n")
	r, err := tlsrpt.Read([]byte(message))
	if err != nil || to != "tls@mail.example" || r.Total() != (tlsrpt.Summary{Good: 4, Bad: 3}) || !strings.Contains(message, "\r\nTLS-Required: No\r\n") {
		t.Errorf("%s: %+v, %v", to, r, err)
	}
	if got := w.names(); got != "claim/2026-11-20/mail.example" {
		t.Error(got)
	}
	w.now = w.now.Add(4 * 24 * time.Hour)
	w.step(w.sender())
	if got := w.names(); got != "" {
		t.Errorf("what is left after days: %s", got)
	}
}

// TestLate: counts of a day that was reported make no second report.
func TestLate(t *testing.T) {
	w := newWorld(t)
	late := w.collector("late")
	late.Observe(tlsrpt.Event{Domain: "mail.example"})
	a := w.collector("a")
	a.Observe(tlsrpt.Event{Domain: "mail.example"})
	a.Flush(context.Background())
	w.now = w.now.Add(24 * time.Hour)
	w.step(w.sender())
	late.Flush(context.Background())
	w.step(w.sender())
	if len(w.mails) != 1 || w.names() != "claim/2026-11-20/mail.example" {
		t.Errorf("%d reports, %s", len(w.mails), w.names())
	}
}

// TestAgain: places that do not answer are tried again, the others not; a place that refuses is left alone.
func TestAgain(t *testing.T) {
	w := newWorld(t)
	a := w.collector("a")
	a.Observe(tlsrpt.Event{Domain: "both.example"})
	a.Flush(context.Background())
	w.now = w.now.Add(24 * time.Hour)
	w.refuse = errors.New("not now")
	if err := w.sender().Step(context.Background()); err == nil {
		t.Error("an error was not told")
	}
	w.refuse = nil
	w.step(w.sender())
	if len(w.mails)+w.posts != 0 {
		t.Error("it was tried again at once")
	}
	w.now = w.now.Add(time.Hour)
	w.step(w.sender())
	w.step(w.sender())
	if len(w.mails) != 1 || w.posts != 1 {
		t.Errorf("%d mails, %d posts", len(w.mails), w.posts)
	}

	a.Observe(tlsrpt.Event{Domain: "both.example"})
	a.Flush(context.Background())
	w.now = w.now.Add(24 * time.Hour)
	w.refuse = fmt.Errorf("%w: 404", reporter.ErrRefused)
	_ = w.sender().Step(context.Background())
	w.refuse = nil
	w.now = w.now.Add(5 * time.Hour)
	w.step(w.sender())
	if len(w.mails) != 1 || w.posts != 1 {
		t.Errorf("after a refusal: %d mails, %d posts", len(w.mails), w.posts)
	}
}

// TestKept: what the directory or DNS does not take is not lost.
func TestKept(t *testing.T) {
	w := newWorld(t)
	a := w.collector("a")
	a.Observe(tlsrpt.Event{Domain: "mail.example"})
	w.zone.Fail("_smtp._tls.mail.example", errors.New("no answer"))
	a.Flush(context.Background())
	w.zone.Fail("_smtp._tls.mail.example", nil)
	w.broken = errors.New("no leader")
	a.Flush(context.Background())
	w.broken = nil
	if got := w.names(); got != "" {
		t.Error(got)
	}
	a.Flush(context.Background())
	a.Flush(context.Background())
	w.now = w.now.Add(24 * time.Hour)
	w.step(w.sender())
	if len(w.mails) != 1 {
		t.Fatalf("%d reports", len(w.mails))
	}
	_, message, _ := strings.Cut(w.mails[0], "\n")
	if r, err := tlsrpt.Read([]byte(message)); err != nil || r.Total().Good != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestLastWords: a node that stops brings its counts.
func TestLastWords(t *testing.T) {
	defer goleak.VerifyNone(t)
	w := newWorld(t)
	a := w.collector("a")
	a.Observe(tlsrpt.Event{Domain: "mail.example"})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a.Run(ctx)
	if got := w.names(); got != "2026-11-20/mail.example/a" {
		t.Error(got)
	}
}

func TestWeb(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/tlsrpt+gzip" {
			t.Errorf("%s %v", r.Method, r.Header)
		}
		if status == http.StatusFound {
			rw.Header().Set("Location", "https://127.0.0.1:1/")
		}
		rw.WriteHeader(status)
	}))
	defer server.Close()
	trusting := server.Client().Transport.(*http.Transport)
	w := reporter.NewWeb(func(netip.Addr) bool { return true }, trusting.Clone())
	for code, want := range map[int]string{200: "taken", 201: "taken", 302: "refused", 404: "refused", 500: "again", 429: "again"} {
		status = code
		err := w.Post(context.Background(), server.URL, []byte("x"))
		got := map[bool]string{true: "refused", false: "again"}[errors.Is(err, reporter.ErrRefused)]
		if err == nil {
			got = "taken"
		}
		if got != want {
			t.Errorf("%d: %s (%v), want %s", code, got, err, want)
		}
	}
	for _, url := range []string{server.URL, "https://[::ffff:127.0.0.1]:1/", "https://10.0.0.1/", "https://169.254.169.254/", "https://[fd00::1]/", "https://[64:ff9b::7f00:1]/"} {
		if err := reporter.NewWeb(nil, trusting.Clone()).Post(context.Background(), url, nil); !errors.Is(err, reporter.ErrRefused) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
