// Package credential derives and checks the SCRAM-SHA-256 form of passwords (RFC 5802, RFC 7677): what
// the directory keeps of a password instead of the password. The same four values serve the SCRAM
// mechanisms and a password that came in plain; keys for SCRAM-SHA-1 may be kept beside them. It draws no salt and reads no clock; who may log in,
// how often and where is for cluster/directory/login.
package credential

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"

	"github.com/xdg-go/stringprep"
)

// Iterations is the PBKDF2 count for new passwords.
//
// It is as high as the goal of 200 checks a second and core allows on a server whose processor has no
// SHA instructions (about 0.45 µs an iteration: 4.5 ms). With them (about 0.2 µs) BenchmarkVerify shows
// 2.0 ms, 500 checks a second. RFC 7677, section 4, asks for at least 4096. A higher count would not
// save a weak password from someone who stole the disk, but would turn the reconnects after a
// failover into an outage. Clients that use SCRAM pay the count themselves.
const Iterations = 10_000

// MinIterations is the lowest count that is accepted; SCRAM clients refuse a lower one.
const MinIterations = 4096

// MaxIterations bounds what one check may cost.
const MaxIterations = 1_000_000

// MinSalt is the shortest salt in bytes; SaltSize is what a caller should draw.
const (
	MinSalt  = 8
	SaltSize = 16
)

// MaxPassword is the longest password in octets.
const MaxPassword = 1024

var (
	// ErrPassword says that a password is empty, too long, or holds characters that SASLprep (RFC
	// 4013) refuses, so that not every client could log in with it.
	ErrPassword = errors.New("not a usable password")
	// ErrParameters says that salt or iterations are out of bounds.
	ErrParameters = errors.New("not usable SCRAM parameters")
)

// Credential is what is kept of a password. Who has it cannot log in with it, but can test guesses.
type Credential struct {
	Salt       []byte
	Iterations int
	StoredKey  [sha256.Size]byte
	ServerKey  [sha256.Size]byte
	SHA1       SHA1Keys // of the same salt and count; zero: none are kept
}

// SHA1Keys are the keys of SCRAM-SHA-1 (RFC 5802). A password is never verified by them: that they are
// kept only serves clients that know no other mechanism.
type SHA1Keys struct {
	StoredKey [sha1.Size]byte
	ServerKey [sha1.Size]byte
}

// IsZero reports whether there are no keys.
func (k SHA1Keys) IsZero() bool { return k == SHA1Keys{} }

// IsZero reports whether there is no password at all: nobody can log in.
func (c Credential) IsZero() bool { return c.Iterations == 0 }

// Check refuses a credential that does not come from Derive: ErrParameters.
func (c Credential) Check() error {
	if len(c.Salt) < MinSalt || c.Iterations < MinIterations || c.Iterations > MaxIterations {
		return fmt.Errorf("salt of %d bytes, %d iterations: %w", len(c.Salt), c.Iterations, ErrParameters)
	}
	return nil
}

// Derive makes the credential of a password for a random salt (SaltSize bytes) and a count.
func Derive(password string, salt []byte, iterations int) (Credential, error) {
	c := Credential{Salt: append([]byte(nil), salt...), Iterations: iterations}
	if err := c.Check(); err != nil {
		return Credential{}, err
	}
	prepared, err := prepare(password)
	if err != nil {
		return Credential{}, err
	}
	stored, server, err := keys(sha256.New, prepared, c.Salt, iterations)
	if err != nil {
		return Credential{}, err
	}
	copy(c.StoredKey[:], stored)
	copy(c.ServerKey[:], server)
	return c, nil
}

// WithSHA1 adds the keys of SCRAM-SHA-1 to the credential that Derive made of the same password.
func (c Credential) WithSHA1(password string) (Credential, error) {
	if err := c.Check(); err != nil {
		return Credential{}, err
	}
	prepared, err := prepare(password)
	if err != nil {
		return Credential{}, err
	}
	stored, server, err := keys(sha1.New, prepared, c.Salt, c.Iterations)
	if err != nil {
		return Credential{}, err
	}
	copy(c.SHA1.StoredKey[:], stored)
	copy(c.SHA1.ServerKey[:], server)
	return c, nil
}

// Verify reports whether password is the one that the credential was derived from. It takes the time
// of the iterations whatever the password, and compares in constant time. The zero Credential
// verifies nothing, at once.
func (c Credential) Verify(password string) bool {
	if c.Check() != nil {
		return false
	}
	prepared, err := prepare(password)
	usable := err == nil
	if !usable {
		prepared = "-" // the work is done all the same
	}
	stored, _, err := keys(sha256.New, prepared, c.Salt, c.Iterations)
	if err != nil {
		return false
	}
	return subtle.ConstantTimeCompare(stored, c.StoredKey[:]) == 1 && usable
}

// keys is SaltedPassword, StoredKey and ServerKey of RFC 5802, section 3.
func keys(h func() hash.Hash, prepared string, salt []byte, iterations int) (stored, server []byte, err error) {
	salted, err := pbkdf2.Key(h, prepared, salt, iterations, h().Size())
	if err != nil {
		return nil, nil, fmt.Errorf("derive the key of a password: %w", err)
	}
	sum := h()
	sum.Write(sign(h, salted, "Client Key"))
	return sum.Sum(nil), sign(h, salted, "Server Key"), nil
}

func sign(h func() hash.Hash, key []byte, text string) []byte {
	mac := hmac.New(h, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// prepare is the preparation that SCRAM clients do (RFC 5802, section 5.1, "Normalize"). The same
// tables as in xdg-go/scram are used, so that a password means the same by SCRAM and in plain. ASCII
// is left as it is; its control characters are refused by the tables.
func prepare(password string) (string, error) {
	if password == "" || len(password) > MaxPassword {
		return "", fmt.Errorf("password of %d octets: %w", len(password), ErrPassword)
	}
	prepared, err := stringprep.SASLprep.Prepare(password)
	if err != nil || prepared == "" {
		// The library's error would print the offending character of the password.
		return "", fmt.Errorf("password with a character that SASLprep refuses: %w", ErrPassword)
	}
	return prepared, nil
}
