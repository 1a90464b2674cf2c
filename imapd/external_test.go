package imapd_test

import (
	"crypto/tls"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cluster/directory/logintest"
)

// showing is a client's TLS configuration that takes any certificate and shows one.
func showing(cert tls.Certificate) *tls.Config {
	config := trusting()
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	return config
}

// TestExternal logs in with a certificate, and hears of it only where that can work.
//
// RFC 4422: AUTH=EXTERNAL
func TestExternal(t *testing.T) {
	h := newHouse(t)
	h.dir.AddAccount(t, "bob@example.com", "other")
	users := logintest.NewAuthority(t, "users")
	h.authorities.Store(users.Pool())
	ann := showing(users.Issue(t, nil, "ann@example.com"))
	dial := func(config *tls.Config) *wire {
		t.Helper()
		nc, err := tls.Dial("tcp", h.tls, config)
		must(t, err)
		return newWire(t, nc)
	}
	want := func(got, prefix string) {
		t.Helper()
		if !strings.HasPrefix(got, prefix) {
			t.Errorf("got %s, want %s", got, prefix)
		}
	}
	named := func(who string) string {
		return "AUTHENTICATE EXTERNAL " + base64.StdEncoding.EncodeToString([]byte(who))
	}

	w := dial(ann)
	if greeting := w.until("* OK"); !strings.Contains(greeting, " AUTH=EXTERNAL AUTH=SCRAM") || !strings.Contains(greeting, "AUTH=PLAIN") {
		t.Errorf("greeted with %s", greeting)
	}
	want(w.do(named("bob@example.com")), "t NO [AUTHENTICATIONFAILED]")
	want(w.do(named("\x00")), "t NO [AUTHENTICATIONFAILED]")
	want(w.do("AUTHENTICATE EXTERNAL !"), "t BAD")
	w.say("c AUTHENTICATE EXTERNAL")
	w.until("+ ")
	w.say("*")
	want(w.until("c "), "c BAD")
	want(w.do("AUTHENTICATE EXTERNAL ="), "t OK [CAPABILITY")
	want(w.do("SELECT INBOX"), "t OK")
	// TLS is as it was, and the certificate with it (RFC 8437).
	if got := w.do("UNAUTHENTICATE"); !strings.Contains(got, "AUTH=EXTERNAL") {
		t.Errorf("got %s", got)
	}
	w.say("d AUTHENTICATE external")
	w.until("+ ")
	w.say("")
	want(w.until("d "), "d OK [CAPABILITY")

	plain := h.dial()
	if greeting := plain.until("* OK"); strings.Contains(greeting, "EXTERNAL") {
		t.Errorf("greeted with %s", greeting)
	}
	want(plain.do("AUTHENTICATE EXTERNAL ="), "t NO [PRIVACYREQUIRED]")
	want(plain.do("STARTTLS"), "t OK")
	started := newWire(t, tls.Client(plain.Conn, ann))
	want(started.do(named("ann@example.com")), "t OK [CAPABILITY")

	for what, config := range map[string]*tls.Config{
		"none": trusting(), "one of others": showing(logintest.NewAuthority(t, "others").Issue(t, nil, "ann@example.com")),
	} {
		w := dial(config)
		if greeting := w.until("* OK"); strings.Contains(greeting, "EXTERNAL") {
			t.Errorf("with %s: greeted with %s", what, greeting)
		}
		want(w.do("AUTHENTICATE EXTERNAL ="), "t NO")
		want(w.do(login1), "t OK")
	}
}
