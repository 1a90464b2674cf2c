// Package site runs what is to be measured, or knows where it runs: a cluster of Rookery nodes from a
// binary, Postfix with Dovecot, a server that somebody else started. A load sees doors, accounts and what the
// processes use, and nothing else. The package imports nothing of the product: it knows its command line.
package site

import (
	"context"
	"errors"

	"github.com/rookery-mail/rookery/bench/load"
)

// Site is a mail system under test.
type Site interface {
	// Name is a short word for tables.
	Name() string
	// MX are the doors that take mail for the accounts without authentication, one a node.
	MX() []load.Door
	// Submission are the doors that take mail from users; none where the site has no such thing.
	Submission() []load.Door
	// IMAP are the doors of the mailboxes, one a node.
	IMAP() []load.Door
	// Accounts gives n accounts, the same ones at every call, and makes those that are missing.
	Accounts(ctx context.Context, n int) ([]load.Login, error)
	// Usage is what all server processes have used so far. load.ErrGone when one of them died.
	Usage(ctx context.Context) (Usage, error)
	// Close ends what the site started and removes its files.
	Close() error
}

// Usage is what a site's processes have used so far.
type Usage struct {
	load.Usage
	Measured    bool  // false for processes that are not ours to read
	Fsyncs      int64 // of the log
	FsyncsKnown bool
}

// Sub is what was used since before.
func (u Usage) Sub(before Usage) Usage {
	u.Usage, u.Fsyncs = u.Usage.Sub(before.Usage), u.Fsyncs-before.Fsyncs
	return u
}

// Clustered is a site whose nodes can be killed and replaced one by one.
type Clustered interface {
	Site
	// Nodes are their names, in the order of the doors.
	Nodes() []string
	// Partitions maps each of the first n accounts to its partition.
	Partitions(ctx context.Context, n int) (map[string]string, error)
	// Leaders maps each partition to the node that leads it.
	Leaders(ctx context.Context) (map[string]string, error)
	// Kill ends a node at once, as a power failure does.
	Kill(node string) error
	// Stop ends a node as an operator does.
	Stop(ctx context.Context, node string) error
	// Start starts a node again, from another binary where that is not empty, and returns when it is ready.
	Start(ctx context.Context, node, binary string) error
	// WaitWhole returns when every group has all of its replicas and a leader.
	WaitWhole(ctx context.Context) error
}

// Outgoing is a site that relays mail to a foreign server.
type Outgoing interface {
	Site
	// Foreign is the address, HOST:PORT on this machine, to which it sends mail for load.SinkDomain; "" for none.
	Foreign() string
}

// Domain is the domain of all accounts that a bench makes.
const Domain = "bench.test"

// ErrUnsupported is returned by what a site cannot do.
var ErrUnsupported = errors.New("this site cannot do that")
