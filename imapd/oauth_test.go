package imapd_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/bearertest"
)

// issuer has the house take the tokens of an issuer.
func (h *house) issuer() *bearertest.Issuer {
	i := bearertest.New(h.t)
	h.dir.Must(h.t)(directory.SetSetting("oidc_issuer", i.URL))
	h.dir.Must(h.t)(directory.SetSetting("oidc_audience", "mail"))
	return i
}

// TestOAuth logs in with the tokens of an issuer. A token that is none is answered by where to get one, and
// without the issuer nobody is told that a token is wrong.
//
// RFC 7628: AUTH=OAUTHBEARER
// RFC 6750: AUTH=XOAUTH2
func TestOAuth(t *testing.T) {
	h := newHouse(t)
	issuer := h.issuer()
	now := time.Now()
	clients := func(token string) []sasl.Client {
		return []sasl.Client{
			&oauthClient{sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: "ann@example.com", Token: token, Host: "localhost", Port: 993})},
			&xoauth2Client{"ann@example.com", token},
		}
	}
	attempt := func(token, want string) {
		t.Helper()
		for _, client := range clients(token) {
			c := h.client(nil)
			err := c.Authenticate(client)
			if want == "" {
				must(t, err)
				_, err = c.Select("INBOX", nil).Wait()
				must(t, err)
			} else if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%T: %v, want %s", client, err, want)
			}
		}
	}
	issuer.Break()
	attempt(issuer.Token(now, "ann@example.com"), "UNAVAILABLE")
	issuer.Answer(nil)
	h.dir.Must(t)(directory.SetSetting("oidc_issuer", issuer.URL+"/")) // another, which is asked at once, and says that it is not
	attempt(issuer.Token(now, "ann@example.com"), "UNAVAILABLE")
	h.dir.Must(t)(directory.SetSetting("oidc_issuer", issuer.URL))
	attempt(issuer.Token(now, "ann@example.com"), "")
	attempt(issuer.Token(now, "bob@example.com"), "AUTHENTICATIONFAILED")
	attempt(issuer.Token(now.Add(-2*time.Hour), "ann@example.com"), "AUTHENTICATIONFAILED")
	attempt("opaque", "AUTHENTICATIONFAILED")
}

// oauthClient is the library's client, which leaves the server without the answer to a refusal (RFC 7628,
// section 3.2.3).
type oauthClient struct{ sasl.Client }

func (o *oauthClient) Next(challenge []byte) ([]byte, error) {
	if refusal, ok := errors.AsType[*sasl.OAuthBearerError](second(o.Client.Next(challenge))); !ok || refusal.Status != "invalid_token" {
		return nil, errors.New("a challenge that is no refusal")
	}
	return []byte{1}, nil
}

func second(_ []byte, err error) error { return err }

// xoauth2Client is XOAUTH2, which the library has not.
type xoauth2Client struct{ user, token string }

func (x *xoauth2Client) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + x.user + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

func (x *xoauth2Client) Next(challenge []byte) ([]byte, error) {
	if !strings.HasPrefix(string(challenge), `{"status":"401"`) {
		return nil, errors.New("a challenge that is no refusal")
	}
	return []byte{}, nil
}

// TestOAuthDialogue: what both mechanisms say on the wire, and where they are offered.
func TestOAuthDialogue(t *testing.T) {
	h := newHouse(t)
	w := h.dialTLS()
	if greeting := w.until("* OK"); strings.Contains(greeting, "OAUTH") {
		t.Errorf("offered without an issuer: %s", greeting)
	}
	w.say("a AUTHENTICATE OAUTHBEARER")
	w.until("a NO [CANNOT]")
	issuer := h.issuer()
	w.say("b CAPABILITY")
	if caps := w.until("* CAPABILITY"); !strings.Contains(caps, " AUTH=OAUTHBEARER AUTH=XOAUTH2 ") {
		t.Errorf("with an issuer: %s", caps)
	}
	w.until("b OK")
	plain := h.dial()
	if greeting := plain.until("* OK"); strings.Contains(greeting, "OAUTH") {
		t.Errorf("offered without TLS: %s", greeting)
	}
	plain.say("a AUTHENTICATE XOAUTH2")
	plain.until("a NO [PRIVACYREQUIRED]")

	code := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	refusal := code(`{"status":"invalid_token","openid-configuration":"` + issuer.URL + `/.well-known/openid-configuration"}`)
	w.say("c AUTHENTICATE OAUTHBEARER %s", code("n,a=ann@example.com,\x01host=localhost\x01port=993\x01\x01"))
	w.until("+ " + refusal)
	w.say("AQ==")
	w.until("c NO [AUTHENTICATIONFAILED]")
	w.say("d AUTHENTICATE OAUTHBEARER %s", code("n,,\x01auth=Bearer forged\x01\x01"))
	w.until("+ " + refusal)
	w.say("*")
	w.until("d BAD")
	w.say("e AUTHENTICATE OAUTHBEARER %s", code("n,,auth=Bearer\x01"))
	w.until("e NO [AUTHENTICATIONFAILED]")
	w.say("f AUTHENTICATE XOAUTH2")
	w.until("+ ")
	w.say("%s", code("user=ann@example.com\x01auth=Bearer forged\x01\x01"))
	w.until("+ " + code(`{"status":"401","schemes":"bearer"}`))
	w.say("")
	w.until("f NO [AUTHENTICATIONFAILED]")
	w.say("g AUTHENTICATE OAUTHBEARER")
	w.until("+ ")
	w.say("%s", code("n,,\x01auth=Bearer "+issuer.Token(time.Now(), "ann@example.com")+"\x01\x01"))
	w.until("g OK [CAPABILITY")
	w.say("h SELECT INBOX")
	w.until("h OK")
}
