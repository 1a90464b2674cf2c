package directory

import (
	"bytes"
	"strings"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// clockSkew is how far the clocks of two nodes may be apart without harm to a token, in milliseconds.
const clockSkew = 10 * 60 * 1000

func registerNode(s step, m *directorypb.RegisterNode) (*directorypb.Result, error) {
	if err := s.checkNewNode(m.Node); err != nil {
		return nil, err
	}
	return ok(s.addNode(m.Node))
}

// checkNewNode refuses a node without an id or with one that was ever used.
func (s step) checkNewNode(node *directorypb.Node) error {
	if node == nil {
		return refuse(ErrInvalid, "a node without a record")
	}
	if err := checkName("node id", node.Id); err != nil {
		return err
	}
	var old directorypb.Node
	found, err := load(s, nodeKey(cluster.NodeID(node.Id)), &old)
	if err != nil {
		return err
	}
	if found && old.State == directorypb.NodeState_NODE_STATE_REMOVED {
		return refuse(ErrExists, "node %s was removed; an id is never used again, choose another", node.Id)
	}
	if found {
		return refuse(ErrExists, "there is a node %s already", node.Id)
	}
	return nil
}

func (s step) addNode(node *directorypb.Node) error {
	node.State = directorypb.NodeState_NODE_STATE_ACTIVE
	node.Joined = s.now
	return s.store(nodeKey(cluster.NodeID(node.Id)), node)
}

func (s step) needNode(id string) (*directorypb.Node, error) {
	var record directorypb.Node
	found, err := load(s, nodeKey(cluster.NodeID(id)), &record)
	if err != nil {
		return nil, err
	}
	if !found || record.State == directorypb.NodeState_NODE_STATE_REMOVED {
		return nil, refuse(ErrNotFound, "there is no node %q in the cluster", id)
	}
	return &record, nil
}

func updateNode(s step, m *directorypb.UpdateNode) (*directorypb.Result, error) {
	record, err := s.needNode(m.Id)
	if err != nil {
		return nil, err
	}
	if m.State != nil {
		if *m.State != directorypb.NodeState_NODE_STATE_ACTIVE && *m.State != directorypb.NodeState_NODE_STATE_DRAINING {
			return nil, refuse(ErrInvalid, "node %s cannot be set to state %s", m.Id, NodeState(*m.State))
		}
		record.State = *m.State
	}
	for _, field := range []struct{ to, from *string }{
		{&record.Region, m.Region},
		{&record.ClusterAddress, m.ClusterAddress},
		{&record.GossipAddress, m.GossipAddress},
		{&record.AdminAddress, m.AdminAddress},
		{&record.Version, m.Version},
		{&record.CertificateSerial, m.CertificateSerial},
		{&record.MailName, m.MailName},
	} {
		if field.from != nil {
			*field.to = *field.from
		}
	}
	return ok(s.store(nodeKey(cluster.NodeID(m.Id)), record))
}

// removeNode ends a node's membership. It has to be out of the partition map before: a map that
// names it would keep its groups from ever being complete.
func removeNode(s step, m *directorypb.RemoveNode) (*directorypb.Result, error) {
	record, err := s.needNode(m.Id)
	if err != nil {
		return nil, err
	}
	var placed directorypb.PartitionMap
	if _, err := load(s, partitionMapKey(), &placed); err != nil {
		return nil, err
	}
	var groups []string
	for _, group := range placed.Groups {
		for _, id := range group.Nodes {
			if id == m.Id {
				groups = append(groups, cluster.GroupID(group.Group).String())
			}
		}
	}
	if len(groups) > 0 {
		return nil, refuse(ErrInUse, "node %s still keeps %s; drain it first", m.Id, strings.Join(groups, ", "))
	}
	record.State = directorypb.NodeState_NODE_STATE_REMOVED
	return ok(s.store(nodeKey(cluster.NodeID(m.Id)), record))
}

func putToken(s step, m *directorypb.PutToken) (*directorypb.Result, error) {
	if join := m.GetJoin(); join != nil {
		join.Created, join.Used, join.UsedBy, join.UsedKeyHash = s.now, 0, "", nil
		if join.Expires <= s.now {
			return nil, refuse(ErrInvalid, "a join token that has expired already")
		}
		return s.storeToken(joinTokenKey(join.Id), join.Id, join.Hash, join)
	}
	if api := m.GetApi(); api != nil {
		api.Created = s.now
		if err := checkName("name of a token", api.Name); err != nil {
			return nil, err
		}
		return s.storeToken(apiTokenKey(api.Id), api.Id, api.Hash, api)
	}
	return nil, refuse(ErrInvalid, "a token of no kind")
}

func (s step) storeToken(key, id, hash []byte, token record) (*directorypb.Result, error) {
	if len(id) != len(TokenID{}) || len(hash) != len(Hash{}) {
		return nil, refuse(ErrInvalid, "a token with an id of %d and a hash of %d bytes", len(id), len(hash))
	}
	taken, err := exists(s, key)
	if err != nil {
		return nil, err
	}
	if taken {
		return nil, refuse(ErrExists, "there is a token %x already", id)
	}
	return ok(s.store(key, token))
}

func redeemToken(s step, m *directorypb.RedeemToken) (*directorypb.Result, error) {
	var token directorypb.JoinToken
	found, err := load(s, joinTokenKey(m.Id), &token)
	if err != nil {
		return nil, err
	}
	if !found || len(token.Hash) == 0 || !bytes.Equal(token.Hash, m.Hash) {
		return nil, refuse(ErrNotFound, "this cluster did not give out join token %x, or its secret is another", m.Id)
	}
	if m.Node == nil {
		return nil, refuse(ErrInvalid, "a join token is redeemed for no node")
	}
	if token.Used != 0 {
		if token.UsedBy == m.Node.Id && len(m.KeyHash) > 0 && bytes.Equal(token.UsedKeyHash, m.KeyHash) {
			_, err := s.needNode(m.Node.Id) // asks again since it missed the answer
			return ok(err)
		}
		return nil, refuse(ErrTokenUsed, "join token %x was used already, by node %s", m.Id, token.UsedBy)
	}
	if s.now > token.Expires+clockSkew {
		return nil, refuse(ErrTokenExpired, "join token %x expired at %s", m.Id, moment(token.Expires).Format("2006-01-02 15:04:05 MST"))
	}
	if err := s.checkNewNode(m.Node); err != nil {
		return nil, err
	}
	token.Used, token.UsedBy, token.UsedKeyHash = s.now, m.Node.Id, m.KeyHash
	if err := s.store(joinTokenKey(m.Id), &token); err != nil {
		return nil, err
	}
	return ok(s.addNode(m.Node))
}

func deleteToken(s step, m *directorypb.DeleteToken) (*directorypb.Result, error) {
	key := joinTokenKey(m.Id)
	if m.Api {
		key = apiTokenKey(m.Id)
	}
	found, err := exists(s, key)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, refuse(ErrNotFound, "there is no token %x", m.Id)
	}
	return ok(s.Delete(key))
}
