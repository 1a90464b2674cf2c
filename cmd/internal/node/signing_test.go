package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/arc"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
)

// TestSigned: a domain gets keys; mail is signed with the one that DNS publishes, and with none before; what is sent on is sealed.
func TestSigned(t *testing.T) {
	t.Parallel()
	private, err := dkim.Generate(dkim.Ed25519, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := dkim.NewKey("example.org", "mine", private)
	if err != nil {
		t.Fatal(err)
	}
	zone, sink := new(dnstest.Zone), new(sink)
	zone.Add(fmt.Sprintf("%s. 60 IN TXT %q", key.Host(), key.Record()))
	s := newSite(t, 64)
	s.more = fmt.Sprintf("[outbound]\nenabled = true\nrelay = %q\nresolvers = [%q]\n", sink.serve(t), serveZone(t, zone))
	s.start(1)
	states := func() string {
		var keys []adminapi.DKIMKey
		if err := s.ask(1, "GET", "/v1/dkim?domain=example.org", nil, &keys); err != nil {
			return err.Error()
		}
		var out []string
		for _, k := range keys {
			out = append(out, fmt.Sprint(k.Algorithm, " ", k.State, " ", k.DNS))
		}
		return strings.Join(out, ", ")
	}
	become := func(what, want string) {
		t.Helper()
		s.eventually(what, func() error {
			if got := states(); !strings.HasSuffix(got, want) {
				return errors.New(got)
			}
			return nil
		})
	}
	become("keys are made", "ed25519 waiting missing, rsa waiting missing")
	const text = "From: ada@example.org\r\nSubject: the plan\r\nMessage-ID: <%d@example.org>\r\nDate: today\r\n\r\nhello\r\n"
	arrives := func(n int, signers string) {
		t.Helper()
		if err := s.submit(1, fmt.Sprintf(text, n), "bob@sink.test"); err != nil {
			t.Fatal(err)
		}
		_, got := sink.wait(s, n)
		_, got, _ = strings.Cut(got, "\n")
		list, err := msgauth.VerifyWithOptions(strings.NewReader(got), &msgauth.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
			if name != key.Host() {
				return nil, errors.New("not published")
			}
			return []string{key.Record()}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		found := ""
		for _, v := range list {
			if found += v.Domain; v.Err != nil {
				t.Errorf("%s: %v", v.Domain, v.Err)
			}
		}
		if found != signers {
			t.Errorf("message %d is signed by %q, want %q:\n%s", n, found, signers, got)
		}
	}
	arrives(1, "")
	if err := s.ask(1, "POST", "/v1/dkim", adminapi.NewDKIMKey{Domain: "example.org", Selector: "mine", PrivateKey: string(dkim.PEM(private))}, nil); err != nil {
		t.Fatal(err)
	}
	become("the key signs, and the one that waited longer is gone", "ed25519 signing published, rsa waiting missing")
	arrives(2, "example.org")

	// What an alias sends on is sealed, and its bounce finds back.
	if err := s.ask(1, "POST", "/v1/aliases", adminapi.Alias{Address: "list@example.org", Targets: []string{"bob@sink.test"}}, nil); err != nil {
		t.Fatal(err)
	}
	mx := s.config(1).SMTP.MX[0]
	s.eventually("a stranger's message is sent on", func() error { return sendFrom(mx, "ann@far.test", "list@example.org", fmt.Sprintf(text, 3)) })
	from, got := sink.wait(s, 3)
	if !strings.HasPrefix(from, "SRS0=") || !strings.HasSuffix(from, "=far.test=ann@example.org") || !strings.HasPrefix(got, "bob@sink.test\nARC-Seal: i=1; ") {
		t.Errorf("from %s:\n%s", from, got)
	}
	m, err := dkim.Read(strings.NewReader(got[strings.Index(got, "\n")+1:]))
	if err != nil {
		t.Fatal(err)
	}
	chain, err := arc.Validate(t.Context(), m, func(context.Context, string) ([]string, error) { return []string{key.Record()}, nil })
	if err != nil || chain.Status != arc.Pass {
		t.Errorf("the chain is %v: %v", chain, err)
	}
	if err := sendFrom(mx, "", from, fmt.Sprintf(text, 4)); err != nil {
		t.Fatal(err)
	}
	if from, got := sink.wait(s, 4); from != "" || !strings.HasPrefix(got, "ann@far.test\n") {
		t.Errorf("the bounce goes from %q:\n%s", from, got)
	}
	if err := sendFrom(mx, "", strings.Replace(from, "ann", "eve", 1), fmt.Sprintf(text, 5)); err == nil || !strings.Contains(err.Error(), "550") {
		t.Errorf("a forged address: %v", err)
	}
}

// wait waits for message n, and gives its envelope's sender and itself.
func (k *sink) wait(s *site, n int) (from, octets string) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("message %d arrives", n), func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		if len(k.octets) != n {
			return fmt.Errorf("the sink has %d", len(k.octets))
		}
		from, octets = k.from[n-1], k.octets[n-1]
		return nil
	})
	return from, octets
}
