package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// catchUpPause is between two tries to catch up.
const catchUpPause = 100 * time.Millisecond

// catchUp marks a replica as fresh when it shows all that was acknowledged before it was opened. After
// a kill the state on disk is as old as its last flush, and the rest of the log may be applied only
// once a leader has said how far it is committed. Mail must not be read from it before: a mailbox
// that goes back in time makes mail clients delete what they have.
func (n *Node) catchUp(ctx context.Context, r *replica) {
	for {
		if _, err := n.router.Fresh(ctx, r.ID()); err == nil {
			close(r.fresh)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(catchUpPause):
		}
	}
}

// isFresh reports whether the replica has caught up since it was opened. It may be behind again later:
// a node that is cut off serves what it has.
func (r *replica) isFresh() bool {
	select {
	case <-r.fresh:
		return true
	default:
		return false
	}
}

// fresh returns the replica of g that mail is read from, or cluster.ErrNoReplica: another node serves
// until this one has caught up, and once the group went elsewhere. A follower that is taken out of its
// group is told by nobody and hears nothing more, so it must stop when the map says that it will be; a
// leader knows what it is, and serves until it has handed over.
func (n *Node) fresh(g cluster.GroupID) (*replica, error) {
	r, err := n.host.get(g)
	if err != nil {
		return nil, err
	}
	if !r.isFresh() {
		return nil, fmt.Errorf("%v is catching up: %w", g, cluster.ErrNoReplica)
	}
	if !n.book.lists(g, n.id) && !r.IsLeader() {
		return nil, fmt.Errorf("%v went to other nodes: %w", g, cluster.ErrNoReplica)
	}
	return r, nil
}

// confirmPatience is how long a negative answer may take to be confirmed: less than a sending server
// waits for the reply to RCPT (RFC 5321, section 4.5.3.2.3: five minutes).
const confirmPatience = 10 * time.Second

// confirmed is the directory as the SMTP door sees it. What would send mail back for ever, that an
// address or a domain is unknown, is asked again of a directory that is certainly up to date; where
// there is no majority to ask the error is cluster.ErrUnavailable.
type confirmed struct {
	smtpd.Directory
	life   context.Context // of the doors
	node   *Node
	flight *singleflight.Group // senders who guess addresses share one question
}

// Resolve finds whom the mail for an address goes to.
func (c confirmed) Resolve(address string) (directory.Resolution, error) {
	found, err := c.Directory.Resolve(address)
	if !errors.Is(err, directory.ErrNoUser) && !errors.Is(err, directory.ErrNoDomain) {
		return found, err
	}
	_, problem, _ := c.flight.Do("directory", func() (any, error) {
		ctx, cancel := context.WithTimeout(c.life, confirmPatience)
		defer cancel()
		return c.node.router.Fresh(ctx, cluster.DirectoryGroup)
	})
	if problem != nil {
		return directory.Resolution{}, fmt.Errorf("confirm that %s is unknown: %w: %w", address, cluster.ErrUnavailable, problem)
	}
	return c.Directory.Resolve(address)
}
