package directory

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// maxToken bounds the settings of tokens in octets.
const maxToken = 500

// issuerSetting is for the URL of an OpenID Connect issuer, which is kept as it is: tokens have to name it
// in the same way, to the last slash.
func issuerSetting(field func(*Settings) *string) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		if text != "" {
			if err := CheckIssuerURL(text); err != nil {
				return "", err
			}
			if strings.Contains(text, "?") { // OpenID Connect Discovery 1.0, section 3
				return "", errors.New("an issuer's URL has no query")
			}
		}
		*field(s) = text
		return text, nil
	}
}

// wordSetting is for a text without spaces and controls.
func wordSetting(empty bool, field func(*Settings) *string) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		switch {
		case text == "" && !empty:
			return "", errors.New("empty")
		case len(text) > maxToken:
			return "", fmt.Errorf("longer than %d octets", maxToken)
		case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }):
			return "", errors.New("more than one word")
		}
		*field(s) = text
		return text, nil
	}
}

// CheckIssuerURL reports why an issuer, or its keys, cannot be at a URL: only HTTPS tells who answers,
// except on the machine itself.
func CheckIssuerURL(text string) error {
	if len(text) > maxToken {
		return fmt.Errorf("longer than %d octets", maxToken)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return errors.New("not a URL of a host, without a user and a fragment")
	case u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("not https://")
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
