// Package dnsbl holds what lists of addresses in DNS mean (RFC 5782): under which name an address is asked for, what the
// codes of an answer are worth, and which answers are none. Asking is for the caller. Lists of domains are not known.
package dnsbl

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const (
	// MaxCodes is how many codes a list may tell apart.
	MaxCodes = 64
	// MaxScore is the largest score of a code, and its negative the smallest.
	MaxScore = 100
)

// ErrInvalid says that a text is no list of codes.
var ErrInvalid = errors.New("not scores of a list")

// List is one list: a score above zero is against an address, one below speaks for it.
type List struct {
	Zone  string // in lower case, without the last dot
	Codes []Code
}

// Code says what addresses in an answer are worth. Of the networks that an address is in the narrowest counts; each bit
// mask that fits counts beside.
type Code struct {
	Network netip.Prefix
	Mask    uint32 // of the last three octets; 0: Network counts
	Score   float64
}

// Answer is what a list said of an address.
type Answer struct {
	Zone    string
	Codes   []netip.Addr // that it gave, sorted
	Score   float64      // of the code that weighs most
	Listed  bool         // some code has a score
	Refused bool         // the list does not answer us: too many questions, or by way of a public resolver
	Broken  bool         // what it gave is outside of 127.0.0.0/8: the zone is no list, or no more
}

var (
	loopback = netip.MustParsePrefix("127.0.0.0/8")
	refusals = netip.MustParsePrefix("127.255.255.0/24") // as most lists say it
)

// Name is the name that an address is asked for under a zone (RFC 5782, section 2.1 and 2.4).
func Name(addr netip.Addr, zone string) string {
	addr = addr.Unmap()
	var b strings.Builder
	octets := addr.AsSlice()
	for _, o := range slices.Backward(octets) {
		if addr.Is4() {
			b.WriteString(strconv.Itoa(int(o)) + ".")
		} else {
			fmt.Fprintf(&b, "%x.%x.", o&15, o>>4)
		}
	}
	return b.String() + zone
}

// Judge says what the addresses of an answer mean.
func (l List) Judge(codes []netip.Addr) Answer {
	a := Answer{Zone: l.Zone}
	for _, code := range codes {
		switch code = code.Unmap(); {
		case !loopback.Contains(code):
			a.Broken = true
		case refusals.Contains(code):
			a.Refused = true
		default:
			a.Codes = append(a.Codes, code)
		}
	}
	if a.Refused || a.Broken {
		a.Codes = nil // a list that does not answer does not answer in part
		return a
	}
	slices.SortFunc(a.Codes, netip.Addr.Compare)
	for _, code := range a.Codes {
		score, listed := l.score(code)
		if a.Listed = a.Listed || listed; math.Abs(score) > math.Abs(a.Score) {
			a.Score = score
		}
	}
	return a
}

// score is what one code is worth.
func (l List) score(code netip.Addr) (score float64, listed bool) {
	bits := -1
	narrow := 0.0
	value := code.As4()
	low := uint32(value[1])<<16 | uint32(value[2])<<8 | uint32(value[3])
	for _, c := range l.Codes {
		switch {
		case c.Mask != 0 && low&c.Mask != 0:
			score, listed = score+c.Score, true
		case c.Mask == 0 && c.Network.Contains(code) && c.Network.Bits() > bits:
			bits, narrow = c.Network.Bits(), c.Score
		}
	}
	return score + narrow, listed || bits >= 0
}

// ParseCodes reads codes apart by spaces: 127.0.0.2=3 for an answer, 127.0.0.0/24=1 for a network of them, &4=2 for those
// with that bit set. The error is ErrInvalid.
func ParseCodes(text string) ([]Code, error) {
	words := strings.Fields(text)
	if len(words) == 0 || len(words) > MaxCodes {
		return nil, fmt.Errorf("%d codes, 1 to %d are allowed: %w", len(words), MaxCodes, ErrInvalid)
	}
	var codes []Code
	for _, word := range words {
		c, err := parseCode(word)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(codes, func(other Code) bool { return other.Network == c.Network && other.Mask == c.Mask }) {
			return nil, fmt.Errorf("%q is there twice: %w", word, ErrInvalid)
		}
		codes = append(codes, c)
	}
	return codes, nil
}

func parseCode(word string) (c Code, err error) {
	match, score, found := strings.Cut(word, "=")
	if !found {
		return Code{}, fmt.Errorf("%q has no score: %w", word, ErrInvalid)
	}
	if c.Score, err = strconv.ParseFloat(score, 64); err != nil || math.IsNaN(c.Score) || math.Abs(c.Score) > MaxScore {
		return Code{}, fmt.Errorf("score %q, -%d to %d are allowed: %w", score, MaxScore, MaxScore, ErrInvalid)
	}
	if bits, ok := strings.CutPrefix(match, "&"); ok {
		mask, err := strconv.ParseUint(bits, 10, 24)
		if err != nil || mask == 0 {
			return Code{}, fmt.Errorf("bits %q: %w", bits, ErrInvalid)
		}
		c.Mask = uint32(mask)
		return c, nil
	}
	if c.Network, err = netip.ParsePrefix(match); err != nil {
		addr, err := netip.ParseAddr(match)
		if err != nil {
			return Code{}, fmt.Errorf("%q is no address: %w", match, ErrInvalid)
		}
		c.Network = netip.PrefixFrom(addr, addr.BitLen())
	}
	c.Network = c.Network.Masked()
	if !c.Network.Addr().Is4() || !loopback.Contains(c.Network.Addr()) || c.Network.Bits() < 8 || refusals.Contains(c.Network.Addr()) {
		return Code{}, fmt.Errorf("%s is not what a list answers with, that is within %v but not %v: %w", match, loopback, refusals, ErrInvalid)
	}
	return c, nil
}

// String gives codes as ParseCodes reads them.
func (c Code) String() string {
	score := strconv.FormatFloat(c.Score, 'f', -1, 64)
	switch {
	case c.Mask != 0:
		return fmt.Sprintf("&%d=%s", c.Mask, score)
	case c.Network.IsSingleIP():
		return c.Network.Addr().String() + "=" + score
	}
	return c.Network.String() + "=" + score
}

// FormatCodes is the inverse of ParseCodes.
func FormatCodes(codes []Code) string {
	words := make([]string, len(codes))
	for i, c := range codes {
		words[i] = c.String()
	}
	return strings.Join(words, " ")
}
