package node

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/guard"
	"github.com/rookery-mail/rookery/mta/greylist"
	"github.com/rookery-mail/rookery/mta/porter"
)

// porters is what looks at clients of port 25, with what it shares with the other nodes: who tries names, and who came again.
type porters struct {
	*porter.Porter
	rules    *porterRules
	probes   *networkGuard
	greylist *greylist.List
	news     chan struct{} // of capacity one: there may be news of greylist
	send     func(news []byte) error
	key      [32]byte
	log      *slog.Logger
}

var _ porter.Guard = (*porters)(nil)

// maxGreylist is how much of a greylist nodes exchange in whole, in octets: some 2,600 items, others the next time.
const maxGreylist = 64 << 10

// openPorters makes ready to look at clients, and lets gossip reach what is remembered of them.
func (n *Node) openPorters(resolver porter.Resolver, count func(porter.Why)) *porters {
	p := n.newPorters(resolver, count)
	n.porters.Store(p)
	return p
}

func (n *Node) newPorters(resolver porter.Resolver, count func(porter.Why)) *porters {
	p := &porters{news: make(chan struct{}, 1), send: n.broadcast(gossipGreylist), key: n.keyFor("networks and recipients of mail"), log: n.log}
	p.greylist = greylist.New(p.key)
	p.probes = n.newGuard(failures{gossipProbes, func(s directory.Settings) int { return s.HarvestRecipients }, "recipients that nobody knows"})
	p.rules = &porterRules{view: n.view, ours: n.ours, now: time.Now}
	p.Porter = porter.New(porter.Config{Resolver: resolver, Guard: p, Rules: p.rules.get, Greylist: p.greylist, News: p.hasNews, Count: count, Logger: n.log})
	return p
}

// run tells the other nodes the news until ctx ends.
func (p *porters) run(ctx context.Context) {
	var telling sync.WaitGroup
	telling.Go(func() { p.probes.tellNews(ctx) })
	tellNews(ctx, p.news, p.greylist.News, func(data []byte) {
		if err := p.send(data); err != nil {
			p.log.Warn("other nodes hear later of who is to come again", "error", err)
		}
	})
	telling.Wait()
}

func (p *porters) hasNews() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

func (p *porters) hearGreylist(news []byte) {
	if err := p.greylist.Merge(news, p.rules.get().Greylist, time.Now()); err != nil {
		p.log.Warn("the greylist of another node is not understood", "error", err)
	}
}

// Banned implements porter.Guard.
func (p *porters) Banned(remote netip.Addr) (time.Time, string, bool) {
	if !p.probes.Banned(remote) {
		return time.Time{}, "", false
	}
	r, banned := p.probes.bans.Find(remote, time.Now())
	return r.Until, r.Reason, banned
}

// Probed implements porter.Guard.
func (p *porters) Probed(remote netip.Addr, recipient string) time.Duration {
	return p.probes.Failed(remote, p.user(recipient))
}

// Welcome implements porter.Guard.
func (p *porters) Welcome(remote netip.Addr, recipient string) {
	p.probes.Succeeded(remote, p.user(recipient))
}

// user stands for a recipient in what nodes tell each other.
func (p *porters) user(recipient string) guard.User {
	mac := hmac.New(sha256.New, p.key[:])
	mac.Write([]byte(strings.ToLower(recipient)))
	return guard.User(binary.BigEndian.Uint64(mac.Sum(nil)))
}

// ours reports whether a name is that of a node or a domain of this cluster.
func (n *Node) ours(name string) bool {
	if n.ownHost(name) {
		return true
	}
	return n.view(func(v directory.View) error {
		_, err := v.Domain(name)
		return err
	}) == nil
}

// bansMade is how many networks this node banned.
func (n *Node) bansMade() (made uint64) {
	if g := n.watch.Load(); g != nil {
		made += g.banned.Load()
	}
	if p := n.porters.Load(); p != nil {
		made += p.probes.banned.Load()
	}
	return made
}
