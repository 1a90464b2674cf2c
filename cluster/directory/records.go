package directory

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/credential"
)

// Cluster is what is fixed when a cluster is made.
type Cluster struct {
	ID         string
	Created    time.Time
	Partitions int    // groups 1 to Partitions
	CACert     []byte // PEM
	CAKey      []byte // PEM; a secret
	GossipKey  []byte // 32 bytes; a secret
}

// Domain is a mail domain of this cluster.
type Domain struct {
	Name     string // lower-case A-labels
	Unicode  string // U-labels, for people
	CatchAll string // the address that gets mail for unknown users; empty for none
	Created  time.Time
}

// Account is a user of mail. Its mailboxes are in Partition for as long as it lives.
type Account struct {
	ID                cluster.AccountID
	Address           string // the primary address in canonical text
	DisplayName       string
	Partition         cluster.GroupID
	Credential        credential.Credential // zero: nobody can log in
	CredentialVersion uint64                // counts up with each new credential
	QuotaBytes        uint64                // 0: the setting quota_bytes; see View.Limits
	QuotaMessages     uint64                // 0: the setting quota_messages
	Disabled          bool                  // may not log in and gets no mail
	Admin             bool                  // may administer the cluster; gets postmaster's mail
	Created           time.Time
}

// Alias is an address whose mail goes to others.
type Alias struct {
	Address string
	Targets []string // local or remote, in canonical text
	Created time.Time
}

// NodeState is where a node stands in its life. The numbers are stored.
type NodeState uint8

// The states of nodes.
const (
	NodeActive   NodeState = 1
	NodeDraining NodeState = 2 // is to give its replicas and leaders away
	NodeRemoved  NodeState = 3 // its id is never given out again
)

// String gives "active", "draining" or "removed".
func (s NodeState) String() string {
	switch s {
	case NodeActive:
		return "active"
	case NodeDraining:
		return "draining"
	case NodeRemoved:
		return "removed"
	}
	return "unknown"
}

// Node is a member of the cluster. Addresses are host:port.
type Node struct {
	ID                cluster.NodeID
	Region            string
	ClusterAddress    string // Raft and calls between nodes
	GossipAddress     string
	AdminAddress      string // empty where the node serves none
	Version           string // the version of Rookery that it last started with
	State             NodeState
	CertificateSerial string
	Joined            time.Time
	MailName          string // as a mail host, in lower case; empty until the node has told it
}

// TokenID names a token; it is no secret.
type TokenID [8]byte

// String gives 16 hexadecimal digits.
func (id TokenID) String() string { return hex.EncodeToString(id[:]) }

// Hash is the SHA-256 of a random secret or of a public key. Secrets are random and long, so that they
// need no slow hash.
type Hash [sha256.Size]byte

// HashOf hashes a secret or a key.
func HashOf(secret []byte) Hash { return sha256.Sum256(secret) }

// Matches reports in constant time whether the hash is that of the secret.
func (h Hash) Matches(secret []byte) bool {
	other := HashOf(secret)
	return subtle.ConstantTimeCompare(h[:], other[:]) == 1
}

// JoinToken lets one node into the cluster, once.
type JoinToken struct {
	ID      TokenID
	Hash    Hash // of the secret
	Created time.Time
	Expires time.Time
	Used    time.Time // zero while it was not
	UsedBy  cluster.NodeID
}

// APIToken authenticates a user of the admin interface.
type APIToken struct {
	ID      TokenID
	Hash    Hash // of the secret
	Name    string
	Scope   string // what it allows; read by the admin interface
	Created time.Time
	Expires time.Time // zero: never
}

// Replicas is where one group is kept.
type Replicas struct {
	Group cluster.GroupID
	Nodes []cluster.NodeID // the first is the preferred leader
}

// PartitionMap says where all groups are kept.
type PartitionMap struct {
	Version uint64     // of the whole map, for PutPartitionMap
	Groups  []Replicas // by group
}

// Of returns the nodes of a group, the preferred leader first; none where the map has no such group.
func (m PartitionMap) Of(g cluster.GroupID) []cluster.NodeID {
	for _, r := range m.Groups {
		if r.Group == g {
			return r.Nodes
		}
	}
	return nil
}
