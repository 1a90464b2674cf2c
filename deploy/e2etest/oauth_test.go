package e2etest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"
)

// issuer is an OpenID Connect issuer with one key and no users.
type issuer struct {
	url string
	key *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes() // 4, x, y (SEC 1, section 2.3.3)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key}
	keys := map[string]any{"keys": []any{map[string]string{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "1",
		"x": base64.RawURLEncoding.EncodeToString(public[1:33]), "y": base64.RawURLEncoding.EncodeToString(public[33:])}}}
	mux := http.NewServeMux()
	tell := func(path string, document func() any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			if err := json.NewEncoder(w).Encode(document()); err != nil {
				t.Logf("%s: %v", path, err)
			}
		})
	}
	tell("/.well-known/openid-configuration", func() any { return map[string]string{"issuer": i.url, "jwks_uri": i.url + "/keys"} })
	tell("/keys", func() any { return keys })
	server := httptest.NewUnstartedServer(mux)
	i.url = "http://" + server.Listener.Addr().String()
	server.Start()
	t.Cleanup(server.Close)
	return i
}

// token is a signed token (RFC 7515, section 3.1) for an address.
func (i *issuer) token(t *testing.T, address, audience string) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{"iss": i.url, "aud": audience, "sub": "1", "exp": time.Now().Add(time.Hour).Unix(),
		"email": address, "email_verified": true})
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"1"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	var signature [64]byte // RFC 7518, section 3.4
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature[:])
}

// curlByToken logs in and submits by curl with the tokens of an issuer.
func curlByToken(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	i := newIssuer(t)
	s.set(t, "oidc_audience", "mail")
	s.set(t, "oidc_issuer", i.url)
	t.Cleanup(func() { s.set(t, "oidc_issuer", "") })
	good := i.token(t, a.address, "mail")
	eventually(t, func() error { // the setting reaches the other nodes
		o := a.curl(t, a.out, "--user", a.address, "--oauth2-bearer", good, "--login-options", "AUTH=OAUTHBEARER", a.imapURL(t, ""))
		if o.status != 0 {
			return fmt.Errorf("%s: exit status %d\n%s", o.what, o.status, o.text)
		}
		return nil
	})
	file := filepath.Join(t.TempDir(), "message")
	for _, mechanism := range []string{"OAUTHBEARER", "XOAUTH2"} {
		with := func(token string, more ...string) []string {
			return append(more, "--user", a.address, "--oauth2-bearer", token, "--login-options", "AUTH="+mechanism)
		}
		a.curl(t, a.out, with(good, a.imapURL(t, ""))...).ok().says("* LIST", "INBOX")
		a.curl(t, a.out, with(i.token(t, a.address, "web"), a.imapURL(t, ""))...).exits(67)
		a.curl(t, a.out, with(i.token(t, "bela@"+domain, "mail"), a.imapURL(t, ""))...).exits(67)
		write(t, file, message(a.address, a.address, "by "+mechanism, "text"))
		submit := []string{"--ssl-reqd", "--mail-from", a.address, "--mail-rcpt", a.address, "--upload-file", file, a.smtpURL(t, "smtps", a.in.submissions)}
		eventually(t, func() error {
			o := a.curl(t, a.in, with(good, submit...)...)
			if o.status != 0 {
				return fmt.Errorf("%s: exit status %d\n%s", o.what, o.status, o.text)
			}
			return nil
		})
		a.curl(t, a.in, with("forged", submit...)...).exits(67)
	}
	a.expect(t, "INBOX", "by OAUTHBEARER", "by XOAUTH2")
}
