package wire

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/cluster/directory/address"
)

// ErrSyntax says that an argument is not of the form its command asks for.
var ErrSyntax = errors.New("syntax error")

// Param is one parameter behind a path (RFC 5321, section 4.1.2), its keyword in capitals.
type Param struct{ Keyword, Value string }

// Path is the argument of MAIL or RCPT.
type Path struct {
	Address string // as address.Address.String writes it where it is one, else as it came; empty is <>
	Valid   bool   // Address is a mailbox of RFC 5321 or empty
	ASCII   bool   // can be written without SMTPUTF8
	Params  []Param
}

// ReadPath reads `FROM:<path> params` or `TO:<path> params`; prefix is "FROM:" or "TO:". Blanks before
// the path are let pass, as are missing brackets, since senders leave them out. A source route is
// dropped (RFC 5321, appendix F.2). The error is ErrSyntax.
//
// Foreign senders use addresses that no RFC knows (a..b@example.com, root@my_host): such a path comes
// with Valid false, as long as it can do no harm in a reply or a header field.
func ReadPath(arg, prefix string) (Path, error) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return Path{}, ErrSyntax
	}
	text, rest, err := cutPath(strings.TrimLeft(arg[len(prefix):], " \t"))
	if err != nil {
		return Path{}, err
	}
	p := Path{Address: text, ASCII: isASCII(text)}
	if p.Params, err = readParams(rest); err != nil {
		return Path{}, err
	}
	if text == "" {
		p.Valid = true
		return p, nil
	}
	if a, err := address.Parse(text); err == nil {
		p.Valid, p.Address, p.ASCII = true, a.String(), a.IsASCII()
		return p, nil
	}
	if text[0] == '@' || strings.ContainsAny(text, " \t<>\"\\") || hasControl(text) || !utf8.ValidString(text) {
		return Path{}, ErrSyntax
	}
	return p, nil
}

// cutPath splits off the path, without brackets and source route.
func cutPath(s string) (path, rest string, err error) {
	if s == "" {
		return "", "", ErrSyntax
	}
	if s[0] != '<' {
		path, rest, _ = strings.Cut(s, " ")
		if path == "" {
			return "", "", ErrSyntax
		}
		return path, rest, nil
	}
	end := closing(s)
	if end < 0 {
		return "", "", ErrSyntax
	}
	path, rest = s[1:end], s[end+1:]
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return "", "", ErrSyntax
	}
	if strings.HasPrefix(path, "@") {
		_, path, err = cutRoute(path)
	}
	return path, rest, err
}

// closing finds the '>' that ends the path at the start of s, outside of quotes.
func closing(s string) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '>' && !quoted:
			return i
		}
	}
	return -1
}

// cutRoute takes "@a,@b:" off the front.
func cutRoute(path string) (route, rest string, err error) {
	route, rest, ok := strings.Cut(path, ":")
	if !ok || rest == "" || strings.Contains(route, "\"") {
		return "", "", ErrSyntax
	}
	return route, rest, nil
}

func readParams(s string) ([]Param, error) {
	var params []Param
	for _, word := range strings.Fields(s) {
		keyword, value, given := strings.Cut(word, "=")
		keyword = strings.ToUpper(keyword)
		if keyword == "" || given && value == "" || hasControl(word) {
			return nil, ErrSyntax
		}
		for _, p := range params {
			if p.Keyword == keyword {
				return nil, ErrSyntax
			}
		}
		params = append(params, Param{keyword, value})
	}
	return params, nil
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func hasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}
