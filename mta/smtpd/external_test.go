package smtpd

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/cluster/directory/logintest"
)

// TestExternal submits a message after a login with a certificate. Other servers are not asked for one.
func TestExternal(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	people, users := directorytest.New(t, "example.org"), logintest.NewAuthority(t, "users")
	people.AddAccount(t, "alice@example.org", "")
	people.AddAccount(t, "bob@example.org", "")
	pool := users.Pool()
	authorities := func() *x509.CertPool { return pool }
	auth, err := login.New(login.Config{Directory: people, Authorities: authorities})
	if err != nil {
		t.Fatal(err)
	}
	store := &fakeStore{}
	s := newServer(store, func(c *Config) {
		c.TLS, c.Auth, c.Authorities, c.Directory = serverTLS, Logins(auth), authorities, Members(people)
	})
	asked := 0
	cert := users.Issue(t, nil, "alice@example.org")
	clientTLS.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked++
		return &cert, nil
	}
	start := func(kind Kind) *client {
		c := dial(t, listen(t, s, kind))
		if kind != Submissions {
			c.expect("220 ")
			c.send("EHLO x\r\n")
			c.expect("250-")
			c.send("STARTTLS\r\n")
			c.expect("220 ")
		}
		c.nc = tls.Client(c.nc, clientTLS)
		c.r.Reset(c.nc)
		if kind == Submissions {
			c.expect("220 ")
		}
		c.send("EHLO x\r\n")
		return c
	}
	c := start(MX)
	c.expect("250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-ENHANCED")
	if asked != 0 {
		t.Error("another server was asked for a certificate")
	}
	for i, kind := range []Kind{Submission, Submissions} {
		c = start(kind)
		c.expect("250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-AUTH EXTERNAL SCRAM-")
		if asked != i+1 {
			t.Errorf("%s: asked %d times", kind, asked)
		}
		c.send("AUTH EXTERNAL " + base64.StdEncoding.EncodeToString([]byte("bob@example.org")) + "\r\n")
		c.expect("535 5.7.8 ")
		c.send("AUTH EXTERNAL\r\n")
		c.expect("334 \r\n")
		c.send("*\r\n")
		c.expect("501 ")
		if kind == Submission {
			c.send("AUTH EXTERNAL =\r\n")
		} else {
			c.send("AUTH EXTERNAL\r\n\r\n")
			c.expect("334 \r\n")
		}
		c.expect("235 ")
		c.send("MAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n")
		c.expect("250 ")
		c.expect("250 ")
		c.expect("354 ")
		c.send("Subject: x\r\n\r\n.\r\n")
		c.expect("250 ")
		if got := store.take(); len(got) != 1 || !strings.Contains(got[0].octets, "with ESMTPSA") {
			t.Errorf("%s: stored %v", kind, got)
		}
	}

	// One without a certificate is not offered it, and does not get it.
	clientTLS.GetClientCertificate = nil
	c = start(Submissions)
	c.expect("250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-AUTH SCRAM-")
	c.send("AUTH EXTERNAL =\r\n")
	c.expect("504 ")
}
