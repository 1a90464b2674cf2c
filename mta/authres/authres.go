// Package authres writes and reads Authentication-Results fields (RFC 8601, with RFC 8616 for what is not ASCII). What comes
// after the instance in an ARC-Authentication-Results field is the same. It decides nothing.
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
	Method     string // "spf", "dkim", "dmarc", "arc", "iprev", "auth"
	Value      string // "pass", "fail", …
	Reason     string // in words; empty: none
	Comment    string // behind the value, in brackets; empty: none
	Properties []Property
}

// Property is a fact that the result is about: type.name=value, as smtp.mailfrom=ann@example.org.
type Property struct{ Type, Name, Value string }
