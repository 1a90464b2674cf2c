package bearer_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/bearer"
)

// TestRotation: a new key is found when its first token comes, one that was withdrawn is refused after an
// hour at the latest, and invented keys do not have the issuer asked again and again.
func TestRotation(t *testing.T) {
	d := newDesk(t, bearer.Config{})
	asked := func(want int) {
		t.Helper()
		if got := d.issuer.Asked(); got != want {
			t.Errorf("the issuer was asked %d times, want %d", got, want)
		}
	}
	first := d.token(nil)
	d.want(t, "the first key", first, nil)
	d.want(t, "the first key again", first, nil)
	asked(2) // metadata and keys
	d.issuer.Rotate()
	second := d.token(nil)
	d.want(t, "a new key within the pause", second, bearer.ErrToken)
	asked(2)
	d.pass(10 * time.Second)
	d.want(t, "a new key", second, nil)
	d.want(t, "the old key", first, nil)
	asked(4)
	d.issuer.Withdraw()
	d.want(t, "a withdrawn key that nobody asked for", first, nil)
	d.pass(30 * time.Second)
	for i := range 5 {
		head := fmt.Sprintf(`{"alg":"ES256","kid":"invented %d"}`, i)
		d.want(t, "an invented key", base64.RawURLEncoding.EncodeToString([]byte(head))+second[strings.Index(second, "."):], bearer.ErrToken)
	}
	asked(6)
	d.want(t, "a withdrawn key", first, bearer.ErrToken)
	d.pass(20 * time.Second)
	d.want(t, "the new key on", second, nil)

	d.issuer.Rotate()
	third := d.token(map[string]any{"exp": d.clock().Add(3 * time.Hour).Unix()})
	d.pass(time.Minute)
	d.want(t, "a third key", third, nil)
	d.issuer.Rotate()
	d.issuer.Withdraw()
	d.pass(time.Hour - time.Second)
	d.want(t, "its last second", third, nil)
	d.pass(time.Second)
	d.want(t, "the hour after", third, bearer.ErrToken)
}

// TestIssuerAway: nobody gets in by a token that cannot be checked, and none is called wrong for it.
func TestIssuerAway(t *testing.T) {
	for what, answer := range map[string]http.HandlerFunc{
		"an error":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"no JSON":       func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"null":          func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "null") },
		"another":       func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"issuer":"https://evil.example"}`) },
		"elsewhere":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"too much":      func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat(" ", 1<<20)) },
		"no keys":       keysOf(`{}`),
		"keys of 5":     keysOf(`{"keys":5}`),
		"a broken key":  keysOf(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`),
		"a shared key":  keysOf(`{"keys":[{"kty":"oct","k":"AAAA"}]}`),
		"a key to seal": keysOf(`{"keys":[{"kty":"OKP","crv":"Ed25519","use":"enc","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`),
		"open keys":     metadataOf("http://keys.example/"),
		"no place":      metadataOf(""),
		"a file":        metadataOf("file:///etc/passwd"),
	} {
		t.Run(what, func(t *testing.T) {
			d := newDesk(t, bearer.Config{})
			token := d.token(nil)
			d.issuer.Answer(answer)
			d.want(t, what, token, bearer.ErrIssuer)
			asked := d.issuer.Asked()
			d.want(t, "a moment later", token, bearer.ErrIssuer)
			if got := d.issuer.Asked(); got != asked {
				t.Errorf("it was asked again at once, %d times", got-asked)
			}
			d.issuer.Answer(nil)
			d.pass(10 * time.Second)
			d.want(t, "when it is back", token, nil)
		})
	}
}

// keysOf answers with good metadata and these keys.
func keysOf(keys string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			io.WriteString(w, keys)
			return
		}
		metadataOf("http://"+r.Host+"/keys")(w, r)
	}
}

// metadataOf answers with metadata that lead to a URL.
func metadataOf(url string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"issuer":"http://%s","jwks_uri":%q}`, r.Host, url)
	}
}

// TestIssuerDown: with the keys known, tokens are good for a day without the issuer; unknown keys are not.
func TestIssuerDown(t *testing.T) {
	d := newDesk(t, bearer.Config{})
	d.want(t, "before", d.token(nil), nil)
	d.issuer.Break()
	for range 23 {
		d.pass(time.Hour)
		d.want(t, "while it is down", d.token(nil), nil)
	}
	d.pass(time.Minute)
	old := d.token(nil)
	d.issuer.Rotate()
	d.want(t, "a new key while it is down", d.token(nil), bearer.ErrIssuer)
	d.want(t, "and an old one", old, nil)
	d.pass(time.Hour)
	d.want(t, "a day later", d.token(nil), bearer.ErrIssuer)
	d.issuer.Answer(nil)
	d.pass(time.Minute)
	d.want(t, "when it is back", d.token(nil), nil)
}

// TestIssuerSilent: one that does not answer is given up, and a client that leaves says nothing of it.
func TestIssuerSilent(t *testing.T) {
	asked := make(chan struct{}, 10)
	silent := func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}
	d := newDesk(t, bearer.Config{AskTime: 20 * time.Millisecond})
	token := d.token(nil)
	d.issuer.Answer(silent)
	d.want(t, "a silent issuer", token, bearer.ErrIssuer)

	d = newDesk(t, bearer.Config{})
	token = d.token(nil)
	d.issuer.Answer(silent)
	for len(asked) > 0 {
		<-asked
	}
	ctx, cancel := context.WithCancel(t.Context())
	var second sync.WaitGroup
	second.Go(func() {
		<-asked
		cancel()
	})
	if _, err := d.Name(ctx, d.trust, token); !errors.Is(err, context.Canceled) || errors.Is(err, bearer.ErrIssuer) {
		t.Errorf("a client that left: %v", err)
	}
	second.Wait()
	d.issuer.Answer(nil)
	d.want(t, "the next client", token, nil) // at once: there was no answer that could be remembered
}

// TestCrowd: many clients at once have the issuer asked once.
func TestCrowd(t *testing.T) {
	d := newDesk(t, bearer.Config{})
	token := d.token(nil)
	for range 2 {
		var clients sync.WaitGroup
		for range 20 {
			clients.Go(func() {
				if name, err := d.Name(t.Context(), d.trust, token); err != nil || name != "ann@example.com" {
					t.Errorf("%q, %v", name, err)
				}
			})
		}
		clients.Wait()
		d.pass(30 * time.Minute)
	}
	if got := d.issuer.Asked(); got != 2 {
		t.Errorf("the issuer was asked %d times, want 2", got)
	}
}
