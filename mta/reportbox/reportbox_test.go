package reportbox_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/reportbox"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// world is a directory with the domain example.org, and a clock.
type world struct {
	t     *testing.T
	store *directorytest.Store
	now   time.Time
	kept  chan struct{} // gets one for each change
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, store: &directorytest.Store{}, now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), kept: make(chan struct{}, 1000)}
	initial, err := directory.InitialiseCluster(directory.ClusterSpec{ID: "rook", Partitions: 1})
	w.execute(initial, err)
	c, err := directory.CreateDomain("example.org", "")
	w.execute(c, err)
	return w
}

func (w *world) execute(c command.Command, err error) {
	w.t.Helper()
	if err == nil {
		err = w.run(c)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) run(c command.Command) error {
	c.Time = w.now
	result, err := directory.New().Execute(w.store, c)
	if err != nil {
		return err
	}
	_, err = directory.DecodeResult(result)
	return err
}

func (w *world) View(read func(directory.View) error) error { return read(directory.View{R: w.store}) }

func (w *world) Put(_ context.Context, changes ...directory.MailChange) error {
	c, err := directory.PutMail(changes...)
	if err == nil {
		err = w.run(c)
	}
	w.kept <- struct{}{}
	return err
}

func (w *world) box(open func(context.Context, reportbox.Letter) ([]byte, error)) *reportbox.Box {
	return reportbox.New(reportbox.Config{Directory: w, Open: open, Clock: func() time.Time { return w.now }, Logger: slog.New(slog.DiscardHandler)})
}

func (w *world) list() (list []reportbox.Kept) {
	w.t.Helper()
	err := w.View(func(v directory.View) (err error) {
		list, err = reportbox.List(v, "")
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// report is one about two domains.
func report(id string, day tlsrpt.Day) []byte {
	var r tlsrpt.Results
	r.Add(tlsrpt.Event{Domain: "example.org", Type: tlsrpt.STS})
	r.Add(tlsrpt.Event{Domain: "Example.ORG", Type: tlsrpt.STS, Failure: tlsrpt.CertificateExpired, Host: "mx1.example.org"})
	r.Add(tlsrpt.Event{Domain: "other.example", Type: tlsrpt.STS})
	data, err := tlsrpt.Report{Organization: "Peer", ID: id, Range: day.Range(), Policies: r.List}.Encode()
	if err != nil {
		panic(err)
	}
	return data
}

// TestTake: what is about us is kept once, and shown; what is not is refused.
func TestTake(t *testing.T) {
	w := newWorld(t)
	b := w.box(nil)
	for range 2 {
		if _, err := b.Take(context.Background(), report("1", "2026-11-20"), "mail"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Take(context.Background(), report("2", "2026-11-19"), "import"); err != nil {
		t.Fatal(err)
	}
	list := w.list()
	if len(list) != 2 || list[0].Day != "2026-11-20" || list[0].Organization != "Peer" || list[0].Total != (tlsrpt.Summary{Good: 1, Bad: 1}) || list[0].How != "mail" {
		t.Fatalf("%+v", list)
	}
	err := w.View(func(v directory.View) error {
		k, r, err := reportbox.Show(v, list[0].Name)
		if err == nil && (k.ID != "1" || len(r.Policies) != 2 || r.Policies[1].Failures[0].Host != "mx1.example.org") {
			t.Errorf("%+v, %+v", k, r)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	foreign := []byte(strings.ReplaceAll(strings.ReplaceAll(string(report("3", "2026-11-20")), "example.org", "a.example"), "Example.ORG", "b.example"))
	for what, c := range map[string]struct {
		data []byte
		want error
	}{
		"about others":         {foreign, reportbox.ErrForeign},
		"of last year":         {report("4", "2025-11-20"), reportbox.ErrOld},
		"of next week":         {report("5", "2026-11-29"), reportbox.ErrOld},
		"something else":       {[]byte("hello"), tlsrpt.ErrNoReport},
		"a day without an end": {[]byte(`{"report-id":"x","policies":[{}]}`), tlsrpt.ErrNoReport},
	} {
		if _, err := b.Take(context.Background(), c.data, "mail"); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.now = w.now.Add(reportbox.Keep - 24*time.Hour)
	if err := b.Tidy(context.Background()); err != nil {
		t.Fatal(err)
	}
	if list := w.list(); len(list) != 1 || list[0].Day != "2026-11-20" {
		t.Errorf("what is left: %+v", list)
	}
	c, err := directory.DeleteDomain("example.org")
	w.execute(c, err)
	if err := b.Tidy(context.Background()); err != nil {
		t.Fatal(err)
	}
	if list := w.list(); len(list) != 0 {
		t.Errorf("of a domain that is gone: %+v", list)
	}
}

// TestFlood: strangers cannot fill the directory.
func TestFlood(t *testing.T) {
	w := newWorld(t)
	b := w.box(nil)
	refused := 0
	for i := range 200 {
		if err := b.Stranger(context.Background(), report(fmt.Sprint(i), "2026-11-20"), "https"); errors.Is(err, reportbox.ErrBusy) {
			refused++
		}
	}
	if n := len(w.list()); n != 100 || refused != 100 {
		t.Errorf("%d kept, %d refused", n, refused)
	}
	if err := b.Stranger(context.Background(), report("0", "2026-11-19"), "https"); !errors.Is(err, reportbox.ErrBusy) {
		t.Errorf("in the same hour: %v", err)
	}
	w.now = w.now.Add(time.Hour)
	if err := b.Stranger(context.Background(), report("0", "2026-11-19"), "https"); err != nil {
		t.Errorf("in the next: %v", err)
	}
}

// TestSigned: whose signatures of a mail hold is told, also where the key is for reports alone.
func TestSigned(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := tlsrpt.Read(report("1", "2026-11-20"))
	if err != nil {
		t.Fatal(err)
	}
	packed, err := tlsrpt.Pack(r)
	if err != nil {
		t.Fatal(err)
	}
	mail := tlsrpt.Mail{From: "noreply@peer.example", To: "tls-reports@example.org", Submitter: "peer.example", Domain: "example.org", Report: r, Packed: packed}.Message()
	var signed bytes.Buffer
	if err := dkim.Sign(&signed, bytes.NewReader(mail), &dkim.SignOptions{Domain: "peer.example", Selector: "k", Signer: private, Hash: crypto.SHA256}); err != nil {
		t.Fatal(err)
	}
	record := "v=DKIM1; k=ed25519; s=tlsrpt; p=" + base64.StdEncoding.EncodeToString(public)
	for what, c := range map[string]struct {
		mail []byte
		want string
	}{
		"signed":   {signed.Bytes(), "mail signed by peer.example"},
		"changed":  {bytes.Replace(signed.Bytes(), []byte("aggregate"), []byte("arrogant_"), 1), "mail without a good signature"},
		"unsigned": {mail, "mail without a good signature"},
	} {
		w := newWorld(t)
		b := reportbox.New(reportbox.Config{Directory: w, Clock: func() time.Time { return w.now }, Logger: slog.New(slog.DiscardHandler),
			Open: func(context.Context, reportbox.Letter) ([]byte, error) { return c.mail, nil },
			Texts: func(_ context.Context, name string) ([]string, error) {
				if name != "k._domainkey.peer.example" {
					return nil, errors.New("no such name")
				}
				return []string{record}, nil
			}})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.Run(ctx)
		}()
		b.Notice(reportbox.Letter{Account: 1, UID: 1})
		select {
		case <-w.kept:
		case <-time.After(time.Minute):
			t.Errorf("%s: it was not read", what)
		}
		cancel()
		<-done
		if list := w.list(); len(list) != 1 || list[0].How != c.want {
			t.Errorf("%s: %+v", what, list)
		}
	}
}

// TestLarge: a report with more than fits is kept with less, and its counts.
func TestLarge(t *testing.T) {
	w := newWorld(t)
	r, err := tlsrpt.Read(report("1", "2026-11-20"))
	if err != nil {
		t.Fatal(err)
	}
	r.Policies = r.Policies[1:2]
	x := uint64(88172645463325252)
	for range 500 { // texts that gzip finds nothing in
		var d tlsrpt.Detail
		for _, s := range []*string{&d.Host, &d.HostName, &d.Reason, &d.More} {
			var text strings.Builder
			for range 28 {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
				fmt.Fprintf(&text, "%016x", x)
			}
			*s = text.String()
		}
		r.Policies[0].Failures = append(r.Policies[0].Failures, d)
	}
	data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.box(nil).Take(context.Background(), data, "mail"); err != nil {
		t.Fatal(err)
	}
	list := w.list()
	if len(list) != 1 || list[0].Total.Bad != 1 {
		t.Fatalf("%+v", list)
	}
	err = w.View(func(v directory.View) error {
		_, r, err := reportbox.Show(v, list[0].Name)
		if n := len(r.Policies[0].Failures); n == 0 || n >= 500 {
			t.Errorf("%d details", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestLetters: letters are opened, and what is none does no harm.
func TestLetters(t *testing.T) {
	defer goleak.VerifyNone(t)
	w := newWorld(t)
	b := w.box(func(_ context.Context, l reportbox.Letter) ([]byte, error) {
		switch l.UID {
		case 1:
			return nil, errors.New("no replica")
		case 2:
			return []byte("Subject: hello\r\n\r\nhello"), nil
		}
		return report("1", "2026-11-20"), nil
	})
	for _, uid := range []index.UID{1, 2, 3} {
		b.Notice(reportbox.Letter{Account: 1, UID: uid})
	}
	for range 100 { // nobody reads yet: most are left, and nobody waits
		b.Notice(reportbox.Letter{Account: 1, UID: 1})
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Run(ctx)
	}()
	select {
	case <-w.kept:
	case <-time.After(time.Minute):
		t.Error("no letter was read")
	}
	cancel()
	<-done
	if len(w.list()) != 1 {
		t.Errorf("%+v", w.list())
	}
}
