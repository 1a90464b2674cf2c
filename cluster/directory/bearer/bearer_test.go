package bearer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster/directory/bearer"
	"github.com/rookery-mail/rookery/cluster/directory/bearertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a verifier with an issuer, and a clock that the test moves.
type desk struct {
	*bearer.Verifier
	issuer *bearertest.Issuer
	trust  bearer.Trust

	mu  sync.Mutex
	now time.Time // guarded by mu
}

func newDesk(t testing.TB, config bearer.Config) *desk {
	d := &desk{issuer: bearertest.New(t), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	d.trust = bearer.Trust{Issuer: d.issuer.URL, Audience: "mail", Claim: "email"}
	config.Clock = d.clock
	if config.AskTime == 0 {
		config.AskTime = time.Minute
	}
	d.Verifier = bearer.New(config)
	return d
}

func (d *desk) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *desk) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

// token is a good one for ann, with some claims changed; nil takes one away.
func (d *desk) token(change map[string]any) string {
	claims := d.issuer.Claims(d.clock())
	for name, value := range change {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	return d.issuer.Sign(claims)
}

// want holds how a token fares; a good one is ann's.
func (d *desk) want(t *testing.T, what, token string, want error) {
	t.Helper()
	name, err := d.Name(t.Context(), d.trust, token)
	if !errors.Is(err, want) || err == nil && name != "ann@example.com" || err != nil && name != "" {
		t.Errorf("%s: %q, %v; want %v", what, name, err, want)
	}
}

func TestClaims(t *testing.T) {
	d := newDesk(t, bearer.Config{})
	now := d.clock()
	type changes = map[string]any
	for _, c := range []struct {
		what   string
		change changes
		want   error
	}{
		{"good", nil, nil},
		{"one of several audiences", changes{"aud": []string{"web", "mail"}}, nil},
		{"another audience", changes{"aud": "web"}, bearer.ErrToken},
		{"no audience", changes{"aud": nil}, bearer.ErrToken},
		{"another issuer", changes{"iss": d.issuer.URL + "/"}, bearer.ErrToken},
		{"no issuer", changes{"iss": nil}, bearer.ErrToken},
		{"expired within the skew", changes{"exp": now.Add(-59 * time.Second).Unix()}, nil},
		{"expired", changes{"exp": now.Add(-61 * time.Second).Unix()}, bearer.ErrExpired},
		{"without an end", changes{"exp": nil}, bearer.ErrToken},
		{"not yet", changes{"nbf": now.Add(10 * time.Minute).Unix()}, bearer.ErrToken},
		{"as good as now", changes{"nbf": now.Add(3 * time.Minute).Unix()}, nil},
		{"verified as text", changes{"email_verified": "true"}, nil},
		{"not verified", changes{"email_verified": false}, bearer.ErrToken},
		{"not verified, as text", changes{"email_verified": "false"}, bearer.ErrToken},
		{"nothing said of it", changes{"email_verified": nil}, bearer.ErrToken},
		{"verified by a number", changes{"email_verified": 1}, bearer.ErrToken},
		{"no address", changes{"email": nil}, bearer.ErrToken},
		{"an empty address", changes{"email": ""}, bearer.ErrToken},
		{"an address that is none", changes{"email": []string{"ann@example.com"}}, bearer.ErrToken},
		{"a long address", changes{"email": strings.Repeat("a", 400)}, bearer.ErrToken},
		{"too long", changes{"x": strings.Repeat("a", bearer.MaxToken)}, bearer.ErrToken},
	} {
		d.want(t, c.what, d.token(c.change), c.want)
	}
	d.trust.Claim = "upn"
	d.want(t, "another claim", d.token(changes{"upn": "ann@example.com", "email_verified": nil}), nil)
	d.want(t, "without it", d.token(nil), bearer.ErrToken)
	d.trust.Audience = ""
	d.want(t, "while no audience is set", d.token(changes{"upn": "ann@example.com", "aud": ""}), bearer.ErrToken)
}

// TestAlgorithms: who knows the public keys, which everybody does, can sign nothing.
func TestAlgorithms(t *testing.T) {
	d := newDesk(t, bearer.Config{})
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []jose.SignatureAlgorithm{jose.RS256, jose.PS512} {
		d.issuer.Use(a, large)
		d.want(t, string(a), d.token(nil), nil)
		d.pass(time.Minute)
	}
	d.issuer.Use(jose.EdDSA, edwards)
	d.want(t, "EdDSA", d.token(nil), nil)

	good := d.token(nil)
	_, rest, _ := strings.Cut(good, ".")
	payload, _, _ := strings.Cut(rest, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	public, err := x509.MarshalPKIXPublicKey(&large.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claims := d.issuer.Claims(d.clock())
	sign := func(algorithm jose.SignatureAlgorithm, key any, id string) string {
		return bearertest.Sign(t, jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: id}}, claims)
	}
	parts := strings.Split(good, ".")
	inJSON, err := json.Marshal(map[string]string{"protected": parts[0], "payload": parts[1], "signature": parts[2]})
	if err != nil {
		t.Fatal(err)
	}
	for what, token := range map[string]string{
		"none":                        none + "." + payload + ".",
		"none, signed":                none + "." + payload + "." + parts[2],
		"a public key as secret":      sign(jose.HS256, public, "key 2"),
		"a key of nobody":             sign(jose.ES256, stranger, ""),
		"a key that is called ours":   sign(jose.ES256, stranger, "key 1"),
		"a key for something else":    sign(jose.RS512, large, "key 2"), // which says RS256
		"another's claims":            parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"email":"bob@example.com"}`)) + "." + parts[2],
		"no signature":                parts[0] + "." + parts[1] + ".",
		"JSON":                        string(inJSON),
		"opaque":                      "ya29.a0AfH6SMB",
		"two dots":                    "..",
		"no text":                     "\x00\xff",
		"one part more":               good + ".x",
		"nothing":                     "",
		"a long name of an algorithm": base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+strings.Repeat("x", 5000)+`"}`)) + "." + payload + ".x",
	} {
		d.want(t, what, token, bearer.ErrToken)
		if _, err := d.Name(t.Context(), d.trust, token); len(fmt.Sprint(err)) > 500 {
			t.Errorf("%s: the error repeats %d octets", what, len(err.Error()))
		}
	}
	d.want(t, "the good one after all of them", good, nil)
}

