package login_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/bearer"
	"github.com/rookery-mail/rookery/cluster/directory/login"
)

// desk knows tokens by heart: what is not in it is no token.
type desk map[string]any // a name, or an error

func (d desk) Name(ctx context.Context, trust bearer.Trust, token string) (string, error) {
	if want := (bearer.Trust{Issuer: "https://id.example.com/", Audience: "mail", Claim: "upn"}); trust != want {
		return "", errors.New("asked for another issuer")
	}
	switch answer := d[token].(type) {
	case string:
		return answer, nil
	case error:
		return "", answer
	}
	if token == "wait" {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return "", bearer.ErrToken
}

func newBearerHouse(t *testing.T, config login.Config) *house {
	t.Helper()
	config.Tokens = desk{"ann's": "ann@example.com", "Ann's": "ANN@Example.com", "short": "ann", "bob's": "bob@example.com",
		"carol's": "carol@example.com", "nobody's": "nobody@example.com", "old": bearer.ErrExpired, "away": bearer.ErrIssuer}
	h := newHouse(t, config)
	h.directory.AddAccount(t, "carol@example.com", "") // who has no password
	for name, value := range map[string]string{"oidc_issuer": "https://id.example.com/", "oidc_audience": "mail", "oidc_claim": "upn"} {
		h.directory.Must(t)(directory.SetSetting(name, value))
	}
	return h
}

const (
	oauthRefusal   = `{"status":"invalid_token","openid-configuration":"https://id.example.com/.well-known/openid-configuration"}`
	xoauth2Refusal = `{"status":"401","schemes":"bearer"}`
)

func TestBearer(t *testing.T) {
	h := newBearerHouse(t, login.Config{})
	yes := true
	h.directory.Must(t)(directory.UpdateAccount(h.bob, directory.AccountChange{Disabled: &yes}))
	b := func(s string) []byte { return []byte(strings.ReplaceAll(s, "^", "\x01")) }
	refused := []string{oauthRefusal}
	for _, c := range []struct {
		mechanism, said string
		heard           []string
		who             string
		want            error
	}{
		{"OAUTHBEARER", "n,a=ann@example.com,^host=mx.example.com^port=143^auth=Bearer ann's^^", nil, "ann", nil},
		{"oauthbearer", "n,,^auth=bearer  Ann's^^", nil, "ann", nil},
		{"OAUTHBEARER", "y,a=ANN@example.com,^auth=BEARER short^^", nil, "ann", nil},
		{"OAUTHBEARER", "n,a=carol@example.com,^auth=Bearer carol's^^", nil, "carol", nil},
		{"OAUTHBEARER", "n,a=bob@example.com,^auth=Bearer ann's^^", refused, "", login.ErrAuthorization},
		{"OAUTHBEARER", "n,,^auth=Bearer nobody's^^", refused, "", login.ErrBadCredentials},
		{"OAUTHBEARER", "n,,^auth=Bearer forged^^", refused, "", login.ErrBadCredentials},
		{"OAUTHBEARER", "n,,^auth=Bearer old^^", refused, "", login.ErrBadCredentials},
		{"OAUTHBEARER", "n,,^auth=Bearer away^^", nil, "", login.ErrIssuer},
		{"OAUTHBEARER", "n,,^auth=Bearer bob's^^", nil, "", login.ErrDisabled},
		{"OAUTHBEARER", "n,,^auth=Basic ann's^^", refused, "", login.ErrBadCredentials},
		{"OAUTHBEARER", "n,,^auth=^^", refused, "", login.ErrBadCredentials},
		{"OAUTHBEARER", "n,a=ann@example.com,^host=mx.example.com^^", refused, "", login.ErrBadCredentials}, // RFC 7628, section 4.3
		{"OAUTHBEARER", "^", nil, "", login.ErrMalformed},
		{"OAUTHBEARER", "\x00ann\x00secret", nil, "", login.ErrMalformed},
		{"XOAUTH2", "user=ann@example.com^auth=Bearer ann's^^", nil, "ann", nil},
		{"XOAUTH2", "user=ann^auth=Bearer short^^", nil, "ann", nil},
		{"XOAUTH2", "user=bob@example.com^auth=Bearer ann's^^", []string{xoauth2Refusal}, "", login.ErrAuthorization},
		{"XOAUTH2", "user=ann@example.com^auth=Bearer forged^^", []string{xoauth2Refusal}, "", login.ErrBadCredentials},
		{"XOAUTH2", "user=ann@example.com^auth=Bearer away^^", nil, "", login.ErrIssuer},
		{"XOAUTH2", "auth=Bearer ann's^^", nil, "", login.ErrMalformed},
	} {
		for _, prompted := range []bool{false, true} {
			said, heard := [][]byte{b(c.said)}, c.heard
			if prompted {
				said, heard = [][]byte{nil, b(c.said)}, append([]string{""}, heard...)
			}
			if c.heard != nil {
				said = append(said, b("^")) // the client has seen why
			}
			got, id, err := talk(t, h, c.mechanism, secure(), said...)
			if !errors.Is(err, c.want) || !slices.Equal(got, heard) || strings.TrimSuffix(id.Address, "@example.com") != c.who {
				t.Errorf("%s %q: heard %q, %v, %v; want %q, %q, %v", c.mechanism, c.said, got, id, err, heard, c.who, c.want)
			}
		}
	}
}

// TestBearerIsOffered: both mechanisms, where an issuer is set and the line is private.
func TestBearerIsOffered(t *testing.T) {
	h := newBearerHouse(t, login.Config{PlainOnLoopback: true})
	open := login.Conn{Remote: here()}
	want := []string{"SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN"}
	for _, conn := range []login.Conn{secure(), {Remote: netip.MustParseAddr("::1")}} {
		if got := h.MechanismsFor(conn); !slices.Equal(got, want) {
			t.Errorf("offered %q, want %q", got, want)
		}
	}
	if got := h.MechanismsFor(open); !slices.Equal(got, []string{"SCRAM-SHA-256"}) {
		t.Errorf("without TLS: %q", got)
	}
	if _, err := h.Server("OAUTHBEARER", open); !errors.Is(err, login.ErrEncryption) {
		t.Errorf("without TLS: %v", err)
	}
	for _, name := range []string{"oidc_issuer", "oidc_audience"} {
		was, _, err := h.directory.View().Setting(name)
		if err != nil {
			t.Fatal(err)
		}
		h.directory.Must(t)(directory.SetSetting(name, ""))
		if got := h.MechanismsFor(secure()); !slices.Equal(got, []string{"SCRAM-SHA-256", "PLAIN", "LOGIN"}) {
			t.Errorf("without %s: %q", name, got)
		}
		for _, mechanism := range []string{"OAUTHBEARER", "XOAUTH2"} {
			if _, err := h.Server(mechanism, secure()); !errors.Is(err, login.ErrMechanism) {
				t.Errorf("%s without %s: %v", mechanism, name, err)
			}
		}
		h.directory.Must(t)(directory.SetSetting(name, was))
	}
}

// TestBearerIsSlowedDown: tokens that are none count against the network; expired ones, and the absence of
// the issuer, do not.
func TestBearerIsSlowedDown(t *testing.T) {
	banned := false
	h := newBearerHouse(t, login.Config{AddressBurst: 3, Guard: &watchman{banned: func(netip.Addr) bool { return banned }}})
	try := func(token string) error {
		x, err := h.Server("OAUTHBEARER", secure())
		if err != nil {
			t.Fatal(err)
		}
		challenge, _, err := x.Next([]byte("n,,\x01auth=Bearer " + token + "\x01\x01"))
		if challenge != nil {
			_, _, err = x.Next([]byte("\x01"))
		}
		return err
	}
	for range 10 {
		if err := try("old"); !errors.Is(err, login.ErrBadCredentials) {
			t.Errorf("an expired token: %v", err)
		}
		if err := try("away"); !errors.Is(err, login.ErrIssuer) {
			t.Errorf("without the issuer: %v", err)
		}
	}
	for range 3 {
		if err := try("forged"); !errors.Is(err, login.ErrBadCredentials) {
			t.Errorf("a forged token: %v", err)
		}
	}
	if err := try("ann's"); !errors.Is(err, login.ErrThrottled) {
		t.Errorf("after too many: %v", err)
	}
	h.now = h.now.Add(2e9)
	if err := try("ann's"); err != nil {
		t.Errorf("two seconds later: %v", err)
	}
	banned = true
	if err := try("ann's"); !errors.Is(err, login.ErrThrottled) {
		t.Errorf("from a banned address: %v", err)
	}
}

// TestBearerWaits: who waits for the issuer is let go when the door closes.
func TestBearerWaits(t *testing.T) {
	h := newBearerHouse(t, login.Config{})
	done := make(chan struct{})
	close(done)
	conn := secure()
	conn.Done = done
	_, _, err := talk(t, h, "OAUTHBEARER", conn, []byte("n,,\x01auth=Bearer wait\x01\x01"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ends with %v", err)
	}
}
