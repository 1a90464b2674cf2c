package zone

import (
	"fmt"
	"strings"
)

// Snippet gives records as lines of a zone file (RFC 1035, section 5.1). What belongs to another zone, or cannot be
// known here, is in comments.
func Snippet(records []Record) string {
	var b strings.Builder
	about := ""
	for _, r := range records {
		if r.About != about {
			fmt.Fprintf(&b, "; %s\n", r.About)
			about = r.About
		}
		switch {
		case r.Data == "":
			fmt.Fprintf(&b, "; %s. 3600 IN %s …\n", r.Name, r.Type)
		case r.Role == RoleReverse:
			fmt.Fprintf(&b, "; %s. 3600 IN PTR %s.\n", r.Name, r.Data)
		default:
			fmt.Fprintf(&b, "%s. 3600 IN %s %s\n", r.Name, r.Type, Presentation(r))
		}
	}
	return b.String()
}

// Presentation is the data of a record as a zone file has it: names with their last dot, texts in strings of at most 255
// octets.
func Presentation(r Record) string {
	switch r.Type {
	case "TXT":
		return quoted(r.Data)
	case "MX", "SRV", "PTR", "CNAME":
		return r.Data + "."
	}
	return r.Data
}

// quoted gives a text as strings (RFC 1035, sections 3.3.14 and 5.1).
func quoted(text string) string {
	var words []string
	for len(text) > 255 {
		words = append(words, quote(text[:255]))
		text = text[255:]
	}
	return strings.Join(append(words, quote(text)), " ")
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
