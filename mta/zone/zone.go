// Package zone knows which records a mail domain publishes in DNS, from what is known of the cluster, and says how what
// DNS has compares with them. It asks nothing: answers come in.
package zone

import (
	"net/netip"
)

// Facts are what is known of a mail domain and of the cluster that serves it. Names are A-labels in lower case, without
// the last dot.
type Facts struct {
	Domain   string
	Hosts    []Host
	Senders  []Sender // that mail goes out by; none: the addresses of the hosts
	Services []Service
	Keys     []Key
	Policy   *Policy // of MTA-STS; nil: none is served
	Reports  string  // whom TLS reports go to; empty: nobody
	Watcher  string  // whom DMARC reports go to; empty: nobody
}

// Host is a node as others see it.
type Host struct {
	Name       string
	Preference uint16
	Addresses  []netip.Addr // that its name has in DNS
	// Key is the SHA-256 of its certificate's public key (SubjectPublicKeyInfo) in hexadecimal digits; empty where the node
	// was not there to tell.
	Key string
}

// Sender is an address that mail goes out by.
type Sender struct {
	Address netip.Addr
	Name    string // in EHLO
}

// Service is one for mail clients (RFC 6186, RFC 8314).
type Service struct {
	Name string // such as _imaps
	Port uint16
}

// Key is a DKIM key (RFC 6376).
type Key struct {
	Name  string // where its record is
	Text  string // of its record
	State string // as `rookery dkim list` says it
	Signs bool   // mail is signed with it now
}

// Policy is one of MTA-STS (RFC 8461).
type Policy struct {
	ID   string
	Mode string
	Text string // that nodes serve
}

// Role is what a record is for.
type Role string

// The roles of records.
const (
	RoleMX      Role = "mx"
	RoleHost    Role = "host"
	RoleReverse Role = "reverse"
	RoleSPF     Role = "spf"
	RoleHello   Role = "spf-of-host"
	RoleDKIM    Role = "dkim"
	RoleDMARC   Role = "dmarc"
	RoleSTS     Role = "mta-sts"
	RoleSTSHost Role = "mta-sts-host"
	RoleFetched Role = "mta-sts-policy"
	RoleReports Role = "tls-rpt"
	RoleTLSA    Role = "tlsa"
	RoleService Role = "service"
)

// Record is one to publish.
type Record struct {
	Role Role   `json:"role"`
	Name string `json:"name"` // without the last dot
	Type string `json:"type"`
	// Data is as in a zone file, but that names have no last dot and a TXT is its text in one. Empty: it is yours to know.
	Data string `json:"data"`
	// Essential says that mail suffers without it.
	Essential bool   `json:"essential"`
	About     string `json:"about"` // a sentence
}
