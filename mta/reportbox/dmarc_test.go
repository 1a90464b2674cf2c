package reportbox_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/mta/dmarcreport"
	"github.com/rookery-mail/rookery/mta/reportbox"
)

// aboutDMARC is a report about a domain's day, of 5 messages of which 3 passed.
func aboutDMARC(t *testing.T, id, domain string, day time.Time) []byte {
	t.Helper()
	var tally dmarcreport.Tally
	tally.Count(dmarcreport.Row{Source: "192.0.2.1", Count: 3, SPF: "pass", From: domain})
	tally.Count(dmarcreport.Row{Source: "192.0.2.2", Count: 2, SPF: "fail", From: domain})
	r := tally.Report()
	r.Organization, r.ID, r.Begin, r.End, r.Policy.Domain = "Peer", id, day, day.Add(24*time.Hour-time.Second), domain
	data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (w *world) listDMARC(domain string) (list []reportbox.KeptDMARC) {
	w.t.Helper()
	err := w.View(func(v directory.View) (err error) {
		list, err = reportbox.ListDMARC(v, domain)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// TestTakeDMARC: a report about us is kept once, shown and forgotten; one about others or of long ago is refused.
func TestTakeDMARC(t *testing.T) {
	w := newWorld(t)
	b := w.box(nil)
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	var name string
	for range 2 {
		var err error
		if name, err = b.TakeDMARC(context.Background(), aboutDMARC(t, "1", "Example.org", day), "mail"); err != nil {
			t.Fatal(err)
		}
	}
	list := w.listDMARC("example.org")
	if len(list) != 1 || list[0].Name != name || list[0].Total != (dmarcreport.Sum{Messages: 5, Passed: 3}) || list[0].Day != "2026-11-20" || list[0].How != "mail" {
		t.Fatalf("%+v", list)
	}
	err := w.View(func(v directory.View) error {
		k, r, err := reportbox.ShowDMARC(v, name)
		if err == nil && (k.ID != "1" || len(r.Rows) != 2 || r.Rows[0].Source != "192.0.2.1") {
			t.Errorf("%+v, %+v", k, r)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for what, c := range map[string]struct {
		data []byte
		want error
	}{
		"about others":   {aboutDMARC(t, "2", "other.example", day), reportbox.ErrForeign},
		"about no name":  {aboutDMARC(t, "2", "a b", day), reportbox.ErrForeign},
		"of last year":   {aboutDMARC(t, "2", "example.org", day.AddDate(-1, 0, 0)), reportbox.ErrOld},
		"of next week":   {aboutDMARC(t, "2", "example.org", day.AddDate(0, 0, 9)), reportbox.ErrOld},
		"something else": {[]byte("hello"), dmarcreport.ErrNoReport},
	} {
		if _, err := b.TakeDMARC(context.Background(), c.data, "mail"); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.now = w.now.Add(reportbox.Keep + 24*time.Hour)
	if err := b.Tidy(context.Background()); err != nil || len(w.listDMARC("")) != 0 {
		t.Errorf("%v, %+v", err, w.listDMARC(""))
	}
}

// TestManyDMARC: of a domain's day 200 reports are kept.
func TestManyDMARC(t *testing.T) {
	w := newWorld(t)
	b := w.box(nil)
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for i := range 200 {
		if _, err := b.TakeDMARC(context.Background(), aboutDMARC(t, fmt.Sprint(i), "example.org", day), "mail"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.TakeDMARC(context.Background(), aboutDMARC(t, "one more", "example.org", day), "mail"); !errors.Is(err, reportbox.ErrBusy) {
		t.Errorf("%v", err)
	}
}

// TestLetterOfDMARC: a letter to an address for reports may bring one about DMARC.
func TestLetterOfDMARC(t *testing.T) {
	w := newWorld(t)
	mail := "From: a@peer.example\r\nContent-Type: text/xml\r\n\r\n" + strings.ReplaceAll(string(aboutDMARC(t, "1", "example.org", w.now.Add(-24*time.Hour))), "\n", "\r\n")
	b := w.box(func(context.Context, reportbox.Letter) ([]byte, error) { return []byte(mail), nil })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	b.Notice(reportbox.Letter{Account: 1, UID: 1})
	<-w.kept
	cancel()
	<-done
	if list := w.listDMARC(""); len(list) != 1 {
		t.Errorf("%+v", list)
	}
}
