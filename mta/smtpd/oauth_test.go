package smtpd

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/bearertest"
)

// TestOAuth submits with the tokens of an issuer, as go-smtp does and by hand (RFC 7628, section 4.4).
func TestOAuth(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	w := newWhole(t, serverTLS)
	alice := w.people.AddAccount(t, "alice@example.org", "")
	issuer := bearertest.New(t)
	for name, value := range map[string]string{"oidc_issuer": issuer.URL, "oidc_audience": "mail"} {
		w.people.Must(t)(directory.SetSetting(name, value))
	}
	addr := listen(t, w.Server, Submissions)
	token := issuer.Token(time.Now(), "alice@example.org")
	wrong := issuer.Token(time.Now(), "bob@example.org")

	open := func() *client {
		c := dial(t, addr)
		c.nc = tls.Client(c.nc, clientTLS)
		c.r.Reset(c.nc)
		c.expect("220 ")
		c.send("EHLO x\r\n")
		return c
	}
	code := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	oauth := func(token string) string {
		return "AUTH OAUTHBEARER " + code("n,a=alice@example.org,\x01host=mx.example.org\x01port=465\x01auth=Bearer "+token+"\x01\x01") + "\r\n"
	}
	issuer.Break()
	c := open()
	c.expect("250-")
	c.send(oauth(token))
	c.expect("454 4.7.0 ")
	issuer.Answer(nil)
	w.people.Must(t)(directory.SetSetting("oidc_issuer", issuer.URL+"/")) // so that it is not remembered as broken
	c = open()
	c.send(oauth(token))
	c.expect("250-")
	c.expect("454 4.7.0 ")
	w.people.Must(t)(directory.SetSetting("oidc_issuer", issuer.URL))

	c = open()
	c.send(oauth(wrong) + "AQ==\r\n")
	c.expect("250-")
	c.expect("334 " + code(fmt.Sprintf(`{"status":"invalid_token","openid-configuration":"%s/.well-known/openid-configuration"}`, issuer.URL)))
	c.expect("535 5.7.8 ")
	c.send("AUTH XOAUTH2\r\n" + code("user=alice@example.org\x01auth=Bearer "+wrong+"\x01\x01") + "\r\n\r\n")
	c.expect("334 \r\n")
	c.expect("334 " + code(`{"status":"401","schemes":"bearer"}`))
	c.expect("535 5.7.8 ")
	c.send("AUTH XOAUTH2 " + code("user=alice@example.org\x01auth=Bearer "+token+"\x01\x01") + "\r\nMAIL FROM:<bob@example.org>\r\nMAIL FROM:<alice@example.org>\r\n")
	c.expect("235 2.7.0 ")
	c.expect("553 ")
	c.expect("250 ")

	user, err := gosmtp.DialTLS(addr, clientTLS)
	if err != nil {
		t.Fatal(err)
	}
	defer user.Close()
	if err := user.Auth(sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: "alice@example.org", Token: token})); err != nil {
		t.Fatal(err)
	}
	if err := user.SendMail("alice@example.org", []string{"alice@example.org"}, strings.NewReader("Subject: x\r\n\r\nby token\r\n")); err != nil {
		t.Fatal(err)
	}
	if got := w.inbox(t, alice); len(got) != 1 || !strings.Contains(got[0], "by token") {
		t.Errorf("the inbox has %q", got)
	}
}

// TestOAuthNeedsTLS: no token crosses an open line.
func TestOAuthNeedsTLS(t *testing.T) {
	serverTLS, _ := certificate(t)
	w := newWhole(t, serverTLS)
	issuer := bearertest.New(t)
	for name, value := range map[string]string{"oidc_issuer": issuer.URL, "oidc_audience": "mail"} {
		w.people.Must(t)(directory.SetSetting(name, value))
	}
	c := dial(t, listen(t, w.Server, Submission))
	c.expect("220 ")
	c.send("EHLO x\r\nAUTH XOAUTH2 dXNlcj14\r\n")
	c.expect("250-")
	c.expect("538 5.7.11 ")
}
