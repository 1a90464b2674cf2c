package directory

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// View reads the directory as R shows it. Give it a kv.Snapshot where several reads have to be of one
// moment. It holds nothing, so that it is made anew for each use.
type View struct {
	R kv.Reader
}

// Cluster returns what was fixed at initialisation, or ErrNotInitialised.
func (v View) Cluster() (Cluster, error) {
	m, err := needCluster(v.R)
	if err != nil {
		return Cluster{}, err
	}
	return clusterOf(m), nil
}

// Settings returns all settings. A stored value that this build cannot read, of a later version
// perhaps, gives the default. It is one scan, since few settings are ever set and doors ask for each
// message.
func (v View) Settings() (Settings, error) {
	set := make(map[string]string)
	err := scanKeys(v.R, []byte{keySetting}, nil, 0, func(key, value []byte) error {
		var m directorypb.Setting
		if err := m.UnmarshalVT(value); err != nil {
			return fmt.Errorf("read key %x: %w: %w", key, ErrCorrupt, err)
		}
		set[string(key[1:])] = m.Value
		return nil
	})
	if err != nil {
		return Settings{}, err
	}
	var s Settings
	for _, d := range Definitions() {
		if text, ok := set[d.Name]; ok {
			if _, err := d.parse(&s, text); err == nil {
				continue
			}
		}
		if _, err := d.parse(&s, d.Default); err != nil {
			return Settings{}, err
		}
	}
	return s, nil
}

// Setting returns the text of one setting and whether it was set; ErrNotFound for a name that is not
// in the table.
func (v View) Setting(name string) (text string, set bool, err error) {
	d, err := definition(name)
	if err != nil {
		return "", false, err
	}
	var m directorypb.Setting
	if set, err = load(v.R, settingKey(name), &m); err != nil || set {
		return m.Value, set, err
	}
	return d.Default, false, nil
}

// Domain returns a domain by its name in A-labels or U-labels, or ErrNoDomain.
func (v View) Domain(name string) (Domain, error) {
	ascii, err := address.ParseDomain(name)
	if err != nil {
		return Domain{}, refuse(ErrNoDomain, "%v", err)
	}
	var m directorypb.Domain
	found, err := load(v.R, domainKey(ascii), &m)
	if err != nil {
		return Domain{}, err
	}
	if !found {
		return Domain{}, refuse(ErrNoDomain, "%s is not a domain of this cluster", ascii)
	}
	return domainOf(&m), nil
}

// Domains returns all domains by name.
func (v View) Domains() ([]Domain, error) {
	var out []Domain
	err := scan(v.R, []byte{keyDomain}, nil, 0, func(m *directorypb.Domain) error {
		out = append(out, domainOf(m))
		return nil
	})
	return out, err
}

// Node returns a node, removed ones too, or ErrNotFound.
func (v View) Node(id cluster.NodeID) (Node, error) {
	var m directorypb.Node
	found, err := load(v.R, nodeKey(id), &m)
	if err != nil {
		return Node{}, err
	}
	if !found {
		return Node{}, refuse(ErrNotFound, "there is no node %q", id)
	}
	return nodeOf(&m), nil
}

// Nodes returns all nodes by id, the removed ones too.
func (v View) Nodes() ([]Node, error) {
	var out []Node
	err := scan(v.R, []byte{keyNode}, nil, 0, func(m *directorypb.Node) error {
		out = append(out, nodeOf(m))
		return nil
	})
	return out, err
}

// PartitionMap returns where the groups are kept. Before the first PutPartitionMap it is empty, of
// version 0.
func (v View) PartitionMap() (PartitionMap, error) {
	var m directorypb.PartitionMap
	if _, err := load(v.R, partitionMapKey(), &m); err != nil {
		return PartitionMap{}, err
	}
	out := PartitionMap{Version: m.Version}
	for _, group := range m.Groups {
		out.Groups = append(out.Groups, replicasOf(group))
	}
	return out, nil
}

// JoinToken returns a join token, or ErrNotFound.
func (v View) JoinToken(id TokenID) (JoinToken, error) {
	var m directorypb.JoinToken
	found, err := load(v.R, joinTokenKey(id[:]), &m)
	if err == nil && !found {
		err = refuse(ErrNotFound, "there is no join token %s", id)
	}
	if err != nil {
		return JoinToken{}, err
	}
	return joinTokenOf(&m), nil
}

// JoinTokens returns all join tokens, used and expired ones too.
func (v View) JoinTokens() ([]JoinToken, error) {
	var out []JoinToken
	err := scan(v.R, []byte{keyJoinToken}, nil, 0, func(m *directorypb.JoinToken) error {
		out = append(out, joinTokenOf(m))
		return nil
	})
	return out, err
}

// APIToken returns a token of the admin interface, or ErrNotFound. Whether it is still good is the
// caller's to ask (APIToken.Usable).
func (v View) APIToken(id TokenID) (APIToken, error) {
	var m directorypb.APIToken
	found, err := load(v.R, apiTokenKey(id[:]), &m)
	if err == nil && !found {
		err = refuse(ErrNotFound, "there is no token %s", id)
	}
	if err != nil {
		return APIToken{}, err
	}
	return apiTokenOf(&m), nil
}

// APITokens returns all tokens of the admin interface.
func (v View) APITokens() ([]APIToken, error) {
	var out []APIToken
	err := scan(v.R, []byte{keyAPIToken}, nil, 0, func(m *directorypb.APIToken) error {
		out = append(out, apiTokenOf(m))
		return nil
	})
	return out, err
}
