package cache_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/certtest"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/mtasts/cache"
	"github.com/rookery-mail/rookery/mta/mtasts/fetch"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/tlspolicy"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// policies are those of a Cache, and no rules.
type policies struct{ *cache.Cache }

func (policies) Rule(context.Context, string) (tlspolicy.Rule, error) {
	return tlspolicy.Rule{}, nil
}

// inbox is an SMTP server that takes all.
type inbox struct{}

func (inbox) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return inbox{}, nil }
func (inbox) Reset()                                          {}
func (inbox) Logout() error                                   { return nil }
func (inbox) Mail(string, *gosmtp.MailOptions) error          { return nil }
func (inbox) Rcpt(string, *gosmtp.RcptOptions) error          { return nil }
func (inbox) Data(r io.Reader) error                          { _, err := io.Copy(io.Discard, r); return err }

// serveMail serves SMTP with a certificate, or without TLS.
func serveMail(t *testing.T, cert *tls.Certificate) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := gosmtp.NewServer(inbox{})
	if cert != nil {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
	}
	var task sync.WaitGroup
	task.Go(func() {
		if err := server.Serve(l); err != nil && !errors.Is(err, gosmtp.ErrServerClosed) {
			t.Error(err)
		}
	})
	t.Cleanup(func() { _ = server.Close(); task.Wait() })
	return l.Addr().String()
}

// TestWhole: a message goes by what DNS, the host of the policy and the host of the mail say, over real connections.
func TestWhole(t *testing.T) {
	if testing.Short() {
		t.Skip("go-smtp's server has a race of its own between STARTTLS and its end")
	}
	ca := certtest.New(t)
	good, wrong := ca.Host("mx1.one.example"), ca.Host("www.one.example")
	w := newWeb()
	w.now = time.Now()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/plain")
		_, _ = rw.Write([]byte(w.policy))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Host("mta-sts.one.example")}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	z := new(dnstest.Zone)
	z.Add("one.example. 60 IN MX 10 mx1.one.example.\nmx1.one.example. 60 IN A 192.0.2.1\n" +
		"_mta-sts.one.example. 60 IN TXT \"v=STSv1; id=1;\"\nmta-sts.one.example. 60 IN A 192.0.2.2\n")
	resolver := dns.New(dns.Config{Servers: []string{"test"}, Exchange: z.Exchange})
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	c := cache.New(cache.Config{Resolver: resolver, Fetcher: fetch.New(fetch.Config{Resolver: resolver, Roots: ca.Pool(), Dial: dial}), Store: w})
	for name, step := range map[string]struct {
		cert *tls.Certificate
		want string
		told tlsrpt.Failure
	}{
		"a certificate that holds": {&good, "verified by an authority for MTA-STS", ""},
		"another name":             {&wrong, "MTA-STS asks for authenticated TLS with mx1.one.example: its certificate does not hold", tlsrpt.CertificateHostMismatch},
		"no TLS":                   {nil, "MTA-STS asks for authenticated TLS with mx1.one.example: it offers none", tlsrpt.STARTTLSNotSupported},
	} {
		t.Run(name, func(t *testing.T) {
			address := serveMail(t, step.cert)
			var told []tlsrpt.Event
			client := remote.New(remote.Config{Resolver: resolver, Hostname: "out.example.org", Policies: policies{c}, Roots: ca.Pool(),
				Observe: func(e tlsrpt.Event) { told = append(told, e) },
				Dial: func(ctx context.Context, _ remote.Source, _ netip.AddrPort) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "tcp", address)
				}})
			defer client.Close()
			r := client.Deliver(context.Background(), remote.Job{Destination: "one.example", Envelope: mta.Envelope{From: "ada@example.org"},
				Recipients: []mta.Recipient{{Address: "bob@one.example"}},
				Open:       func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("Subject: x\r\n\r\nx\r\n")), nil }})[0]
			if got := r.TLS + ", " + r.Reply.Text; !strings.Contains(got, step.want) || (r.Kind == remote.Delivered) != (step.told == "") {
				t.Errorf("%+v", r)
			}
			if len(told) != 1 || told[0].Failure != step.told || told[0].Type != tlsrpt.STS || len(told[0].Policy) != 4 || len(told[0].Hosts) != 1 {
				t.Errorf("told %+v", told)
			}
		})
	}
	if k := w.kept["one.example"]; k.ID != "1" || w.saves != 1 {
		t.Errorf("kept %+v, %d times", k, w.saves)
	}
}
