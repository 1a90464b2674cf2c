package node

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/rpc"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
)

// methodUsage asks the leader of an account's partition how full the account is.
const methodUsage = "mail.usage"

// openStore makes the mail stores over this node's replicas and the router: one for the mail that this node
// serves, one for what others share, which may be read at other nodes.
func (n *Node) openStore(members *rpc.Mux) {
	n.facts = newFacts(func() (*replica, error) { return n.host.get(cluster.DirectoryGroup) })
	c := mailstore.Config{
		Proposer:     n.router,
		Replica:      n.mailReplica,
		Feed:         n.mailFeed,
		Locate:       n.facts.locate,
		Limits:       n.facts.limits,
		RemoteUsage:  n.remoteUsage,
		Keep:         n.keepExpunged,
		Level:        n.level,
		Blobs:        n.blobs,
		Large:        n.blobs.Large,
		StagingBound: n.stagingBound,
		Address:      n.addressOf,
		Logger:       n.log,
	}
	anywhere := c
	anywhere.Replica, anywhere.Feed, anywhere.RemoteUsage = n.anyReplica, n.anyFeed, nil
	n.shared = mailstore.New(anywhere)
	if n.texts != nil {
		c.Texts = n.texts
	}
	n.store = mailstore.New(c)
	members.Register(methodUsage, n.serveUsage)
	members.Register(methodACL, n.serveACL)
	members.Register(methodUndelete, n.serveUndelete)
	members.Register(methodConduct, n.serveConduct)
	members.Register(methodQueueWalk, n.serveQueueWalk)
	members.Register(methodStories, n.serveStories)
}

func (n *Node) mailReplica(g cluster.GroupID) (mailstore.Replica, error) {
	r, err := n.fresh(g)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (n *Node) mailFeed(g cluster.GroupID) (mailstore.Feed, error) {
	r, err := n.fresh(g)
	if err != nil {
		return nil, err
	}
	return r.partition, nil
}

// locate says which partition holds an account.
func (n *Node) locate(a index.AccountID) (cluster.GroupID, error) { return n.facts.locate(a) }

// leads is nil where this node leads the partition of an account: only there is all that was acknowledged
// certainly seen. Otherwise the error has router.CallLeader ask the next node.
func (n *Node) leads(a index.AccountID) error {
	g, err := n.locate(a)
	if err != nil {
		return err
	}
	_, err = n.leader(g)
	return err
}

func (n *Node) remoteUsage(ctx context.Context, g cluster.GroupID, a index.AccountID) (usage index.Usage, err error) {
	request, err := json.Marshal(a)
	if err != nil {
		return usage, err
	}
	data, err := n.router.CallLeader(ctx, g, methodUsage, request)
	if err != nil {
		return usage, err
	}
	return usage, json.Unmarshal(data, &usage)
}

func (n *Node) serveUsage(_ context.Context, _ cluster.NodeID, request []byte) ([]byte, error) {
	var a index.AccountID
	if err := json.Unmarshal(request, &a); err != nil {
		return nil, fmt.Errorf("read the account: %w", err)
	}
	if err := n.leads(a); err != nil {
		return nil, err
	}
	usage, err := n.store.LocalUsage(a)
	if err != nil {
		return nil, err
	}
	return json.Marshal(usage)
}
