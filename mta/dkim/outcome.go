package dkim

import "fmt"

// Result is what a signature is worth, in the words of RFC 8601, section 2.7.1.
type Result string

// The results.
const (
	Pass      Result = "pass"
	Fail      Result = "fail"      // it is not that of its key, of the message, or of now
	Policy    Result = "policy"    // it is good, and made in a way that is not accepted
	Neutral   Result = "neutral"   // it cannot be read, or was not looked at
	TempError Result = "temperror" // its key cannot be had now
	PermError Result = "permerror" // it lacks what it has to have, or there is no key
)

// Outcome is what became of a signature.
type Outcome struct {
	Domain    string // d=, in lower case and A-labels; empty where it could not be read
	Selector  string // s=
	Identity  string // i=, as it is written; empty where it is not
	Result    Result
	Reason    string // why it is not Pass, in words; what else is to be known of a Pass
	Algorithm string // a=
	Bits      int    // of the key; 0 where it was not read
	Testing   bool   // who published the key tries it out: it says no more than no signature (RFC 6376, section 3.6.1)
	Uncovered int64  // octets of the body that l= leaves out; such a signature is never Pass
	Mark      string // the beginning of b=, by which it is found again (RFC 6008)
}

// String says the outcome in a line: "pass example.org, selector s1, rsa-sha256 2048 bits".
func (o Outcome) String() string {
	text := string(o.Result)
	if o.Domain != "" {
		text += fmt.Sprintf(" %s, selector %s, %s", o.Domain, o.Selector, o.Algorithm)
	}
	if o.Bits > 0 && o.Algorithm != Ed25519+"-sha256" {
		text += fmt.Sprintf(" %d bits", o.Bits)
	}
	if o.Testing {
		text += ", a key that is tried out"
	}
	if o.Reason != "" {
		text += ": " + o.Reason
	}
	return text
}
