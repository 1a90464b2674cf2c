package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
)

// TestSigned: a domain gets keys; mail is signed with the one that DNS publishes, and with none before.
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
		s.eventually("it arrives", func() error {
			sink.mu.Lock()
			defer sink.mu.Unlock()
			if len(sink.octets) != n {
				return fmt.Errorf("the sink has %d", len(sink.octets))
			}
			return nil
		})
		_, got, _ := strings.Cut(sink.octets[n-1], "\n")
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
}
