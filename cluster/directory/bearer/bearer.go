// Package bearer finds out of whom a bearer token is that an OpenID Connect issuer gave: a signed JSON
// web token (RFC 7519), as issuers give access tokens (RFC 9068) and ID tokens. It asks the issuer for its
// metadata and keys only, never about a token, so that a login costs no round trip.
//
// It knows nothing of accounts and of SASL: see package login. Tokens that are no JWT are not understood.
package bearer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Errors of Name; test with errors.Is. Any other is that of the context.
var (
	// ErrToken says that the token is none, is of another issuer or audience, or says nothing of an
	// address. It stays so.
	ErrToken = errors.New("token is not valid")
	// ErrExpired is an ErrToken of a token that was good before. The client gets a new one.
	ErrExpired = fmt.Errorf("%w any more", ErrToken)
	// ErrIssuer says that the issuer could not be asked for its keys. It is temporary.
	ErrIssuer = errors.New("the issuer of tokens cannot be asked")
)

const (
	// MaxToken is the longest token in octets; those of large issuers have some 6 KiB at most.
	MaxToken = 16 << 10
	// skew is by how much the issuer's clock may be behind ours at the end of a token.
	skew = time.Minute
)

// Trust says whose tokens are taken.
type Trust struct {
	Issuer   string // URL, exactly as it stands in iss (OpenID Connect Discovery 1.0, section 3)
	Audience string // which has to be in aud (RFC 7519, section 4.1.3)
	// Claim is the name of the claim that holds the address. With "email", email_verified has to be
	// true (OpenID Connect Core 1.0, section 5.1).
	Claim string
}

// Metadata is the URL of what the issuer says of itself (OpenID Connect Discovery 1.0, section 4.1).
func (t Trust) Metadata() string {
	return strings.TrimSuffix(t.Issuer, "/") + "/.well-known/openid-configuration"
}

// Config is what a Verifier is made of. Zero fields have the defaults that are named.
type Config struct {
	Clock     func() time.Time  // time.Now
	Transport http.RoundTripper // one that heeds HTTPS_PROXY and keeps no connections
	Logger    *slog.Logger      // none
	AskTime   time.Duration     // how long the issuer may take to tell its keys; 5 s
}

// Verifier checks tokens. Its methods may be called from any goroutine. It starts none and needs no
// closing.
type Verifier struct {
	config Config
	client *http.Client

	mu     sync.Mutex
	issuer *issuer // guarded by mu; the one that was asked for last
}

// New makes a Verifier.
func New(config Config) *Verifier {
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Transport == nil {
		config.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10}
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.AskTime <= 0 {
		config.AskTime = 5 * time.Second
	}
	return &Verifier{config: config, client: newClient(config.Transport)}
}

// Name returns what the claim of a token says. It waits for the issuer where its keys are not known,
// Config.AskTime at most, or until ctx ends. The name is whatever the issuer says: it need not be an
// address.
func (v *Verifier) Name(ctx context.Context, trust Trust, token string) (string, error) {
	if len(token) > MaxToken {
		return "", fmt.Errorf("%w: it is longer than %d octets", ErrToken, MaxToken)
	}
	if trust.Audience == "" || trust.Claim == "" {
		return "", fmt.Errorf("%w: it is not said for whom it has to be", ErrToken)
	}
	keys := &signatures{issuer: v.issuerOf(trust)}
	verifier := oidc.NewVerifier(trust.Issuer, keys, &oidc.Config{
		ClientID: trust.Audience, SupportedSigningAlgs: algorithmNames(),
		Now: func() time.Time { return v.config.Clock().Add(-skew) },
	})
	verified, err := verifier.Verify(ctx, token)
	if keys.err != nil { // the library tells it as text only
		return "", keys.err
	}
	if _, expired := errors.AsType[*oidc.TokenExpiredError](err); expired {
		return "", fmt.Errorf("%w: %v", ErrExpired, err)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %.200v", ErrToken, err) // it may repeat what the client sent
	}
	var claims claims
	if err := verified.Claims(&claims); err != nil {
		return "", fmt.Errorf("%w: read its claims: %.200v", ErrToken, err)
	}
	return claims.name(trust.Claim)
}

// issuerOf is the state of an issuer. There is one at a time: with another URL begins another.
func (v *Verifier) issuerOf(trust Trust) *issuer {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.issuer == nil || v.issuer.url != trust.Issuer {
		v.issuer = newIssuer(trust, v.client, v.config)
	}
	return v.issuer
}
