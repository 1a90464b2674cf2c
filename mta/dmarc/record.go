package dmarc

import "errors"

// ErrRecord says that text is no DMARC record.
var ErrRecord = errors.New("not a DMARC record")

// Record is what a domain publishes (RFC 9989, section 4.7).
type Record struct {
	Text string // as published; empty: there is none

	Policy       Policy // p=
	Subdomains   Policy // sp=; empty: as Policy
	Missing      Policy // np=, for subdomains that do not exist; empty: as Subdomains
	StrictDKIM   bool   // adkim=s
	StrictSPF    bool   // aspf=s
	Suffix       string // psd=: "y", "n" or "u"
	Testing      bool   // t=y
	Percent      int    // pct= of RFC 7489; 100 where there is none
	Aggregate    []Address
	Failure      []Address
	FailureWhen  string // fo=; "0" where there is none
	NotUsable    bool   // its policies are wrong and nobody gets reports: it does not count (RFC 9989, section 4.10.1)
	AsMonitoring bool   // its policies are wrong, so that p=none is taken
}

// Address is where reports go.
type Address struct {
	Mailbox string // of a mailto: URI, decoded
	Most    int64  // octets that are taken (RFC 7489, section 6.3); 0: any number
}
