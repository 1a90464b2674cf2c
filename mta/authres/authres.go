// Package authres writes and reads Authentication-Results fields (RFC 8601, with RFC 8616 for what is not ASCII). What comes
// after the instance in an ARC-Authentication-Results field is the same (RFC 8617, section 4.1.1). It decides nothing.
package authres

import "errors"

// Name is that of the field.
const Name = "Authentication-Results"

// ErrSyntax says that a field cannot be read.
var ErrSyntax = errors.New("not a list of authentication results")

// Field is what one host says.
type Field struct {
	Server  string   // the authserv-id
	Results []Result // empty: "none"
}

// Result is what one method came to.
type Result struct {
	Method     string // "spf", "dkim", "dmarc", "arc", "iprev", "auth"; in lower case where it was read
	Value      string // "pass", "fail", …; in lower case where it was read
	Reason     string // in words; empty: none
	Comment    string // behind the value, in brackets; empty: none. Comments elsewhere are not read.
	Properties []Property
}

// Property is a fact that the result is about: type.name=value, as smtp.mailfrom=ann@example.org.
type Property struct{ Type, Name, Value string }

// Get is the value of the first property of a type and name; empty where there is none.
func (r Result) Get(kind, name string) string {
	for _, p := range r.Properties {
		if p.Type == kind && p.Name == name {
			return p.Value
		}
	}
	return ""
}
