package login

import (
	"fmt"
	"strings"
)

// bearerMessage is what a client says in OAUTHBEARER or XOAUTH2.
type bearerMessage struct {
	user  string // as whom it wants to act, or empty
	token string // empty: it has none
}

// soh ends the parts of a message (RFC 7628, section 3.1: kvsep).
const soh = "\x01"

// readOAuthBearer reads the message of RFC 7628, section 3.1: a GS2 header (RFC 5801, section 4), then keys with
// values. There is no mechanism with channel binding, so that a client that could bind ("y") is no sign of
// anything.
func readOAuthBearer(message []byte) (bearerMessage, error) {
	header, rest, ok := strings.Cut(string(message), soh)
	parts := strings.Split(header, ",")
	if !ok || len(parts) != 3 || parts[0] != "n" && parts[0] != "y" || parts[2] != "" {
		return bearerMessage{}, fmt.Errorf("a GS2 header that is none: %w", ErrMalformed)
	}
	var m bearerMessage
	if parts[1] != "" {
		name, ok := strings.CutPrefix(parts[1], "a=")
		if m.user = unescape(name); !ok || m.user == "" {
			return bearerMessage{}, fmt.Errorf("a GS2 header without a name: %w", ErrMalformed)
		}
	}
	pairs, err := readPairs(rest)
	if err != nil {
		return bearerMessage{}, err
	}
	m.token = tokenOf(pairs["auth"])
	return m, nil
}

// readXOAuth2 reads the message of XOAUTH2: user and auth, as pairs of the same kind.
func readXOAuth2(message []byte) (bearerMessage, error) {
	pairs, err := readPairs(string(message))
	if err != nil {
		return bearerMessage{}, err
	}
	if pairs["user"] == "" {
		return bearerMessage{}, fmt.Errorf("XOAUTH2 without a user: %w", ErrMalformed)
	}
	return bearerMessage{user: pairs["user"], token: tokenOf(pairs["auth"])}, nil
}

// readPairs reads pairs of key and value, each with its end, and the end of all. A key that comes twice is
// refused: who reads the first and who the last would see two tokens.
func readPairs(s string) (map[string]string, error) {
	pairs := map[string]string{}
	for {
		pair, rest, ok := strings.Cut(s, soh)
		if !ok {
			return nil, fmt.Errorf("a message without an end: %w", ErrMalformed)
		}
		if pair == "" {
			if rest != "" {
				return nil, fmt.Errorf("a message that goes on after its end: %w", ErrMalformed)
			}
			return pairs, nil
		}
		key, value, ok := strings.Cut(pair, "=")
		if _, twice := pairs[key]; !ok || twice || key == "" || strings.ContainsFunc(key, notAlpha) || strings.ContainsFunc(value, notText) {
			return nil, fmt.Errorf("a key without a value, or twice: %w", ErrMalformed)
		}
		pairs[key], s = value, rest
	}
}

func notAlpha(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') }

// notText is of the octets that a value may not have (RFC 7628, section 3.1); user names may be UTF-8.
func notText(r rune) bool {
	return r < ' ' && r != '\t' && r != '\r' && r != '\n' || r == 0x7f || r == '\uFFFD'
}

// tokenOf is the token of a value of auth, which is as in HTTP's Authorization (RFC 6750, section 2.1): empty
// where it is of another scheme.
func tokenOf(auth string) string {
	scheme, token, _ := strings.Cut(auth, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.Trim(token, " ")
}

// unescape decodes a saslname (RFC 5801, section 4); one that is none is empty.
func unescape(name string) string {
	var out strings.Builder
	for {
		plain, rest, escaped := strings.Cut(name, "=")
		out.WriteString(plain)
		switch {
		case !escaped:
			return out.String()
		case strings.HasPrefix(rest, "2C"):
			out.WriteByte(',')
		case strings.HasPrefix(rest, "3D"):
			out.WriteByte('=')
		default:
			return ""
		}
		name = rest[2:]
	}
}
