package node

import (
	"slices"
	"sync"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
)

// book is what the network side needs of the directory at every call, kept in memory: addresses of
// nodes, who is a member, and where groups are. Until the directory has arrived it holds the peers
// of the node's record.
type book struct {
	mu        sync.RWMutex // guards what follows
	loaded    bool         // from the directory
	addresses map[cluster.NodeID]string
	removed   map[cluster.NodeID]bool
	replicas  map[cluster.GroupID][]cluster.NodeID
	everyone  []cluster.NodeID
	gossip    func(cluster.NodeID) (string, bool) // for nodes the directory does not know yet; may be nil
}

func newBook(peers map[cluster.NodeID]string) *book {
	b := &book{addresses: peers}
	for id := range peers {
		b.everyone = append(b.everyone, id)
	}
	return b
}

// update takes over what the directory says.
func (b *book) update(nodes []directory.Node, pm directory.PartitionMap) {
	addresses := map[cluster.NodeID]string{}
	removed := map[cluster.NodeID]bool{}
	var everyone []cluster.NodeID
	for _, n := range nodes {
		if n.State == directory.NodeRemoved {
			removed[n.ID] = true
			continue
		}
		addresses[n.ID] = n.ClusterAddress
		everyone = append(everyone, n.ID)
	}
	replicas := map[cluster.GroupID][]cluster.NodeID{}
	for _, r := range pm.Groups {
		replicas[r.Group] = r.Nodes
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loaded, b.addresses, b.removed, b.replicas, b.everyone = true, addresses, removed, replicas, everyone
}

// ask gives the book what to ask about nodes that are not in the directory here yet.
func (b *book) ask(gossip func(cluster.NodeID) (string, bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gossip = gossip
}

// address gives the cluster address of a node.
func (b *book) address(id cluster.NodeID) (string, bool) {
	b.mu.RLock()
	a, ok := b.addresses[id]
	gossip := b.gossip
	b.mu.RUnlock()
	if !ok && gossip != nil {
		return gossip(id)
	}
	return a, ok
}

// allowed reports whether a node may talk to this one: every node of the cluster until it is
// removed. A node that this replica of the directory has not heard of yet is let in; its certificate
// says that the cluster took it.
func (b *book) allowed(id cluster.NodeID) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return !b.removed[id]
}

// lists reports whether a node has a place in a group by the map. Before the map is known, and for the
// directory, every node has.
func (b *book) lists(g cluster.GroupID, id cluster.NodeID) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return g == cluster.DirectoryGroup || !b.loaded || slices.Contains(b.replicas[g], id)
}

// members gives the nodes that may lead a group. Every node may hold the directory.
func (b *book) members(g cluster.GroupID) []cluster.NodeID {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if g == cluster.DirectoryGroup || !b.loaded {
		return b.everyone
	}
	return b.replicas[g]
}
