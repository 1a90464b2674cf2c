package credential

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/xdg-go/scram"
)

const pencilSalt = "W22ZaJ0SNY7soEsUEjb6gQ=="

func sha256Sum(b []byte) [sha256.Size]byte { return sha256.Sum256(b) }

func salt(t testing.TB) []byte {
	t.Helper()
	s, err := base64.StdEncoding.DecodeString(pencilSalt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestVector is the exchange of RFC 7677, section 3: from StoredKey and ServerKey follow proof and
// signature that stand there.
func TestVector(t *testing.T) {
	c, err := Derive("pencil", salt(t), 4096)
	if err != nil {
		t.Fatal(err)
	}
	auth := "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=" + pencilSalt +
		",i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	if got := base64.StdEncoding.EncodeToString(sign(sha256.New, c.ServerKey[:], auth)); got != "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("server signature %s", got)
	}
	proof, _ := base64.StdEncoding.DecodeString("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
	for i, b := range sign(sha256.New, c.StoredKey[:], auth) {
		proof[i] ^= b
	}
	if stored := sha256Sum(proof); stored != c.StoredKey {
		t.Error("stored key does not fit the client's proof")
	}
}

// TestVectorSHA1 is the exchange of RFC 5802, section 5.
func TestVectorSHA1(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("QSXCR+Q6sek8bf92")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Derive("pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if !c.SHA1.IsZero() {
		t.Error("Derive keeps SHA-1 keys")
	}
	if c, err = c.WithSHA1("pencil"); err != nil {
		t.Fatal(err)
	}
	auth := "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92," +
		"i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"
	if got := base64.StdEncoding.EncodeToString(sign(sha1.New, c.SHA1.ServerKey[:], auth)); got != "rmF9pqV8S7suAoZWja4dJRkFsKQ=" {
		t.Errorf("server signature %s", got)
	}
	proof, _ := base64.StdEncoding.DecodeString("v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")
	for i, b := range sign(sha1.New, c.SHA1.StoredKey[:], auth) {
		proof[i] ^= b
	}
	if sha1.Sum(proof) != c.SHA1.StoredKey {
		t.Error("stored key does not fit the client's proof")
	}
	if _, err := c.WithSHA1("\x00"); !errors.Is(err, ErrPassword) {
		t.Errorf("an unusable password: %v", err)
	}
	if _, err := (Credential{}).WithSHA1("pencil"); !errors.Is(err, ErrParameters) {
		t.Errorf("of no credential: %v", err)
	}
}

// TestSameAsClients holds that each password means the same to us and to a SCRAM client's library.
func TestSameAsClients(t *testing.T) {
	for _, password := range []string{"pencil", "pass word", "Grüße", "e\u0301", "\u00a0x", "\u00ad x", "ﬁ", "日本", "Ⅸ", "a,b=c"} {
		client, err := scram.SHA256.NewClient("user", password, "")
		if err != nil {
			t.Fatalf("%q: %v", password, err)
		}
		want, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt(t)), Iters: 4096})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Derive(password, salt(t), 4096)
		if err != nil || string(want.StoredKey) != string(got.StoredKey[:]) || string(want.ServerKey) != string(got.ServerKey[:]) {
			t.Errorf("Derive(%q) differs from the client's library (%v)", password, err)
		}
	}
}

func TestVerify(t *testing.T) {
	c, err := Derive("Ⅸ lives", salt(t), MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{"Ⅸ lives": true, "IX lives": true, "ix lives": false, "": false, "\x00": false, "-": false} {
		if got := c.Verify(password); got != want {
			t.Errorf("Verify(%q) = %v", password, got)
		}
	}
	if (Credential{}).Verify("") {
		t.Error("no credential verified a password")
	}
}

func TestDeriveRefuses(t *testing.T) {
	for _, c := range []struct {
		password   string
		salt       string
		iterations int
		want       error
	}{
		{"", "12345678", MinIterations, ErrPassword},
		{"tab\t", "12345678", MinIterations, ErrPassword},
		{"\u00ad", "12345678", MinIterations, ErrPassword},
		{"\xff", "12345678", MinIterations, ErrPassword},
		{string(make([]byte, MaxPassword+1)), "12345678", MinIterations, ErrPassword},
		{"x", "1234567", MinIterations, ErrParameters},
		{"x", "12345678", MinIterations - 1, ErrParameters},
		{"x", "12345678", MaxIterations + 1, ErrParameters},
	} {
		if _, err := Derive(c.password, []byte(c.salt), c.iterations); !errors.Is(err, c.want) {
			t.Errorf("Derive(%q, %q, %d): %v, want %v", c.password, c.salt, c.iterations, err, c.want)
		}
	}
}

// BenchmarkVerify is what one password check costs one core.
func BenchmarkVerify(b *testing.B) {
	c, err := Derive("correct horse battery staple", salt(b), Iterations)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if !c.Verify("correct horse battery staple") {
			b.Fatal("not verified")
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
}
