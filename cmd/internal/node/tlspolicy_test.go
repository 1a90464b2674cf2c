package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/certtest"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/mtasts"
)

// serveTLS is serve, with TLS.
func (s *sink) serveTLS(t *testing.T, cert tls.Certificate) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := gosmtp.NewServer(s)
	server.Domain, server.TLSConfig = "sink.test", &tls.Config{Certificates: []tls.Certificate{cert}}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; err != nil && !errors.Is(err, gosmtp.ErrServerClosed) {
			t.Error(err)
		}
	})
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// TestTLSToOthers: with outbound.dnssec a host gets mail where its TLSA records hold, and none where they do not, though it is the same
// host; a rule stops what MTA-STS and DANE leave alone.
func TestTLSToOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("go-smtp's server has a race of its own between STARTTLS and its end")
	}
	t.Parallel()
	cert := certtest.SelfSigned(t, "anything.test")
	sink := new(sink)
	port := sink.serveTLS(t, cert)
	z := new(dnstest.Zone)
	for host, digest := range map[string]string{"good": certtest.SPKI(cert.Leaf), "bad": strings.Repeat("00", 32)} {
		z.Add(fmt.Sprintf("mx.%s.test. 60 IN A 127.0.0.1\n_%s._tcp.mx.%s.test. 60 IN TLSA 3 1 1 %s", host, port, host, digest))
		z.Secure(fmt.Sprintf("mx.%s.test", host), fmt.Sprintf("_%s._tcp.mx.%s.test", port, host))
	}
	s := newSite(t, 73)
	s.more = fmt.Sprintf("[outbound]\nenabled = true\nresolvers = [%q]\ndnssec = true\n", serveZone(t, z))
	s.start(1)
	s.eventually("routes are there", func() error { // not before the level is raised
		var err error
		for domain, host := range map[string]string{"good.test": "mx.good.test", "bad.test": "mx.bad.test", "ruled.test": "127.0.0.1", "free.test": "127.0.0.1"} {
			err = errors.Join(err, s.ask(1, "POST", "/v1/routes", adminapi.Route{Name: domain, Recipients: []string{domain}, Hosts: []string{host + ":" + port}, TLS: "may"}, nil))
		}
		return errors.Join(err, s.ask(1, "POST", "/v1/tls-rules", adminapi.TLSRule{Domain: ".test", Level: "encrypt"}, nil),
			s.ask(1, "POST", "/v1/tls-rules", adminapi.TLSRule{Domain: "ruled.test", Level: "verify"}, nil))
	})
	for i, domain := range []string{"good.test", "bad.test", "ruled.test", "free.test"} {
		text := fmt.Sprintf("From: ada@example.org\r\nMessage-ID: <%d@example.org>\r\nDate: today\r\n\r\nx\r\n", i)
		s.eventually("a message is queued", func() error { return s.submit(1, text, "bob@"+domain) })
	}
	s.eventually("two arrive, and the others wait for what stops them", func() error {
		sink.mu.Lock()
		var got []string
		for _, octets := range sink.octets {
			to, _, _ := strings.Cut(octets, "\n")
			got = append(got, to)
		}
		sink.mu.Unlock()
		slices.Sort(got)
		if !slices.Equal(got, []string{"bob@free.test", "bob@good.test"}) {
			return fmt.Errorf("the sink has mail for %q", got)
		}
		var queue adminapi.QueueListing
		if err := s.ask(1, "POST", "/v1/queue/list", adminapi.QueueQuery{}, &queue); err != nil {
			return err
		}
		why := map[string]string{}
		for _, e := range queue.Entries {
			for _, r := range e.Recipients {
				if r.Last != nil {
					why[r.Address] = r.Last.Reply
				}
			}
		}
		if len(why) != 2 || !strings.Contains(why["bob@bad.test"], "DANE asks for authenticated TLS with mx.bad.test") ||
			!strings.Contains(why["bob@ruled.test"], "A rule of ours asks for authenticated TLS with 127.0.0.1") {
			return fmt.Errorf("waiting: %q", why)
		}
		return nil
	})
	var rules []adminapi.TLSRule
	if err := s.ask(1, "DELETE", "/v1/tls-rules/ruled.test", nil, nil); err != nil {
		t.Error(err)
	}
	if err := s.ask(1, "DELETE", "/v1/tls-rules/ruled.test", nil, nil); err == nil {
		t.Error("a rule is deleted twice")
	}
	if err := s.ask(1, "GET", "/v1/tls-rules", nil, &rules); err != nil || len(rules) != 1 || rules[0].Domain != ".test" || rules[0].Level != "encrypt" {
		t.Errorf("%+v, %v", rules, err)
	}
}

