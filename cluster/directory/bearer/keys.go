package bearer

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// The sizes of RSA keys in bits that are used: RFC 7518, section 3.3, demands the lower one, and larger
// ones cost too much time.
const (
	minRSA = 2048
	maxRSA = 8192
)

// algorithms are those that a token may be signed by: all with a key of two halves. With "none" and those
// of a shared secret (RFC 7518, section 3.1) anybody could sign who knows the public keys.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}
}

func algorithmNames() (names []string) {
	for _, a := range algorithms() {
		names = append(names, string(a))
	}
	return names
}

// keyring is what an issuer published at one moment. It does not change.
type keyring struct {
	keys []jose.JSONWebKey
	read time.Time
}

// readKeys reads a JWK set (RFC 7517, section 5). Keys that are not understood, or are not for signatures,
// are passed over, as section 5 asks; a set without any other is an error.
func readKeys(data []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("read a key set: %w", err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := json.Unmarshal(raw, &key); err == nil && usable(key) {
			keys = append(keys, key)
		}
	}
	if keys == nil {
		return nil, fmt.Errorf("read a key set: none of its %d keys can be used", len(set.Keys))
	}
	return keys, nil
}

// usable reports whether a key is a public one for signatures.
func usable(key jose.JSONWebKey) bool {
	if key.Use != "" && key.Use != "sig" || !key.Valid() || !key.IsPublic() {
		return false
	}
	if k, ok := key.Key.(*rsa.PublicKey); ok {
		return k.N.BitLen() >= minRSA && k.N.BitLen() <= maxRSA
	}
	return true
}

// errUnknownKey says that a token may be of a key that the ring does not have.
var errUnknownKey = errors.New("it is signed by no key of the issuer")

// verify returns the payload of a token of a key of the ring. The error is errUnknownKey where newer keys
// may say otherwise: the token names a key that is not here, or names none. Another means that the
// signature is wrong.
func (r *keyring) verify(token *jose.JSONWebSignature) ([]byte, error) {
	head := token.Signatures[0].Protected
	named := false
	for _, key := range r.keys {
		if head.KeyID != "" && key.KeyID != head.KeyID || key.Algorithm != "" && key.Algorithm != head.Algorithm {
			continue
		}
		payload, err := token.Verify(key)
		if err == nil {
			return payload, nil
		}
		named = head.KeyID != ""
	}
	if named {
		return nil, errors.New("its signature is wrong")
	}
	return nil, errUnknownKey
}

// signatures is what the library asks for the signature of one token. It keeps the error, which the
// library makes text of.
type signatures struct {
	issuer *issuer
	err    error
}

var _ oidc.KeySet = (*signatures)(nil)

// VerifySignature implements oidc.KeySet.
func (s *signatures) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	token, err := jose.ParseSignedCompact(jwt, algorithms())
	if err != nil {
		s.err = fmt.Errorf("%w: %.200v", ErrToken, err)
		return nil, s.err
	}
	var payload []byte
	payload, s.err = s.issuer.verify(ctx, token)
	return payload, s.err
}
