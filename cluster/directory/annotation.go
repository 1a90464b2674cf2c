package directory

import (
	"strings"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// The limits of the server's annotations. Replicas must agree on them: one changes only with a new kind.
const (
	maxAnnotations = 32
	maxAnnotation  = 16 << 10 // octets of a value
)

// Annotation is a metadata entry of the server that all accounts see (RFC 5464, section 3.2).
type Annotation struct {
	Entry string // in lower case, under /shared/
	Value []byte // nil is no such entry
}

// PutAnnotations sets the annotations of the server that have a value and removes the others, all or
// none. It is refused with ErrInvalid where there would be more than 32.
func PutAnnotations(changes ...Annotation) (command.Command, error) {
	m := &directorypb.PutAnnotations{}
	for _, c := range changes {
		m.Changes = append(m.Changes, &directorypb.AnnotationChange{Entry: c.Entry, Value: c.Value})
	}
	if err := checkAnnotations(m); err != nil {
		return command.Command{}, err
	}
	return build(command.PutAnnotations, m)
}

func checkAnnotations(m *directorypb.PutAnnotations) error {
	seen := make(map[string]bool, len(m.Changes))
	for _, c := range m.Changes {
		name := c.GetEntry()
		if !strings.HasPrefix(name, "/shared/") || len(name) > 255 || seen[name] || strings.ContainsFunc(name, oddInEntry) ||
			strings.Contains(name, "//") || strings.HasSuffix(name, "/") {
			return refuse(ErrInvalid, "%.40q is no entry of the server, or there twice", name)
		}
		if len(c.Value) > maxAnnotation {
			return refuse(ErrInvalid, "entry %s with %d octets; %d are allowed", name, len(c.Value), maxAnnotation)
		}
		seen[name] = true
	}
	return nil
}

func oddInEntry(r rune) bool {
	return r < ' ' || r >= 0x7f || r == '*' || r == '%' || 'A' <= r && r <= 'Z'
}

func putAnnotations(s step, m *directorypb.PutAnnotations) (*directorypb.Result, error) {
	if err := checkAnnotations(m); err != nil {
		return nil, err
	}
	there := make(map[string]bool)
	err := scan(s, []byte{keyAnnotation}, nil, 0, func(a *directorypb.Annotation) error {
		there[a.Entry] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	before := len(there)
	for _, c := range m.Changes {
		if delete(there, c.Entry); c.Value != nil {
			there[c.Entry] = true
		}
	}
	if len(there) > maxAnnotations && len(there) > before {
		return nil, refuse(ErrInvalid, "%d annotations of the server; %d are allowed", len(there), maxAnnotations)
	}
	for _, c := range m.Changes {
		key := annotationKey(c.Entry)
		if c.Value == nil {
			err = s.Delete(key)
		} else {
			err = s.store(key, &directorypb.Annotation{Entry: c.Entry, Value: c.Value})
		}
		if err != nil {
			return nil, err
		}
	}
	return ok(nil)
}

// Annotations returns the annotations of the server, by entry.
func (v View) Annotations() ([]Annotation, error) {
	var out []Annotation
	err := scan(v.R, []byte{keyAnnotation}, nil, 0, func(m *directorypb.Annotation) error {
		if m.Value == nil {
			m.Value = []byte{} // an empty value is one
		}
		out = append(out, Annotation{Entry: m.Entry, Value: m.Value})
		return nil
	})
	return out, err
}
