package adminapi

import "time"

// Status is what `rookery status` shows.
type Status struct {
	Cluster  string        `json:"cluster"`
	Node     string        `json:"node"` // the node that answered
	Version  string        `json:"version"`
	Healthy  bool          `json:"healthy"` // no problem below
	Nodes    []NodeStatus  `json:"nodes"`
	Groups   []GroupStatus `json:"groups"`
	Problems []Problem     `json:"problems"`
}

// NodeStatus is one node as the cluster sees it.
type NodeStatus struct {
	ID      string `json:"id"`
	Region  string `json:"region"`
	Address string `json:"address"`
	State   string `json:"state"`            // active, draining or removed
	Alive   bool   `json:"alive"`            // it answered just now
	Gossip  string `json:"gossip,omitempty"` // alive, dead or left, as the answering node hears it
	Version string `json:"version,omitempty"`
}

// GroupStatus is one Raft group as its leader sees it, or as the answering node does where there is
// no leader to ask.
type GroupStatus struct {
	Group     string            `json:"group"` // "directory" or "p1", "p2", …
	Leader    string            `json:"leader"`
	Term      uint64            `json:"term"`
	Voters    []string          `json:"voters"`
	Nonvoters []string          `json:"nonvoters"`
	Wanted    []string          `json:"wanted"` // replicas by the partition map, preferred leader first
	Last      uint64            `json:"last"`
	Commit    uint64            `json:"commit"`
	Applied   uint64            `json:"applied"`
	LogBytes  int64             `json:"log_bytes"`
	Lag       map[string]uint64 `json:"lag"`   // entries each replica is behind the leader
	Local     bool              `json:"local"` // the answering node holds a replica
}

// Problem is something that is not as it should be, and what to do about it.
type Problem struct {
	What string `json:"what"`
	Do   string `json:"do"`
}

// Domain is a mail domain of the cluster.
type Domain struct {
	Name     string `json:"name"`
	CatchAll string `json:"catch_all,omitempty"`
}

// Account is a mailbox owner. Password is only ever sent, never returned.
type Account struct {
	ID            uint64    `json:"id,omitempty"`
	Address       string    `json:"address"`
	Password      string    `json:"password,omitempty"`
	Partition     string    `json:"partition,omitempty"`
	QuotaBytes    uint64    `json:"quota_bytes"`    // 0 is the cluster's default
	QuotaMessages uint64    `json:"quota_messages"` // 0 is the cluster's default
	UsedBytes     uint64    `json:"used_bytes"`     // only from showing one account
	UsedMessages  uint64    `json:"used_messages"`
	Disabled      bool      `json:"disabled,omitempty"`
	Admin         bool      `json:"admin,omitempty"` // administers the cluster over IMAP (quotas, annotations of the server)
	Created       time.Time `json:"created,omitzero"`
	// Sending is only there from showing one account, and where it is held.
	Sending *Sending `json:"sending,omitempty"`
}

// AccountChange says what to change of an account; nil fields stay as they are.
type AccountChange struct {
	Password      *string `json:"password,omitempty"`
	QuotaBytes    *uint64 `json:"quota_bytes,omitempty"`
	QuotaMessages *uint64 `json:"quota_messages,omitempty"`
	Disabled      *bool   `json:"disabled,omitempty"`
	Admin         *bool   `json:"admin,omitempty"`
}

// Ban is a network that may not log in.
type Ban struct {
	Network string    `json:"network"` // an address or a network in CIDR form
	Reason  string    `json:"reason,omitempty"`
	Until   time.Time `json:"until"`
}

// Undelete chooses expunged messages that are to come back; empty fields choose all.
type Undelete struct {
	Mailbox   string    `json:"mailbox,omitempty"`    // they were expunged from
	Since     time.Time `json:"since,omitzero"`       // expunged then or later
	Until     time.Time `json:"until,omitzero"`       // expunged before
	MessageID string    `json:"message_id,omitempty"` // with or without angle brackets
	To        string    `json:"to,omitempty"`         // the mailbox they come to; empty: each where it was
	DryRun    bool      `json:"dry_run,omitempty"`    // only list them
}

// Undeleted says what came back or, of a dry run, what would.
type Undeleted struct {
	Messages int           `json:"messages"`
	List     []KeptMessage `json:"list,omitempty"` // of a dry run, the first 1,000
}

// KeptMessage is an expunged message that can come back.
type KeptMessage struct {
	Mailbox   string    `json:"mailbox"`
	Expunged  time.Time `json:"expunged"`
	Size      uint64    `json:"size"`       // octets
	MessageID string    `json:"message_id"` // as in the message, 200 octets at most
	Subject   string    `json:"subject"`    // as in the message, 200 octets at most
}

// Grant is what somebody may do with a mailbox (RFC 4314).
type Grant struct {
	Identifier string `json:"identifier"` // the address of an account, or "anyone"
	Rights     string `json:"rights"`     // letters
}

// GrantChange changes what somebody may do with a mailbox, as SETACL does (RFC 4314, section 3.1).
type GrantChange struct {
	Mailbox    string `json:"mailbox"`
	Identifier string `json:"identifier"` // the address of an account, or "anyone"
	Rights     string `json:"rights"`     // letters that replace those of before; after + or - they are added or taken
}

// Alias is an address that stands for others.
type Alias struct {
	Address string   `json:"address"`
	Targets []string `json:"targets"`
}

// Setting is one replicated setting.
type Setting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default string `json:"default"`
	Help    string `json:"help"`
}

// JoinToken lets one node join, once, before it expires.
type JoinToken struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// JoinTokenRequest asks for a JoinToken.
type JoinTokenRequest struct {
	TTLSeconds int64 `json:"ttl_seconds"`
}

// APIToken opens the admin API over TLS. Secret is only returned when it is made.
type APIToken struct {
	ID      string    `json:"id,omitempty"`
	Name    string    `json:"name"`
	Secret  string    `json:"secret,omitempty"`
	Expires time.Time `json:"expires,omitzero"` // zero is never
}

// GroupHash is the hash of one replica's keys, to compare replicas with.
type GroupHash struct {
	Group   string `json:"group"`
	Applied uint64 `json:"applied"`
	Hash    string `json:"hash"`
}

// Hashes are those of all replicas of the answering node.
type Hashes struct {
	Node   string      `json:"node"`
	Groups []GroupHash `json:"groups"`
}

// GroupSnapshot says how long a replica took to make its state durable and to truncate its log.
type GroupSnapshot struct {
	Group        string  `json:"group"`
	Milliseconds float64 `json:"milliseconds"`
	Error        string  `json:"error,omitempty"` // "nothing new" among them
}

// failure is the body of every answer that is not 2xx.
type failure struct {
	Error string `json:"error"`
}
