package directory

import (
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/credential"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// Between stored messages and the types of this package. Apply works on the messages themselves, so
// that fields of a later version survive a change by an earlier one.

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func clusterOf(m *directorypb.Cluster) Cluster {
	return Cluster{
		ID: m.Id, Created: moment(m.Created), Partitions: int(m.Partitions),
		CACert: m.CaCert, CAKey: m.CaKey, GossipKey: m.GossipKey,
	}
}

func domainOf(m *directorypb.Domain) Domain {
	return Domain{Name: m.Name, Unicode: m.Unicode, CatchAll: m.CatchAll, Created: moment(m.Created)}
}

func accountOf(m *directorypb.Account) Account {
	return Account{
		ID: cluster.AccountID(m.Id), Address: m.Address, DisplayName: m.DisplayName,
		Partition:  cluster.GroupID(m.Partition),
		Credential: credentialOf(m.Credential), CredentialVersion: m.CredentialVersion,
		QuotaBytes: m.QuotaBytes, QuotaMessages: m.QuotaMessages,
		Disabled: m.Disabled, Admin: m.Admin, Created: moment(m.Created),
	}
}

func credentialOf(m *directorypb.Credential) credential.Credential {
	if m == nil {
		return credential.Credential{}
	}
	c := credential.Credential{Salt: m.Salt, Iterations: int(m.Iterations)}
	copy(c.StoredKey[:], m.StoredKey)
	copy(c.ServerKey[:], m.ServerKey)
	copy(c.SHA1.StoredKey[:], m.Sha1StoredKey)
	copy(c.SHA1.ServerKey[:], m.Sha1ServerKey)
	return c
}

func credentialMessage(c credential.Credential) *directorypb.Credential {
	if c.IsZero() {
		return nil
	}
	m := &directorypb.Credential{
		Salt: c.Salt, Iterations: uint32(c.Iterations), StoredKey: c.StoredKey[:], ServerKey: c.ServerKey[:],
	}
	if !c.SHA1.IsZero() {
		m.Sha1StoredKey, m.Sha1ServerKey = c.SHA1.StoredKey[:], c.SHA1.ServerKey[:]
	}
	return m
}

func aliasOf(m *directorypb.Alias) Alias {
	return Alias{Address: m.Address, Targets: m.Targets, Created: moment(m.Created)}
}

func nodeOf(m *directorypb.Node) Node {
	return Node{
		ID: cluster.NodeID(m.Id), Region: m.Region, ClusterAddress: m.ClusterAddress,
		GossipAddress: m.GossipAddress, AdminAddress: m.AdminAddress, Version: m.Version,
		State: NodeState(m.State), CertificateSerial: m.CertificateSerial, Joined: moment(m.Joined),
		MailName: m.MailName,
	}
}

func nodeMessage(n Node) *directorypb.Node {
	return &directorypb.Node{
		Id: string(n.ID), Region: n.Region, ClusterAddress: n.ClusterAddress,
		GossipAddress: n.GossipAddress, AdminAddress: n.AdminAddress, Version: n.Version,
		State: directorypb.NodeState(n.State), CertificateSerial: n.CertificateSerial, Joined: millis(n.Joined),
		MailName: n.MailName,
	}
}

func joinTokenOf(m *directorypb.JoinToken) JoinToken {
	t := JoinToken{
		Created: moment(m.Created), Expires: moment(m.Expires), Used: moment(m.Used), UsedBy: cluster.NodeID(m.UsedBy),
	}
	copy(t.ID[:], m.Id)
	copy(t.Hash[:], m.Hash)
	return t
}

func apiTokenOf(m *directorypb.APIToken) APIToken {
	t := APIToken{Name: m.Name, Scope: m.Scope, Created: moment(m.Created), Expires: moment(m.Expires)}
	copy(t.ID[:], m.Id)
	copy(t.Hash[:], m.Hash)
	return t
}

func replicasOf(m *directorypb.Replicas) Replicas {
	r := Replicas{Group: cluster.GroupID(m.Group), Nodes: make([]cluster.NodeID, len(m.Nodes))}
	for i, node := range m.Nodes {
		r.Nodes[i] = cluster.NodeID(node)
	}
	return r
}

func replicasMessages(groups []Replicas) []*directorypb.Replicas {
	out := make([]*directorypb.Replicas, len(groups))
	for i, r := range groups {
		out[i] = &directorypb.Replicas{Group: uint32(r.Group), Nodes: make([]string, len(r.Nodes))}
		for j, node := range r.Nodes {
			out[i].Nodes[j] = string(node)
		}
	}
	return out
}