// TestSmallKey: a key that can be guessed is not used, and without another one there is no answer.
func TestSmallKey(t *testing.T) {
	d := newDesk(t, bearer.Config{})
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	d.issuer.Use(jose.RS256, small)
	d.want(t, "a small key beside another", d.token(nil), bearer.ErrToken)
	d.issuer.Withdraw()
	d.pass(time.Minute)
	d.want(t, "a small key alone", d.token(nil), bearer.ErrIssuer)
}

// TestOtherIssuer: when the setting changes, the keys of the old issuer count no more.
func TestOtherIssuer(t *testing.T) {
	d := newDesk(t, bearer.Config{})
	old, trust := d.token(nil), d.trust
	d.want(t, "the first", old, nil)
	d.issuer = bearertest.New(t)
	d.trust.Issuer = d.issuer.URL
	d.want(t, "a token of the first at the second", old, bearer.ErrToken)
	d.want(t, "the second", d.token(nil), nil)
	d.want(t, "a forgery of the first", d.token(map[string]any{"iss": trust.Issuer}), bearer.ErrToken)
	d.trust = trust
	d.want(t, "the first again", old, nil)
}

// FuzzToken has a verifier read any token: whatever is taken is what the issuer signed.
func FuzzToken(f *testing.F) {
	d := newDesk(f, bearer.Config{})
	good := d.token(nil)
	f.Add(good)
	f.Add("..")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(`{"payload":"e30","signatures":[]}`)
	f.Add(strings.Replace(good, ".", "=.", 1))
	f.Fuzz(func(t *testing.T, token string) {
		name, err := d.Name(context.Background(), d.trust, token)
		if err == nil && name != "ann@example.com" || err != nil && !errors.Is(err, bearer.ErrToken) {
			t.Errorf("%q is of %q, %v", token, name, err)
		}
	})
}

// BenchmarkName is a login whose keys are known, ECDSA of P-256.
func BenchmarkName(b *testing.B) {
	d := newDesk(b, bearer.Config{})
	token := d.token(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Name(b.Context(), d.trust, token); err != nil {
			b.Fatal(err)
		}
	}
}
