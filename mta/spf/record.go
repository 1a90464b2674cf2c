package spf

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// errSyntax says that a record breaks the grammar (RFC 7208, section 12).
var errSyntax = errors.New("syntax error")

// mechanism is what a term asks (RFC 7208, section 5).
type mechanism int

const (
	mechAll mechanism = iota
	mechInclude
	mechA
	mechMX
	mechPTR
	mechIP4
	mechIP6
	mechExists
)

// directive is a mechanism with what it means when it fits.
type directive struct {
	text   string // as it stands, its beginning where it is long
	result Result
	kind   mechanism
	domain macros       // nil: the domain of the record
	net    netip.Prefix // of ip4 and ip6
	bits4  int          // of a and mx
	bits6  int
}

// record is a policy (RFC 7208, section 4.6).
type record struct {
	directives []directive
	redirect   macros
	exp        macros
}

// maxTerm is how much of a term is told, in octets.
const maxTerm = 200

const version = "v=spf1"

// isRecord reports whether a text is a policy of this version, well formed or not (RFC 7208, section 4.5).
func isRecord(text string) bool {
	return len(text) >= len(version) && strings.EqualFold(text[:len(version)], version) && (len(text) == len(version) || text[len(version)] == ' ')
}

// parse reads a policy, all of it: an error anywhere in it counts (RFC 7208, section 4.6). Errors are errSyntax.
func parse(text string) (*record, error) {
	if !isRecord(text) {
		return nil, fmt.Errorf("%w: no %s", errSyntax, version)
	}
	r := &record{directives: make([]directive, 0, min(strings.Count(text, " "), 32))}
	for term := range strings.SplitSeq(text[len(version):], " ") { // nothing but spaces separates
		if term == "" {
			continue
		}
		var err error
		if name, value, ok := cutModifier(term); ok {
			err = r.modifier(name, value)
		} else {
			var d directive
			if d, err = parseDirective(term); err == nil {
				r.directives = append(r.directives, d)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%w in %.80q: %w", errSyntax, term, err)
		}
	}
	return r, nil
}

// Valid says what is wrong with the text of a policy, nil where it is well formed. Whether what it names is there, and how much is
// asked for, is not looked at.
func Valid(text string) error {
	_, err := parse(text)
	return err
}

// cutModifier tells a modifier by "=" behind its name (RFC 7208, section 4.6.1).
func cutModifier(term string) (name, value string, ok bool) {
	i := 0
	for i < len(term) && (isAlpha(term[i]) || i > 0 && (isDigit(term[i]) || strings.IndexByte("-_.", term[i]) >= 0)) {
		i++
	}
	if i == 0 || i == len(term) || term[i] != '=' {
		return "", "", false
	}
	return term[:i], term[i+1:], true
}

// modifier adds a modifier. One that is not known must be a macro-string and says nothing (RFC 7208, section 6).
func (r *record) modifier(name, value string) error {
	var to *macros
	switch strings.ToLower(name) {
	case "redirect":
		to = &r.redirect
	case "exp":
		to = &r.exp
	default:
		_, err := parseMacros(value, false)
		return err
	}
	if *to != nil {
		return errors.New("it is there twice")
	}
	spec, err := parseDomainSpec(value)
	*to = spec
	return err
}

func parseDirective(term string) (directive, error) {
	d := directive{text: term[:min(len(term), maxTerm)], result: Pass, bits4: 32, bits6: 128}
	switch term[0] {
	case '-':
		d.result = Fail
	case '~':
		d.result = SoftFail
	case '?':
		d.result = Neutral
	}
	if strings.IndexByte("+-~?", term[0]) >= 0 {
		term = term[1:]
	}
	end := 0
	for end < len(term) && (isAlpha(term[end]) || isDigit(term[end])) {
		end++
	}
	var known bool
	if d.kind, known = kinds(strings.ToLower(term[:end])); !known {
		return d, errors.New("there is no such mechanism")
	}
	return d, d.argument(term[end:])
}

// kinds are the mechanisms by name.
func kinds(name string) (mechanism, bool) {
	for i, n := range [...]string{mechAll: "all", mechInclude: "include", mechA: "a", mechMX: "mx", mechPTR: "ptr", mechIP4: "ip4", mechIP6: "ip6", mechExists: "exists"} {
		if n == name {
			return mechanism(i), true
		}
	}
	return 0, false
}

// argument reads what follows the name of the mechanism.
func (d *directive) argument(rest string) (err error) {
	switch d.kind {
	case mechAll:
		if rest != "" {
			return errors.New("nothing may follow all")
		}
		return nil
	case mechIP4, mechIP6:
		return d.setNetwork(rest)
	case mechA, mechMX:
		if rest, err = d.cutLengths(rest); err != nil {
			return err
		}
	}
	return d.setDomain(rest, d.kind == mechInclude || d.kind == mechExists)
}

// setDomain reads ":" domain-spec.
func (d *directive) setDomain(rest string, needed bool) (err error) {
	if rest == "" && !needed {
		return nil
	}
	spec, ok := strings.CutPrefix(rest, ":")
	if !ok {
		return errors.New("it has no domain")
	}
	d.domain, err = parseDomainSpec(spec)
	return err
}

// cutLengths takes the dual-cidr-length from the end: ["/" ip4] ["//" ip6].
func (d *directive) cutLengths(rest string) (string, error) {
	head, digits := cutDigits(rest)
	if h, ok := strings.CutSuffix(head, "//"); ok && digits != "" {
		n, err := length(digits, 128)
		if err != nil {
			return "", err
		}
		d.bits6 = n
		rest = h
		head, digits = cutDigits(rest)
	}
	if h, ok := strings.CutSuffix(head, "/"); ok && digits != "" {
		n, err := length(digits, 32)
		if err != nil {
			return "", err
		}
		d.bits4 = n
		rest = h
	}
	return rest, nil
}

func cutDigits(s string) (head, digits string) {
	i := len(s)
	for i > 0 && isDigit(s[i-1]) {
		i--
	}
	return s[:i], s[i:]
}

// length reads the length of a prefix: no zeros in front.
func length(digits string, most int) (int, error) {
	n, err := strconv.Atoi(digits)
	if err != nil || n > most || digits[0] == '0' && digits != "0" || digits[0] == '+' {
		return 0, fmt.Errorf("/%.10s is no length of a prefix", digits)
	}
	return n, nil
}

// setNetwork reads ":" network ["/" length]. A length for IPv6 has one slash here.
func (d *directive) setNetwork(rest string) error {
	text, ok := strings.CutPrefix(rest, ":")
	if !ok {
		return errors.New("it has no address")
	}
	text, digits, cut := strings.Cut(text, "/")
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" || ip.Is4() != (d.kind == mechIP4) {
		return fmt.Errorf("%.60q is no address of the kind", text)
	}
	bits := ip.BitLen()
	if cut {
		if digits == "" {
			return errors.New("the length of the prefix is empty")
		}
		if bits, err = length(digits, ip.BitLen()); err != nil {
			return err
		}
	}
	d.net = netip.PrefixFrom(ip, bits)
	return nil
}

func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
