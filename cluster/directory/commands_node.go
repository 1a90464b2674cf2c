package directory

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// ClusterSpec is a new cluster.
type ClusterSpec struct {
	ID         string
	Partitions int // 1 to cluster.MaxPartitions
	CACert     []byte
	CAKey      []byte
	GossipKey  []byte
	Settings   map[string]string // of Definitions; others have their defaults
}

// NodeChange changes the fields that are not nil.
type NodeChange struct {
	Region            *string
	ClusterAddress    *string
	GossipAddress     *string
	AdminAddress      *string
	Version           *string
	State             *NodeState // NodeActive or NodeDraining
	CertificateSerial *string
	MailName          *string // at command.LevelThird and up: builds before do not know it
}

// Redemption is a node's use of a join token.
type Redemption struct {
	Token   TokenID
	Hash    Hash // of the secret that the node showed
	KeyHash Hash // of the public key that the node asks to be certified
	Node    Node
}

// InitialiseCluster is the first command of a cluster; a second one is refused with ErrExists.
func InitialiseCluster(spec ClusterSpec) (command.Command, error) {
	m := &directorypb.InitialiseCluster{Cluster: &directorypb.Cluster{
		Id: spec.ID, Partitions: uint32(max(spec.Partitions, 0)), CaCert: spec.CACert, CaKey: spec.CAKey, GossipKey: spec.GossipKey,
	}}
	for _, name := range slices.Sorted(maps.Keys(spec.Settings)) {
		value, err := ParseSetting(name, spec.Settings[name])
		if err != nil {
			return command.Command{}, err
		}
		m.Settings = append(m.Settings, &directorypb.Setting{Name: name, Value: value})
	}
	return build(command.InitialiseCluster, m)
}

// RegisterNode adds a node; state and time of joining are filled in.
func RegisterNode(node Node) (command.Command, error) {
	return build(command.RegisterNode, &directorypb.RegisterNode{Node: nodeMessage(node)})
}

// UpdateNode changes a node.
func UpdateNode(id cluster.NodeID, c NodeChange) (command.Command, error) {
	m := &directorypb.UpdateNode{
		Id: string(id), Region: c.Region, ClusterAddress: c.ClusterAddress, GossipAddress: c.GossipAddress,
		AdminAddress: c.AdminAddress, Version: c.Version, CertificateSerial: c.CertificateSerial,
		MailName: c.MailName,
	}
	if c.State != nil {
		state := directorypb.NodeState(*c.State)
		m.State = &state
	}
	return build(command.UpdateNode, m)
}

// RemoveNode ends a node's membership for ever. It is refused with ErrInUse while the partition map
// names the node.
func RemoveNode(id cluster.NodeID) (command.Command, error) {
	return build(command.RemoveNode, &directorypb.RemoveNode{Id: string(id)})
}

// PutJoinToken stores a new join token; Created, Used and UsedBy are filled in.
func PutJoinToken(t JoinToken) (command.Command, error) {
	return build(command.PutToken, &directorypb.PutToken{Token: &directorypb.PutToken_Join{
		Join: &directorypb.JoinToken{Id: t.ID[:], Hash: t.Hash[:], Expires: millis(t.Expires)},
	}})
}

// PutAPIToken stores a new token of the admin interface; Created is filled in.
func PutAPIToken(t APIToken) (command.Command, error) {
	return build(command.PutToken, &directorypb.PutToken{Token: &directorypb.PutToken_Api{
		Api: &directorypb.APIToken{Id: t.ID[:], Hash: t.Hash[:], Name: t.Name, Scope: t.Scope, Expires: millis(t.Expires)},
	}})
}

// RedeemToken uses a join token up and registers the node, both or neither. Refusals are ErrNotFound
// (unknown token or wrong secret), ErrTokenUsed, ErrTokenExpired and ErrExists. The same node with the
// same key may redeem again.
func RedeemToken(r Redemption) (command.Command, error) {
	return build(command.RedeemToken, &directorypb.RedeemToken{
		Id: r.Token[:], Hash: r.Hash[:], KeyHash: r.KeyHash[:], Node: nodeMessage(r.Node),
	})
}

// DeleteJoinToken takes a join token away, used or not.
func DeleteJoinToken(id TokenID) (command.Command, error) {
	return build(command.DeleteToken, &directorypb.DeleteToken{Id: id[:]})
}

// DeleteAPIToken revokes a token of the admin interface.
func DeleteAPIToken(id TokenID) (command.Command, error) {
	return build(command.DeleteToken, &directorypb.DeleteToken{Id: id[:], Api: true})
}

// PutPartitionMap places the groups it names and leaves the others where they are. expected is the
// version of the map that the change was planned on; another one now gives ErrConflict. The result
// has the new version.
func PutPartitionMap(expected uint64, groups ...Replicas) (command.Command, error) {
	sorted := slices.SortedFunc(slices.Values(groups), func(a, b Replicas) int { return cmp.Compare(a.Group, b.Group) })
	return build(command.PutPartitionMap, &directorypb.PutPartitionMap{
		ExpectedVersion: expected, Groups: replicasMessages(sorted),
	})
}

// Usable reports whether the token lets a bearer of its secret in at now.
func (t APIToken) Usable(now time.Time) bool { return t.Expires.IsZero() || now.Before(t.Expires) }
