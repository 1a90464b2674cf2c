package wire

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/mta"
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

// Known says which parameters of MAIL and RCPT are known beside those that always are.
type Known struct {
	Auth bool // AUTH= (RFC 4954, section 5); its value is not used, since nothing trusts it
	DSN  bool // RET=, ENVID=, NOTIFY=, ORCPT= (RFC 3461)
}

// ReadMail reads the argument of MAIL. Its errors are replies, for the client as they are.
func ReadMail(arg string, known Known) (mta.Envelope, Path, error) {
	p, err := ReadPath(arg, "FROM:")
	if err != nil {
		return mta.Envelope{}, p, mta.Replyf(501, mta.BadSyntax, "Syntax: MAIL FROM:<address> [parameters]")
	}
	e := mta.Envelope{From: p.Address}
	for _, q := range p.Params {
		switch {
		case q.Keyword == "SIZE":
			n, err := strconv.ParseInt(q.Value, 10, 64)
			if err != nil || n < 0 {
				return e, p, mta.Replyf(501, mta.BadArgument, "SIZE is not a number of octets")
			}
			e.Size = n
		case q.Keyword == "BODY":
			e.Body = mta.Body(strings.ToUpper(q.Value))
			if e.Body != mta.Body7Bit && e.Body != mta.Body8Bit {
				return e, p, mta.Replyf(501, mta.BadArgument, "BODY is 7BIT or 8BITMIME here")
			}
		case q.Keyword == "SMTPUTF8" && q.Value == "":
			e.UTF8 = true
		case q.Keyword == "AUTH" && known.Auth:
		case q.Keyword == "RET" && known.DSN:
			if e.Return = readReturn(q.Value); e.Return == mta.ReturnUnsaid {
				return e, p, mta.Replyf(501, mta.BadArgument, "RET is FULL or HDRS")
			}
		case q.Keyword == "ENVID" && known.DSN:
			if !mta.CheckXtext(q.Value) || len(q.Value) > maxEnvID {
				return e, p, mta.Replyf(501, mta.BadArgument, "ENVID is not xtext of at most %d characters", maxEnvID)
			}
			e.EnvID = q.Value
		default:
			return e, p, mta.Replyf(555, mta.BadArgument, "Parameter not known here: %s", q.Keyword)
		}
	}
	if !p.ASCII && !e.UTF8 {
		return e, p, mta.Replyf(553, mta.NeedsUTF8, "This address needs SMTPUTF8")
	}
	return e, p, nil
}

// What RFC 3461 allows of ENVID (section 4.4) and ORCPT (section 4.2), in characters.
const (
	maxEnvID = 100
	maxORCPT = 500
)

func readReturn(s string) mta.Return {
	switch strings.ToUpper(s) {
	case "FULL":
		return mta.ReturnFull
	case "HDRS":
		return mta.ReturnHeaders
	}
	return mta.ReturnUnsaid
}

// ReadRcpt reads the argument of RCPT. Its errors are replies.
func ReadRcpt(arg string, smtputf8 bool, known Known) (mta.Recipient, error) {
	p, err := ReadPath(arg, "TO:")
	r := mta.Recipient{Address: p.Address}
	switch {
	case err != nil:
		return r, mta.Replyf(501, mta.BadSyntax, "Syntax: RCPT TO:<address>")
	case strings.EqualFold(p.Address, "postmaster") && len(p.Params) == 0:
		return r, nil // RFC 5321, section 4.5.1
	case p.Address == "" || !p.Valid:
		return r, mta.Replyf(501, mta.BadRecipient, "This is not an address")
	}
	for _, q := range p.Params {
		if err := readRcptParam(&r, q, known); err != nil {
			return r, err
		}
	}
	if !p.ASCII && !smtputf8 {
		return r, mta.Replyf(553, mta.NeedsUTF8, "This address needs SMTPUTF8")
	}
	return r, nil
}

func readRcptParam(r *mta.Recipient, q Param, known Known) error {
	switch {
	case q.Keyword == "NOTIFY" && known.DSN:
		n, ok := mta.ParseNotify(q.Value)
		if !ok {
			return mta.Replyf(501, mta.BadArgument, "NOTIFY is NEVER, or some of SUCCESS,FAILURE,DELAY")
		}
		r.Notify = n
	case q.Keyword == "ORCPT" && known.DSN:
		kind, text, ok := strings.Cut(q.Value, ";")
		if !ok || kind == "" || !mta.CheckXtext(text) || len(q.Value) > maxORCPT {
			return mta.Replyf(501, mta.BadArgument, "ORCPT is a type, a semicolon and xtext")
		}
		r.ORCPT = q.Value
	default:
		return mta.Replyf(555, mta.BadArgument, "Parameter not known here: %s", q.Keyword)
	}
	return nil
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
