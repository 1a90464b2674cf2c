package wire

import (
	"math"
	"strings"
)

// The bounds of what one command says of annotations.
const (
	maxEntries = 200
	maxEntry   = 255 // octets of a name
)

// DepthInfinity is the DEPTH of an entry with all below it (RFC 5464, section 4.2.2).
const DepthInfinity = math.MaxInt

// GetMetadata are the arguments of GETMETADATA (RFC 5464, section 4.2).
type GetMetadata struct {
	Mailbox string // empty is the server
	Entries []string
	MaxSize *uint64 // octets of the values that are told
	Depth   int     // levels below an entry that are told with it: 0, 1 or DepthInfinity
}

// getMetadata reads options in front of the mailbox, as the grammar of RFC 5464 has them, or behind it, as
// its examples do.
func (r *Reader) getMetadata() *GetMetadata {
	g := &GetMetadata{}
	r.sp()
	options := r.peek() == '('
	if options {
		r.list(func() { r.metadataOption(g) })
		r.sp()
	}
	g.Mailbox = r.mailbox()
	r.sp()
	if !options && r.peek() == '(' {
		r.list(func() {
			if c := r.peek() | 0x20; c >= 'a' && c <= 'z' && len(g.Entries) == 0 {
				options = true
				r.metadataOption(g)
				return
			}
			r.addEntry(&g.Entries)
		})
		if len(g.Entries) > 0 {
			return g
		}
		r.sp()
	}
	g.Entries = r.entries()
	return g
}

func (r *Reader) metadataOption(g *GetMetadata) {
	switch o := r.word(); o {
	case "MAXSIZE":
		r.sp()
		n := r.number63()
		g.MaxSize = &n
	case "DEPTH":
		r.sp()
		switch d := r.word(); d {
		case "0":
			g.Depth = 0
		case "1":
			g.Depth = 1
		case "INFINITY":
			g.Depth = DepthInfinity
		default:
			r.fail("unknown depth %.30s", d)
		}
	default:
		r.fail("unknown option %.30s", o)
	}
}

// Annotation is an entry with its value, which is nil for NIL.
type Annotation struct {
	Entry string
	Value []byte
}

// SetMetadata are the arguments of SETMETADATA (RFC 5464, section 4.3).
type SetMetadata struct {
	Mailbox string // empty is the server
	Entries []Annotation
}

func (r *Reader) setMetadata() *SetMetadata {
	s := &SetMetadata{}
	r.sp()
	s.Mailbox = r.mailbox()
	r.sp()
	r.list(func() {
		a := Annotation{Entry: r.entry()}
		r.sp()
		if value, some := r.binaryValue(); some {
			a.Value = []byte(value)
		}
		if len(s.Entries) >= maxEntries {
			r.fail("more than %d entries", maxEntries)
			return
		}
		s.Entries = append(s.Entries, a)
	})
	if len(s.Entries) == 0 {
		r.fail("no entry")
	}
	return s
}

// binaryValue reads a string, a literal8 or NIL, which is not ok.
func (r *Reader) binaryValue() (string, bool) {
	if r.peek() == '~' {
		return r.smallLiteral(), true
	}
	return r.nstring()
}

// entries reads the name of an entry, or names in parentheses.
func (r *Reader) entries() []string {
	var names []string
	if r.peek() != '(' {
		r.addEntry(&names)
		return names
	}
	r.list(func() { r.addEntry(&names) })
	if len(names) == 0 {
		r.fail("no entry")
	}
	return names
}

func (r *Reader) addEntry(to *[]string) {
	name := r.entry()
	if len(*to) >= maxEntries {
		r.fail("more than %d entries", maxEntries)
		return
	}
	*to = append(*to, name)
}

// entry reads the name of an entry in lower case (RFC 5464, section 3.2).
func (r *Reader) entry() string {
	name := strings.ToLower(r.astring())
	if r.err != nil {
		return ""
	}
	under := strings.TrimPrefix(strings.TrimPrefix(name, "/private"), "/shared")
	if len(under) == len(name) || under != "" && under[0] != '/' {
		r.fail("an entry is under /private or /shared")
		return ""
	}
	if len(name) > maxEntry || strings.Contains(name, "//") || strings.HasSuffix(name, "/") {
		r.fail("not the name of an entry")
		return ""
	}
	for i := range len(name) {
		if c := name[i]; c < 0x20 || c >= 0x7f || c == '*' || c == '%' {
			r.fail("%s in the name of an entry", printable(c))
			return ""
		}
	}
	return name
}

// Entry writes the name of an entry.
func (w *Writer) Entry(name string) {
	w.Bytes(appendAString(nil, name))
}

// Value writes the value of an entry: NIL where it is nil, a literal8 where it holds NUL.
func (w *Writer) Value(b []byte) {
	if strings.IndexByte(string(b), 0) < 0 {
		w.NString(b)
		return
	}
	w.LiteralHead(int64(len(b)), true)
	w.Bytes(b)
}
