package node

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/rookery-mail/rookery/cluster/ban"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/cluster/guard"
	"github.com/rookery-mail/rookery/cluster/membership"
)

// networkGuard is what logins, and the door of other servers, ask and tell of the networks that clients come from. It counts
// the failures on all nodes, which tell each other, and bans on all of them. Clients of this machine and of the cluster's
// trusted networks are never banned, and not counted.
type networkGuard struct {
	of       failures
	tally    *guard.Tally
	bans     *ban.List
	settings func() (directory.Settings, error)
	tell     func(r ban.Record, err error) error // tells the other nodes of a record, unless there is an error
	send     func(news []byte) error             // gives the other nodes news of failures
	news     chan struct{}                       // of capacity one: there may be news
	banned   atomic.Uint64                       // how many networks this node banned
	log      *slog.Logger
}

var _ login.Guard = (*networkGuard)(nil)

// failures are what a guard counts.
type failures struct {
	gossip byte                           // the kind of its news
	most   func(s directory.Settings) int // of a network, 0: any number
	words  string                         // for the reason of a ban
}

// newNetworkGuard makes the guard of logins.
func (n *Node) newNetworkGuard() *networkGuard {
	g := n.newGuard(failures{gossipFailures, func(s directory.Settings) int { return s.BanFailures }, "failed logins"})
	n.watch.Store(g)
	return g
}

func (n *Node) newGuard(of failures) *networkGuard {
	g := &networkGuard{of: of, tally: guard.NewTally(), bans: n.bans, tell: n.tellBan, news: make(chan struct{}, 1), log: n.log}
	g.send = n.broadcast(of.gossip)
	g.settings = func() (s directory.Settings, err error) {
		err = n.view(func(v directory.View) (err error) {
			s, err = v.Settings()
			return err
		})
		return s, err
	}
	return g
}

// broadcast gives the other nodes messages of a kind, once there are others.
func (n *Node) broadcast(kind byte) func(news []byte) error {
	return func(news []byte) error {
		if gossip := n.gossip.Load(); gossip != nil {
			return gossip.Broadcast(kind, news)
		}
		return nil
	}
}

// guardKey keys what nodes tell each other of users, so that all mean the same and nobody else can tell who it is.
func (n *Node) guardKey() (key [32]byte) { return n.keyFor("users of failed logins") }

// keyFor is a key that all nodes have, for one purpose.
func (n *Node) keyFor(purpose string) (key [32]byte) {
	mac := hmac.New(sha256.New, n.record.GossipKey)
	mac.Write([]byte(purpose)) // a Hash gives no errors
	mac.Sum(key[:0])
	return key
}

// Trusts implements login.Guard.
func (g *networkGuard) Trusts(remote netip.Addr) bool {
	s, err := g.settings()
	return err == nil && s.Trusts(remote)
}

// Banned implements login.Guard.
func (g *networkGuard) Banned(remote netip.Addr) bool {
	if remote.Unmap().IsLoopback() || !g.bans.Banned(remote, time.Now()) {
		return false
	}
	s, err := g.settings()
	return err == nil && !s.Trusts(remote)
}

// Failed implements login.Guard.
func (g *networkGuard) Failed(remote netip.Addr, user guard.User) time.Duration {
	if !remote.IsValid() || remote.Unmap().IsLoopback() {
		return 0
	}
	s, err := g.settings()
	if err != nil || g.of.most(s) == 0 || s.Trusts(remote) {
		return 0
	}
	now, network := time.Now(), ban.NetworkOf(remote)
	v := g.tally.Failed(network, user, g.policy(s), now)
	g.hasNews()
	if v.Ban {
		g.ban(network, v.Failures, s, now)
	}
	return v.Wait
}

// Succeeded implements login.Guard.
func (g *networkGuard) Succeeded(remote netip.Addr, user guard.User) {
	if remote.IsValid() {
		g.tally.Succeeded(ban.NetworkOf(remote), user, time.Now())
		g.hasNews()
	}
}

func (g *networkGuard) policy(s directory.Settings) guard.Policy {
	return guard.Policy{Failures: g.of.most(s), Window: minutes(s.BanWindowMinutes)}
}

func (g *networkGuard) hasNews() {
	select {
	case g.news <- struct{}{}:
	default:
	}
}

const (
	// newsPause is between two messages of news: what happens meanwhile goes in one, and a flood leaves room for
	// other gossip.
	newsPause = 250 * time.Millisecond
	// maxFailures is how much of the count nodes exchange in whole, in octets: some 3,000 failures.
	maxFailures = 64 << 10
)

// tellNews gives the other nodes the news of failures until ctx ends.
func (g *networkGuard) tellNews(ctx context.Context) {
	tellNews(ctx, g.news, g.tally.News, func(data []byte) {
		if err := g.send(data); err != nil {
			g.log.Warn("other nodes hear of "+g.of.words+" later", "error", err)
		}
	})
}

// tellNews takes news whenever there may be some, and sends them, until ctx ends.
func tellNews(ctx context.Context, may <-chan struct{}, take func(octets int) (data []byte, more bool), send func([]byte)) {
	for more := false; ; {
		if !more {
			select {
			case <-may:
			case <-ctx.Done():
				return
			}
		}
		var data []byte
		if data, more = take(membership.MaxPayload); len(data) == 0 {
			continue
		}
		send(data)
		select {
		case <-time.After(newsPause):
		case <-ctx.Done():
			return
		}
	}
}

// hear takes over what another node tells of failures.
func (g *networkGuard) hear(news []byte) {
	s, err := g.settings()
	if err != nil || g.of.most(s) == 0 {
		return
	}
	now := time.Now()
	reached, err := g.tally.Merge(news, g.policy(s), now)
	if err != nil {
		g.log.Warn(g.of.words+" of another node are not understood", "error", err)
	}
	for _, r := range reached {
		g.ban(r.Network, r.Failures, s, now)
	}
	g.hasNews()
}

// state is what the other nodes may have missed.
func (g *networkGuard) state() []byte {
	s, err := g.settings()
	if err != nil || g.of.most(s) == 0 {
		return nil
	}
	return g.tally.State(maxFailures, g.policy(s), time.Now())
}

// ban bans a network on all nodes. A ban that there is holds: an operator may have said for longer.
func (g *networkGuard) ban(network netip.Prefix, failures int, s directory.Settings, now time.Time) {
	if g.bans.Banned(network.Addr(), now) {
		return
	}
	if !g.bans.Room(now) {
		g.log.Warn("a network is not banned, since there are too many bans", "network", network, "for", g.of.words)
		return
	}
	r, err := g.bans.Ban(network, fmt.Sprintf("%d %s within %d minutes", failures, g.of.words, s.BanWindowMinutes), minutes(s.BanMinutes), now)
	if err != nil {
		g.log.Warn("a network is not banned", "network", network, "for", g.of.words, "error", err)
		return
	}
	g.banned.Add(1)
	if err := g.tell(r, nil); err != nil {
		g.log.Warn("other nodes hear of a ban later", "network", network, "error", err)
	}
}

func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }
