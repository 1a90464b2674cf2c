package node

import (
	"strings"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// The bounds of what recipients remembers: addresses, some 500 bytes each, and the accounts behind
// one. A long alias is resolved each time; its mail costs more than that.
const (
	maxRecipients     = 10_000
	maxRememberedList = 4
)

// recipients is the directory of the SMTP door that remembers whom addresses lead to. Only what was
// found is remembered: that there is nobody is asked again, and confirmed.
type recipients struct {
	smtpd.Directory
	now   func() (r *replica, at cluster.LogIndex, err error) // what the directory shows at least
	known moment[string, directory.Resolution]
}

func newRecipients(d smtpd.Directory, now func() (*replica, cluster.LogIndex, error)) *recipients {
	return &recipients{Directory: d, now: now, known: moment[string, directory.Resolution]{most: maxRecipients}}
}

// Resolve finds whom the mail for an address goes to. The answer is shared: nobody writes to it.
func (d *recipients) Resolve(address string) (directory.Resolution, error) {
	r, at, err := d.now() // before the snapshot that is read
	if err != nil {
		return d.Directory.Resolve(address)
	}
	if found, ok := d.known.get(r, at, address); ok {
		return found, nil
	}
	found, err := d.Directory.Resolve(address)
	if err == nil && len(found.Accounts)+len(found.Remote)+len(found.Broken) <= maxRememberedList {
		d.known.put(r, at, strings.Clone(address), found)
	}
	return found, err
}

// directoryNow is this node's replica of the directory and what it has applied.
func (n *Node) directoryNow() (*replica, cluster.LogIndex, error) {
	r, err := n.host.get(cluster.DirectoryGroup)
	if err != nil {
		return nil, 0, err
	}
	return r, r.Applied(), nil
}
