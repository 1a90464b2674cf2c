package wire

import (
	"encoding/base64"
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// errUTF7 says that a name is not in modified UTF-7.
var errUTF7 = errors.New("not valid modified UTF-7")

// utf7Alphabet is that of modified base64 (RFC 3501, section 5.1.3).
const utf7Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,"

func utf7Encoding() *base64.Encoding {
	return base64.NewEncoding(utf7Alphabet).WithPadding(base64.NoPadding).Strict()
}

func isDirect(c byte) bool { return c >= 0x20 && c <= 0x7e }

// DecodeUTF7 gives the UTF-8 of a name in modified UTF-7 (RFC 3501, section 5.1.3). It accepts only
// what EncodeUTF7 writes, so that no mailbox has two names.
func DecodeUTF7(s string) (string, error) {
	plain := true
	for i := range len(s) {
		if !isDirect(s[i]) {
			return "", errUTF7
		}
		if s[i] == '&' {
			plain = false
		}
	}
	if plain {
		return s, nil
	}
	var out []byte
	shifted := false // the octet before ended a base64 run
	for i := 0; i < len(s); {
		if s[i] != '&' {
			out = append(out, s[i])
			i++
			shifted = false
			continue
		}
		end := i + 1
		for end < len(s) && s[end] != '-' {
			end++
		}
		if end == len(s) {
			return "", errUTF7
		}
		if run := s[i+1 : end]; run == "" {
			out = append(out, '&')
			shifted = false
		} else {
			if shifted {
				return "", errUTF7
			}
			var err error
			if out, err = appendRun(out, run); err != nil {
				return "", err
			}
			shifted = true
		}
		i = end + 1
	}
	return string(out), nil
}

// appendRun decodes the base64 between & and -.
func appendRun(out []byte, run string) ([]byte, error) {
	raw, err := utf7Encoding().DecodeString(run)
	if err != nil || len(raw)%2 != 0 {
		return nil, errUTF7
	}
	for i := 0; i < len(raw); i += 2 {
		c := rune(raw[i])<<8 | rune(raw[i+1])
		if utf16.IsSurrogate(c) {
			if i+3 >= len(raw) {
				return nil, errUTF7
			}
			i += 2
			c = utf16.DecodeRune(c, rune(raw[i])<<8|rune(raw[i+1]))
			if c == utf8.RuneError {
				return nil, errUTF7
			}
		}
		if c == 0 || c < 0x80 && isDirect(byte(c)) {
			return nil, errUTF7
		}
		out = utf8.AppendRune(out, c)
	}
	return out, nil
}

// EncodeUTF7 gives a UTF-8 name in modified UTF-7.
func EncodeUTF7(s string) string {
	plain := true
	for i := range len(s) {
		if !isDirect(s[i]) || s[i] == '&' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var out, run []byte
	flush := func() {
		if len(run) > 0 {
			out = append(out, '&')
			out = utf7Encoding().AppendEncode(out, run)
			out = append(out, '-')
			run = run[:0]
		}
	}
	for _, c := range s {
		switch {
		case c == '&':
			flush()
			out = append(out, "&-"...)
		case c < 0x80 && isDirect(byte(c)):
			flush()
			out = append(out, byte(c))
		default:
			for _, u := range utf16.AppendRune(nil, c) {
				run = append(run, byte(u>>8), byte(u))
			}
		}
	}
	flush()
	return string(out)
}
