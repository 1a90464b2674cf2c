// Package bearertest is an OpenID Connect issuer for tests of what takes its tokens. It has keys and signs
// what it is told; it has no users and no pages.
package bearertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Issuer is one issuer on a port of the loopback. Its methods may be called from any goroutine.
type Issuer struct {
	URL string

	t testing.TB

	mu     sync.Mutex
	keys   []jose.JSONWebKey // guarded by mu: public ones
	signer jose.SigningKey   // guarded by mu: the last of them
	answer http.HandlerFunc  // guarded by mu: instead of its own, where not nil
	asked  int               // guarded by mu
	made   int               // guarded by mu: keys so far
}

// New starts an issuer with one key, which ends with the test.
func New(t testing.TB) *Issuer {
	i := &Issuer{t: t}
	i.Rotate()
	server := httptest.NewUnstartedServer(http.HandlerFunc(i.serve))
	i.URL = "http://" + server.Listener.Addr().String()
	server.Start()
	t.Cleanup(server.Close)
	return i
}

// serve answers with metadata and keys.
func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.asked++
	answer, keys := i.answer, jose.JSONWebKeySet{Keys: i.keys}
	i.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	var document any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		document = map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys"}
	case "/keys":
		document = keys
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(document); err != nil {
		i.t.Logf("the issuer's answer was not read: %v", err)
	}
}

// Rotate takes a new key, ECDSA of P-256. The old ones are published on.
func (i *Issuer) Rotate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	i.Use(jose.ES256, key)
}

// Use takes a key of the caller's.
func (i *Issuer) Use(algorithm jose.SignatureAlgorithm, key crypto.Signer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.made++
	private := jose.JSONWebKey{Key: key, KeyID: fmt.Sprint("key ", i.made), Algorithm: string(algorithm), Use: "sig"}
	i.signer = jose.SigningKey{Algorithm: algorithm, Key: private}
	i.keys = append(i.keys, private.Public())
}

// Withdraw publishes the newest key alone.
func (i *Issuer) Withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[len(i.keys)-1:]
}

// Answer has the issuer answer everything by f; nil: itself again.
func (i *Issuer) Answer(f http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = f
}

// Break has the issuer answer 503.
func (i *Issuer) Break() {
	i.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
}

// Asked is how many requests came.
func (i *Issuer) Asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// Claims are those of a token for ann@example.com and the audience "mail", good for an hour from now on.
func (i *Issuer) Claims(now time.Time) map[string]any {
	return map[string]any{"iss": i.URL, "sub": "4711", "aud": "mail", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"email": "ann@example.com", "email_verified": true}
}

// Sign makes a token of claims with the newest key.
func (i *Issuer) Sign(claims map[string]any) string {
	i.t.Helper()
	i.mu.Lock()
	signing := i.signer
	i.mu.Unlock()
	return Sign(i.t, signing, claims)
}

// Token is a good token for an address.
func (i *Issuer) Token(now time.Time, address string) string {
	i.t.Helper()
	claims := i.Claims(now)
	claims["email"] = address
	return i.Sign(claims)
}

// Sign makes a token of claims with any key.
func Sign(t testing.TB, key jose.SigningKey, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
