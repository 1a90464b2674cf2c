package certs

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"
)

var (
	// ErrTokenFormat says that text is no join token, or was cut or mistyped.
	ErrTokenFormat = errors.New("not a join token")
	// ErrTokenExpired says that a token's time is over.
	ErrTokenExpired = errors.New("join token expired")
	// ErrTokenWrong says that a token's secret is not the one that was handed out.
	ErrTokenWrong = errors.New("join token not known")
)

// tokenPrefix names the version of the text form. After it come, in base32 (RFC 4648, lower case, no
// padding): fingerprint (32 bytes), token id (8), secret (16), CRC-32 of all before (4, big endian).
const tokenPrefix = "rookery1-"

const tokenSize = sha256.Size + 8 + 16 + 4

// TokenID names a token in the directory; it is no secret.
type TokenID [8]byte

// String gives 16 hexadecimal digits.
func (id TokenID) String() string { return hex.EncodeToString(id[:]) }

// Token is what a new node is given to join with: which authority to trust and a secret to be let in
// by.
type Token struct {
	Authority Fingerprint
	ID        TokenID
	Secret    [16]byte
}

// TokenRecord is what the directory keeps of a token: enough to check it, not to make it.
type TokenRecord struct {
	ID      TokenID
	Hash    [sha256.Size]byte // of the secret, which is random: it needs no slow hash
	Expires time.Time
}

// NewToken draws a token for the cluster of an authority.
func NewToken(authority Fingerprint) (Token, error) {
	t := Token{Authority: authority}
	if _, err := rand.Read(t.ID[:]); err != nil {
		return Token{}, fmt.Errorf("draw a token: %w", err)
	}
	if _, err := rand.Read(t.Secret[:]); err != nil {
		return Token{}, fmt.Errorf("draw a token: %w", err)
	}
	return t, nil
}

// Record is what the directory is to keep of the token.
func (t Token) Record(expires time.Time) TokenRecord {
	return TokenRecord{ID: t.ID, Hash: sha256.Sum256(t.Secret[:]), Expires: expires}
}

// Check tells whether secret is the record's at now: nil, ErrTokenWrong or ErrTokenExpired. Whether
// the token was used before is the directory's to know.
func (r TokenRecord) Check(secret [16]byte, now time.Time) error {
	hash := sha256.Sum256(secret[:])
	if subtle.ConstantTimeCompare(hash[:], r.Hash[:]) != 1 {
		return fmt.Errorf("token %s: %w", r.ID, ErrTokenWrong)
	}
	if now.After(r.Expires.Add(ClockSkew)) {
		return fmt.Errorf("token %s, valid until %s: %w", r.ID, r.Expires.Format(time.RFC3339), ErrTokenExpired)
	}
	return nil
}

// String is the text form of a token. It holds the secret: it is for the operator's eyes, not for logs.
func (t Token) String() string {
	raw := make([]byte, 0, tokenSize)
	raw = append(raw, t.Authority[:]...)
	raw = append(raw, t.ID[:]...)
	raw = append(raw, t.Secret[:]...)
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return tokenPrefix + strings.ToLower(encoding().EncodeToString(raw))
}

// ParseToken reads the text form of a token; case and surrounding space do not matter.
func ParseToken(text string) (Token, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	body, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok {
		return Token{}, fmt.Errorf("text does not start with %s: %w", tokenPrefix, ErrTokenFormat)
	}
	raw, err := encoding().DecodeString(strings.ToUpper(body))
	// The decoder skips line breaks and a stray last character: only the exact length is a token.
	if err != nil || len(raw) != tokenSize || len(body) != encoding().EncodedLen(tokenSize) {
		return Token{}, fmt.Errorf("text of %d characters: %w", len(text), ErrTokenFormat)
	}
	payload := raw[:tokenSize-4]
	if crc32.ChecksumIEEE(payload) != binary.BigEndian.Uint32(raw[tokenSize-4:]) {
		return Token{}, fmt.Errorf("checksum differs, a character is wrong: %w", ErrTokenFormat)
	}
	var t Token
	rest := payload[copy(t.Authority[:], payload):]
	rest = rest[copy(t.ID[:], rest):]
	copy(t.Secret[:], rest)
	return t, nil
}

func encoding() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }
