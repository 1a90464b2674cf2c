package node

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/rookery-mail/rookery/cluster/ban"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/cluster/guard"
)

// networkGuard is what logins ask and tell of the networks that they come from. It counts the failures on
// this node and bans on all of them. Clients of this machine and of the cluster's trusted networks are
// never banned, and not counted.
type networkGuard struct {
	tally    *guard.Tally
	bans     *ban.List
	settings func() (directory.Settings, error)
	tell     func(r ban.Record, err error) error // tells the other nodes of a record, unless there is an error
	banned   atomic.Uint64                       // how many networks this node banned
	log      *slog.Logger
}

var _ login.Guard = (*networkGuard)(nil)

func (n *Node) newNetworkGuard() *networkGuard {
	g := &networkGuard{tally: guard.NewTally(), bans: n.bans, tell: n.tellBan, log: n.log}
	g.settings = func() (s directory.Settings, err error) {
		err = n.view(func(v directory.View) (err error) {
			s, err = v.Settings()
			return err
		})
		return s, err
	}
	return g
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
	if err != nil || s.BanFailures == 0 || s.Trusts(remote) {
		return 0
	}
	now, network := time.Now(), ban.NetworkOf(remote)
	v := g.tally.Failed(network, user, guard.Policy{Failures: s.BanFailures, Window: minutes(s.BanWindowMinutes)}, now)
	if v.Ban {
		g.ban(network, v.Failures, s, now)
	}
	return v.Wait
}

// Succeeded implements login.Guard.
func (g *networkGuard) Succeeded(remote netip.Addr, user guard.User) {
	if remote.IsValid() {
		g.tally.Succeeded(ban.NetworkOf(remote), user, time.Now())
	}
}

// ban bans a network on all nodes. A ban that there is holds: an operator may have said for longer.
func (g *networkGuard) ban(network netip.Prefix, failures int, s directory.Settings, now time.Time) {
	if g.bans.Banned(network.Addr(), now) {
		return
	}
	if !g.bans.Room(now) {
		g.log.Warn("a network that guesses passwords is not banned, since there are too many bans", "network", network)
		return
	}
	r, err := g.bans.Ban(network, fmt.Sprintf("%d failed logins within %d minutes", failures, s.BanWindowMinutes), minutes(s.BanMinutes), now)
	if err != nil {
		g.log.Warn("a network that guesses passwords is not banned", "network", network, "error", err)
		return
	}
	g.banned.Add(1)
	if err := g.tell(r, nil); err != nil {
		g.log.Warn("other nodes hear of a ban later", "network", network, "error", err)
	}
}

func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }
