package dmarcpost_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/mta/dmarcpost"
	"github.com/rookery-mail/rookery/mta/dmarcreport"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a directory, DNS, a clock, and what was sent.
type world struct {
	t      *testing.T
	store  *directorytest.Store
	zone   *dnstest.Zone
	now    time.Time
	wanted bool
	mails  map[string][]string // by address
	refuse error               // what mails come to
	broken error               // what changes of the directory come to
}

func newWorld(t *testing.T) *world {
	z := &dnstest.Zone{}
	z.Add(`_dmarc.mail.example. 60 IN TXT "v=DMARC1; p=reject; rua=mailto:d@mail.example,mailto:d@far.example,mailto:d@kind.example,mailto:d@small.mail.example!1"
mail.example._report._dmarc.kind.example. 60 IN TXT "v=DMARC1"
_dmarc.far-only.example. 60 IN TXT "v=DMARC1; p=none; rua=mailto:d@far.example"
_dmarc.junk.example. 60 IN TXT "v=DMARC1; p=none; rua=mailto:d@junk.example"
_dmarc.new.example. 60 IN TXT "v=DMARC1; p=none; rua=mailto:d@new.example"`)
	return &world{t: t, store: &directorytest.Store{}, zone: z, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), wanted: true, mails: map[string][]string{}}
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

func (w *world) collector(node string) *dmarcpost.Collector {
	return dmarcpost.NewCollector(dmarcpost.CollectorConfig{Node: node, Directory: w, Wanted: func() bool { return w.wanted }, Every: time.Hour, Clock: w.clock, Logger: slog.New(slog.DiscardHandler)})
}

// step has the leader do what is due a while after the day.
func (w *world) step() {
	w.t.Helper()
	s := dmarcpost.NewSender(dmarcpost.SenderConfig{Directory: w, Wanted: func() bool { return w.wanted }, Clock: w.clock, Logger: slog.New(slog.DiscardHandler),
		Lookup: dns.Lists{Resolver: dns.New(dns.Config{Servers: []string{"x"}, Exchange: w.zone.Exchange, Clock: w.clock})},
		Identity: func() (dmarcpost.Identity, error) {
			return dmarcpost.Identity{Domain: "example.org", Contact: "postmaster@example.org"}, nil
		},
		Mail: func(_ context.Context, to string, message []byte) error {
			if w.refuse == nil {
				w.mails[to] = append(w.mails[to], string(message))
			}
			return w.refuse
		}})
	if err := s.Step(context.Background()); err != nil && w.refuse == nil {
		w.t.Fatal(err)
	}
}

