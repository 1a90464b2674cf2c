package login

import (
	"errors"
	"strings"
	"testing"
)

func TestBearerMessage(t *testing.T) {
	for _, c := range []struct {
		said string
		want bearerMessage
		ok   bool
	}{
		{"n,a=a=2Cb=3Dc,^auth=Bearer x^^", bearerMessage{"a,b=c", "x"}, true},
		{"n,a=jörg@example.com,^auth=Bearer x^^", bearerMessage{"jörg@example.com", "x"}, true},
		{"n,,^auth=Bearer x^other=1^^", bearerMessage{"", "x"}, true},
		{"n,,^^", bearerMessage{}, true},
		{"n,,^auth=Bearer x^", bearerMessage{}, false},
		{"n,,^auth=Bearer x", bearerMessage{}, false},
		{"n,,^auth=Bearer x^^^", bearerMessage{}, false},
		{"n,,^auth=Bearer x^auth=Bearer y^^", bearerMessage{}, false},
		{"n,,^auth=Bearer \x00^^", bearerMessage{}, false},
		{"n,,^=Bearer x^^", bearerMessage{}, false},
		{"n,,^a1=Bearer x^^", bearerMessage{}, false},
		{"n,,^auth^^", bearerMessage{}, false},
		{"p=tls-exporter,,^auth=Bearer x^^", bearerMessage{}, false},
		{"F,n,,^auth=Bearer x^^", bearerMessage{}, false},
		{"n,ann,^auth=Bearer x^^", bearerMessage{}, false},
		{"n,a=,^auth=Bearer x^^", bearerMessage{}, false},
		{"n,a=x=2F,^auth=Bearer x^^", bearerMessage{}, false},
		{"n,a=x=,^auth=Bearer x^^", bearerMessage{}, false},
		{"n,^auth=Bearer x^^", bearerMessage{}, false},
		{"", bearerMessage{}, false},
	} {
		m, err := readOAuthBearer([]byte(strings.ReplaceAll(c.said, "^", soh)))
		if m != c.want || (err == nil) != c.ok || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %+v, %v", c.said, m, err)
		}
	}
}

// FuzzBearerMessage reads anything as both messages. What is taken has a token that cannot end a part, and
// is refused only as malformed.
func FuzzBearerMessage(f *testing.F) {
	f.Add([]byte("n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"))
	f.Add([]byte("user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01"))
	f.Add([]byte("y,a==2C=3D,\x01\x01"))
	f.Add([]byte("\x01"))
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, read := range []func([]byte) (bearerMessage, error){readOAuthBearer, readXOAuth2} {
			m, err := read(message)
			if err != nil && (!errors.Is(err, ErrMalformed) || m != (bearerMessage{})) {
				t.Errorf("%q is %+v, %v", message, m, err)
			}
			if strings.ContainsAny(m.token, "\x00\x01") || strings.Trim(m.token, " ") != m.token {
				t.Errorf("%q has the token %q", message, m.token)
			}
		}
	})
}
