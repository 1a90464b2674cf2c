package inbound

// DMARCMode says how far the wishes of a domain about mail that only seems to be its own are followed.
type DMARCMode string

// The modes.
const (
	DMARCFollow     DMARCMode = "follow"     // refused or put to Junk, as the domain asks
	DMARCQuarantine DMARCMode = "quarantine" // put to Junk, where it asks for that or more; never refused
	DMARCTag        DMARCMode = "tag"        // told in the message, and nothing else
)

// Policy is what holds for one recipient: settings of the cluster, and what was set in its place for his domain, for him,
// or for the domain of the sender. See Layers.
type Policy struct {
	DMARC      DMARCMode
	DMARCOf    string // by whom DMARC was set, in words; "" is the cluster's setting
	DMARCLists bool   // mail of a mailing list that is authenticated itself goes to Junk where DMARC would refuse it
	DMARCError bool   // mail whose domain cannot be asked now is put off
	FromBroken string // of several From fields: refuse or junk
	VirusJunk  bool   // what has a virus goes to Junk; else it is refused

	JunkScore   float64 // from which on mail goes to Junk, 0: never
	RefuseScore float64 // from which on it is refused, 0: never

	Senders    []Sender // those allowed and blocked, the recipient's own before his domain's before the cluster's
	Postmaster bool     // the recipient is a postmaster, who gets mail from everybody (RFC 5321, section 4.5.1)
}

// Scores of what authentication found. They are not the operator's: what weighs how much is kept simple, and the bounds are his.
const (
	scoreSPFFail     = 3.0
	scoreSPFSoftFail = 1.0
	scoreSPFError    = 1.0 // a record that cannot be read
	scoreDMARCFail   = 1.5 // of a domain that asks for nothing
	scoreDMARCPass   = -0.5
	scoreNoFrom      = 2.0
	scoreManyFrom    = 2.0 // addresses of several domains
)

// Layer is a policy that was set for some mail. What is not set is nil, or "".
type Layer struct {
	Of          string // in words: "domain example.org"
	DMARC       DMARCMode
	JunkScore   *float64
	RefuseScore *float64
	Subaddress  string // off or existing; read by the joint
}

// With gives the policy with what a layer sets.
func (p Policy) With(l Layer) Policy {
	if l.DMARC != "" {
		p.DMARC, p.DMARCOf = l.DMARC, l.Of
	}
	if l.JunkScore != nil {
		p.JunkScore = *l.JunkScore
	}
	if l.RefuseScore != nil {
		p.RefuseScore = *l.RefuseScore
	}
	return p
}