// records are the names of those that are there, with why no report is sent.
func (w *world) records() string {
	var list []string
	err := w.View(func(v directory.View) error {
		return v.EachMailRecord(directory.MailDMARCResults, "", func(m *directorypb.MailRecord) error {
			list = append(list, strings.TrimSuffix(m.Name+": "+m.GetDmarcResults().WhyNot, ": "))
			return nil
		})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(list, "\n")
}

// see counts messages of a domain, of which some passed.
func see(c *dmarcpost.Collector, domain string, messages, passed int, junk bool) {
	p := dmarcreport.Published{Domain: domain, Policy: "reject"}
	for i := range messages {
		row := dmarcreport.Row{Source: "192.0.2.1", Count: 1, Disposition: "none", DKIM: "fail", SPF: "fail", From: domain}
		if i < passed {
			row.SPF = "pass"
		}
		c.Observe(p, row, junk)
	}
}

// TestReport: what two nodes counted goes as one report to each place that takes it, once.
func TestReport(t *testing.T) {
	w := newWorld(t)
	a, b := w.collector("n1"), w.collector("n2")
	see(a, "mail.example", 10, 4, false)
	see(b, "mail.example", 5, 5, false)
	a.Flush(t.Context())
	see(a, "mail.example", 1, 1, false)
	a.Flush(t.Context())
	b.Flush(t.Context())
	if got := w.records(); got != "2026-11-20/mail.example/n1\n2026-11-20/mail.example/n2" {
		t.Fatalf("%s", got)
	}
	w.step()
	if len(w.mails) != 0 {
		t.Errorf("before the day was over: %v", w.mails)
	}
	w.now = w.now.Add(24 * time.Hour)
	w.refuse = errors.New("no queue now")
	w.step()
	w.refuse = nil
	w.step() // it waits
	if len(w.mails) != 0 {
		t.Errorf("at once again: %v", w.mails)
	}
	w.now = w.now.Add(time.Hour)
	w.step()
	w.now = w.now.Add(time.Hour)
	w.step()
	if len(w.mails) != 2 || len(w.mails["d@mail.example"]) != 1 || len(w.mails["d@kind.example"]) != 1 {
		t.Fatalf("%v", w.mails)
	}
	r, err := dmarcreport.Read([]byte(w.mails["d@mail.example"][0]))
	if err != nil || r.Total() != (dmarcreport.Sum{Messages: 16, Passed: 10}) || r.Policy.Policy != "reject" || r.Policy.Domain != "mail.example" || r.Begin.Format(time.DateOnly) != "2026-11-20" || len(r.Rows) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if got := w.records(); got != "claim/2026-11-20/mail.example" {
		t.Errorf("%s", got)
	}
	w.now = w.now.Add(15 * 24 * time.Hour)
	w.step()
	if got := w.records(); got != "" {
		t.Errorf("%s", got)
	}
}

// TestNotTold: domains of junk, those that hardly write, those whose reports nobody takes, and all where it is off.
func TestNotTold(t *testing.T) {
	w := newWorld(t)
	c := w.collector("n1")
	see(c, "junk.example", 50, 50, true)
	see(c, "far-only.example", 20, 20, false)
	see(c, "new.example", 9, 9, false)
	see(c, "few.example", 2, 0, false)
	c.Flush(t.Context())
	w.now = w.now.Add(24 * time.Hour)
	see(c, "new.example", 1, 1, false)
	c.Flush(t.Context())
	w.step()
	want := "2026-11-21/new.example/n1\nclaim/2026-11-20/far-only.example: nobody takes the report\nclaim/2026-11-20/few.example: hardly any mail, and none of it passed\n" +
		"claim/2026-11-20/junk.example: all of its mail was junk\nclaim/2026-11-20/new.example: it is new here, and hardly wrote"
	if got := w.records(); got != want || len(w.mails) != 0 {
		t.Errorf("%s, %v", got, w.mails)
	}
	w.now = w.now.Add(24 * time.Hour)
	w.step()
	if len(w.mails) != 1 || len(w.mails["d@new.example"]) != 1 {
		t.Errorf("on its second day: %v", w.mails)
	}
	w.wanted = false
	see(c, "mail.example", 50, 50, false)
	c.Flush(t.Context())
	if strings.Contains(w.records(), "mail.example/") {
		t.Errorf("counted where it is off: %s", w.records())
	}
}

// TestKept: counts that cannot be brought are brought the next time, and what comes after the report is made is left out.
func TestKept(t *testing.T) {
	w := newWorld(t)
	c := w.collector("n1")
	see(c, "mail.example", 12, 12, false)
	w.broken = errors.New("no majority")
	c.Flush(t.Context())
	w.broken = nil
	see(c, "mail.example", 3, 0, false)
	c.Flush(t.Context())
	late := w.collector("n2")
	see(late, "mail.example", 7, 7, false)
	w.now = w.now.Add(24 * time.Hour)
	w.step()
	late.Flush(t.Context())
	r, err := dmarcreport.Read([]byte(w.mails["d@mail.example"][0]))
	if err != nil || r.Total() != (dmarcreport.Sum{Messages: 15, Passed: 12}) || w.records() != "claim/2026-11-20/mail.example" {
		t.Errorf("%+v, %v, %s", r.Total(), err, w.records())
	}
}

// TestRun: what was counted is brought when the node stops.
func TestRun(t *testing.T) {
	w := newWorld(t)
	c := w.collector("n1")
	see(c, "mail.example", 12, 12, false)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c.Run(ctx)
	if w.records() != "2026-11-20/mail.example/n1" {
		t.Errorf("%s", w.records())
	}
}
