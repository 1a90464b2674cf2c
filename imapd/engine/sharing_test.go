package engine_test

import (
	"context"
	"strings"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
)

// neighbourhood is the directory of a stage, and which accounts another node has.
type neighbourhood struct {
	store     *mailstore.Store
	away      *mailstore.Store // as a node has it that is cut off from all replicas
	addresses map[index.AccountID]string
	pairs     map[[2]index.AccountID]bool
	elsewhere map[index.AccountID]bool
	behind    map[index.AccountID]bool // what is read of them is too old, until it catches up
	disabled  map[index.AccountID]bool
}

func newNeighbourhood(st *stage) *neighbourhood {
	return &neighbourhood{store: st.store,
		away: st.cluster.Store(func(c *mailstore.Config) {
			c.Replica = func(cluster.GroupID) (mailstore.Replica, error) { return nil, cluster.ErrUnavailable }
		}),
		addresses: map[index.AccountID]string{1: "fred@example.org", 2: "chris@example.org", 3: "david@example.org",
			4: "a/b%c=*@example.org", 5: "byron@example.org", 9: "root@example.org"},
		pairs: map[[2]index.AccountID]bool{}, elsewhere: map[index.AccountID]bool{}, behind: map[index.AccountID]bool{}, disabled: map[index.AccountID]bool{}}
}

// others is what the sessions of a stage get, nil without a neighbourhood.
func (n *neighbourhood) others() engine.Others {
	if n == nil {
		return nil
	}
	return imapd.NewOthers(n, func(a index.AccountID) engine.Account {
		if n.elsewhere[a] || n.behind[a] {
			return imapd.Mailstore(n.away)(a)
		}
		return imapd.Mailstore(n.store)(a)
	})
}

func (n *neighbourhood) SharedBy(_ context.Context, who index.AccountID) (owners []login.Identity, _ error) {
	for id := index.AccountID(1); id <= 5; id++ {
		if id != who && n.addresses[id] != "" && (n.pairs[[2]index.AccountID{id, who}] || n.pairs[[2]index.AccountID{id, index.Anyone}]) {
			owners = append(owners, login.Identity{Account: id, Address: n.addresses[id]})
		}
	}
	return owners, nil
}

func (n *neighbourhood) Note(_ context.Context, owner, grantee index.AccountID) error {
	n.pairs[[2]index.AccountID{owner, grantee}] = true
	return nil
}

func (n *neighbourhood) CatchUp(_ context.Context, owners []index.AccountID) {
	for _, owner := range owners {
		delete(n.behind, owner)
	}
}

func (n *neighbourhood) Find(_ context.Context, address string) (index.AccountID, error) {
	for id, a := range n.addresses {
		if strings.EqualFold(a, address) {
			return id, nil
		}
	}
	return 0, index.ErrNoAccount
}

func (n *neighbourhood) Reader(ctx context.Context, address string) (index.AccountID, error) {
	id, err := n.Find(ctx, address)
	if n.disabled[id] {
		return 0, index.ErrNoAccount
	}
	return id, err
}

func (n *neighbourhood) Address(_ context.Context, id index.AccountID) (string, error) {
	if a := n.addresses[id]; a != "" {
		return a, nil
	}
	return "", index.ErrNoAccount
}

// happen is what a line "! sharing …" does.
func (n *neighbourhood) happen(words []string) {
	switch words[0] {
	case "delete": // an account
		delete(n.addresses, index.AccountID(words[1][0]-'0'))
	case "behind": // this node has an account's mail of another time
		n.behind[index.AccountID(words[1][0]-'0')] = true
	case "elsewhere": // an account is on other nodes, which do not answer
		n.elsewhere[index.AccountID(words[1][0]-'0')] = true
	case "disable": // an account
		n.disabled[index.AccountID(words[1][0]-'0')] = true
	}
}
