package node

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
)

// mailNames are the nodes' names as hosts of mail.
func (n *Node) mailNames(v directory.View) (names []string, err error) {
	nodes, err := v.Nodes()
	for _, m := range nodes {
		if m.State != directory.NodeRemoved && m.MailName != "" {
			names = append(names, m.MailName)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// ownNamesAge is for how long the names of nodes are used that were read once: each attempt asks for them.
const ownNamesAge = 10 * time.Second

// ownNames remembers the nodes' names.
type ownNames struct {
	mu    sync.Mutex // guards what follows
	read  time.Time
	names []string
}

// ownHost reports whether a host, in lower case, is a node of this cluster.
func (n *Node) ownHost(host string) bool {
	if strings.EqualFold(host, n.cfg.SMTP.Hostname) {
		return true
	}
	n.ownNames.mu.Lock()
	defer n.ownNames.mu.Unlock()
	if now := time.Now(); now.Sub(n.ownNames.read) > ownNamesAge {
		n.ownNames.read = now
		_ = n.view(func(v directory.View) error { // those of before are as good as can be had
			names, err := n.mailNames(v)
			if err == nil {
				n.ownNames.names = names
			}
			return err
		})
	}
	return slices.Contains(n.ownNames.names, host)
}
