package directory_test

import (
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cluster/directory"
)

// TestTokenSettings: an issuer is at an HTTPS URL, which is kept to the letter, and nothing else can be set.
func TestTokenSettings(t *testing.T) {
	for _, c := range []struct {
		name, text string
		ok         bool
	}{
		{"oidc_issuer", "", true},
		{"oidc_issuer", "https://id.example.com", true},
		{"oidc_issuer", "https://id.example.com/", true},
		{"oidc_issuer", "https://id.example.com:8443/realms/Mail", true},
		{"oidc_issuer", "http://localhost:8080", true},
		{"oidc_issuer", "http://127.0.0.1:8080/", true},
		{"oidc_issuer", "http://[::1]/", true},
		{"oidc_issuer", "http://id.example.com", false},
		{"oidc_issuer", "http://127.0.0.1.example.com", false},
		{"oidc_issuer", "ftp://localhost/", false},
		{"oidc_issuer", "file:///etc/passwd", false},
		{"oidc_issuer", "id.example.com", false},
		{"oidc_issuer", "https://", false},
		{"oidc_issuer", "https://:443/", false},
		{"oidc_issuer", "https://ann:secret@id.example.com/", false},
		{"oidc_issuer", "https://id.example.com/#x", false},
		{"oidc_issuer", "https://id.example.com/?tenant=1", false},
		{"oidc_issuer", "https://id.example.com/" + strings.Repeat("x", 500), false},
		{"oidc_issuer", "https://id.example.com/\x00", false},
		{"oidc_audience", "", true},
		{"oidc_audience", "api://mail", true},
		{"oidc_audience", "mail web", false},
		{"oidc_audience", "mail\tweb", false},
		{"oidc_audience", strings.Repeat("x", 501), false},
		{"oidc_claim", "preferred_username", true},
		{"oidc_claim", "https://example.com/claims/mail", true},
		{"oidc_claim", "", false},
	} {
		got, err := directory.ParseSetting(c.name, c.text)
		if (err == nil) != c.ok || c.ok && got != c.text {
			t.Errorf("%s %q: %q, %v", c.name, c.text, got, err)
		}
	}
}
