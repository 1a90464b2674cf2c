package message

import (
	"bytes"
	"sort"
	"strconv"
	"strings"

	"github.com/rookery-mail/rookery/index/indexpb"
)

// ParamValue gives the value of a parameter by its name in lower case: joined from the pieces and
// decoded to UTF-8 where it was written as RFC 2231 says, and with encoded words decoded where the
// sender put them there in spite of RFC 2047. It prefers the RFC 2231 form where both are there.
func ParamValue(params []*indexpb.Param, name string) (string, bool) {
	if v, ok := extendedValue(params, name); ok {
		return v, true
	}
	for _, p := range params {
		if string(p.Name) == name {
			return DecodeHeader(p.Value), true
		}
	}
	return "", false
}

// piece is one of name*0, name*1*, …
type piece struct {
	number  int
	encoded bool
	value   []byte
}

// extendedValue reads name* or name*0, name*1* and so on (RFC 2231, sections 3 and 4).
func extendedValue(params []*indexpb.Param, name string) (string, bool) {
	var pieces []piece
	for _, p := range params {
		rest, ok := strings.CutPrefix(string(p.Name), name+"*")
		if !ok {
			continue
		}
		rest, encoded := strings.CutSuffix(rest, "*")
		if rest == "" {
			pieces = append(pieces[:0], piece{0, true, p.Value}) // name*: all of it
			break
		}
		if n, err := strconv.ParseUint(rest, 10, 16); err == nil {
			pieces = append(pieces, piece{int(n), encoded, p.Value})
		}
	}
	sort.SliceStable(pieces, func(i, j int) bool { return pieces[i].number < pieces[j].number })
	if len(pieces) == 0 || pieces[0].number != 0 {
		return "", false
	}
	return joinPieces(pieces), true
}

// joinPieces decodes pieces in order, up to the first that is missing. The first one names the charset.
func joinPieces(pieces []piece) string {
	charset := ""
	if first := &pieces[0]; first.encoded {
		if parts := bytes.SplitN(first.value, []byte("'"), 3); len(parts) == 3 {
			charset, first.value = string(parts[0]), parts[2]
		}
	}
	var raw []byte
	next := 0
	for _, p := range pieces {
		if p.number < next {
			continue // doubled
		}
		if p.number > next {
			break
		}
		next++
		if p.encoded {
			raw = appendPercent(raw, p.value)
		} else {
			raw = append(raw, p.value...)
		}
	}
	return decodeBytes(charset, raw)
}

// appendPercent appends b with "%41" resolved.
func appendPercent(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			if hi, lo := unhex(b[i+1]), unhex(b[i+2]); hi < 16 && lo < 16 {
				dst = append(dst, hi<<4|lo)
				i += 2
				continue
			}
		}
		dst = append(dst, b[i])
	}
	return dst
}

// unhex gives the value of a hexadecimal digit, or 255.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
