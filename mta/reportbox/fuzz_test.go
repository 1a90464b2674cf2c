package reportbox

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

// FuzzCame: what strangers send, and what their DNS says, is told in a line.
func FuzzCame(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	mail := []byte("From: a@peer.example\r\nSubject: x\r\n\r\nhello\r\n")
	var signed bytes.Buffer
	if err := dkim.Sign(&signed, bytes.NewReader(mail), &dkim.SignOptions{Domain: "peer.example", Selector: "k", Signer: key, Hash: crypto.SHA256}); err != nil {
		f.Fatal(err)
	}
	record := "v=DKIM1; k=ed25519; s=tlsrpt; p=" + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	f.Add(signed.Bytes(), record)
	f.Add(mail, "s=:;=;p")
	f.Fuzz(func(t *testing.T, mail []byte, record string) {
		b := New(Config{Texts: func(context.Context, string) ([]string, error) { return []string{record}, nil }})
		if how := b.came(context.Background(), mail); !strings.HasPrefix(how, "mail ") || strings.ContainsAny(how, "\r\n") {
			t.Errorf("%q", how)
		}
	})
}