// TestKeepsPolicies: a policy is kept in the directory against the version that was read, and forgotten.
func TestKeepsPolicies(t *testing.T) {
	held, machine := &directorytest.Store{}, directory.New()
	level := command.LevelSecond
	store := stsStore{
		view: func(read func(directory.View) error) error { return read(directory.View{R: held}) },
		change: func(_ context.Context, c command.Command, err error) error {
			if err != nil {
				return err
			}
			c.Time = time.UnixMilli(1_767_225_600_000)
			result, err := machine.Execute(held, c)
			if err != nil {
				return err
			}
			_, err = directory.DecodeResult(result)
			return err
		},
		level: func() command.Level { return level },
	}
	ctx := context.Background()
	k, err := mtasts.Keep("1", []byte("version: STSv1\nmode: enforce\nmx: mx.one.example\nmax_age: 86400\n"), time.UnixMilli(1_767_225_600_000))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Save(ctx, "one.example", k, 0); err == nil {
		t.Error("a policy is kept that not all nodes know how to")
	}
	level = command.LevelThird
	other := k
	other.ID = "2"
	if err := errors.Join(store.Save(ctx, "one.example", k, 0), store.Save(ctx, "one.example", other, 0), store.Remove(ctx, "one.example", 7)); err != nil {
		t.Error(err)
	}
	got, version, err := store.Load("one.example")
	if err != nil || version != 1 || got.ID != "1" || !got.Expires().Equal(k.Expires()) || !got.Used.Equal(k.Used) || got.Policy.Mode != mtasts.Enforce {
		t.Errorf("%+v, %d, %v", got, version, err)
	}
	if err := store.Save(ctx, "one.example", mtasts.Kept{Text: make([]byte, maxKeptPolicy+1)}, 1); err == nil {
		t.Error("a large policy goes to all nodes")
	}
	if err := store.Remove(ctx, "one.example", version); err != nil {
		t.Error(err)
	}
	if err := store.Each(func(domain string, _ mtasts.Kept, _ uint64) error { return fmt.Errorf("%s is kept", domain) }); err != nil {
		t.Error(err)
	}
	if _, version, err := store.Load("one.example"); err != nil || version != 0 {
		t.Errorf("%d, %v", version, err)
	}
}

// TestCheckDNSSEC: resolvers that vouch for nothing are told of, where they should.
func TestCheckDNSSEC(t *testing.T) {
	for name, c := range map[string]struct {
		says, signs, warns bool
	}{"as it is": {true, true, false}, "not as it is said": {true, false, true}, "not said": {false, false, false}} {
		z := new(dnstest.Zone)
		z.Add("org. 60 IN SOA a. b. 1 2 3 4 5")
		if c.signs {
			z.Secure("org")
		}
		var log bytes.Buffer
		n := &Node{log: slog.New(slog.NewTextHandler(&log, nil)), outbound: &outbound{
			resolver: dns.New(dns.Config{Servers: []string{"test"}, Exchange: z.Exchange, Validated: c.says})}}
		n.cfg.Outbound.DNSSEC = c.says
		n.checkDNSSEC(t.Context())
		if warned := strings.Contains(log.String(), "vouch for nothing"); warned != c.warns {
			t.Errorf("%s: %q", name, log.String())
		}
	}
}
