package node

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/mta/dispatch"
	"github.com/rookery-mail/rookery/mta/passage"
	"github.com/rookery-mail/rookery/mta/receiver"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/shaping"
)

// openRoutes makes what decides how mail leaves. next makes the attempts.
func (n *Node) openRoutes(resolver dispatch.Resolver, next dispatch.Deliverer) {
	limits := &siteLimits{settings: n.outbound.policy.settings, table: receiver.Known()}
	var relay *remote.Hop
	if host := n.cfg.Outbound.Relay; host != "" {
		relay = &remote.Hop{Route: "outbound.relay", Hosts: []string{host}}
	}
	metrics := newSiteMetrics(n)
	n.outbound.lanes = shaping.New(shaping.Config{Clock: time.Now, Limits: limits.of, Seen: metrics.seen})
	n.outbound.routes = dispatch.New(dispatch.Config{Node: n.id, Next: next, Directory: mailRecords{n}, Resolver: resolver, Relay: relay,
		Limits: limits.of, Clock: time.Now, Random: rand.Float64, Logger: n.log})
	n.counters.registry.MustRegister(metrics, metrics.attempts, metrics.recipients)
}

// siteLimits are what receivers are sent at most, as the setting says that was read last.
type siteLimits struct {
	settings func() directory.Settings

	mu    sync.Mutex // guards what follows
	text  string
	table receiver.Table
}

func (l *siteLimits) of(site string) receiver.Limits {
	text := l.settings().ReceiverLimits
	l.mu.Lock()
	defer l.mu.Unlock()
	if text != l.text {
		if t, err := receiver.ParseTable(text); err == nil { // the setting was checked as it was set
			l.table = t
		}
		l.text = text
	}
	return l.table.Of(site)
}

// dialOut connects to a host by way of a source, which may be at another node.
func (n *Node) dialOut(ctx context.Context, from remote.Source, to netip.AddrPort) (net.Conn, error) {
	if from.Node == "" || from.Node == n.id {
		return remote.DialFrom(ctx, from, to)
	}
	return passage.Dial(ctx, n.calls, from, to)
}

// servePassage connects from an address of this node for another.
func (n *Node) servePassage(ctx context.Context, _ cluster.NodeID, conn net.Conn) {
	g := passage.Gate{Mine: n.hasEgress, Dial: remote.DialFrom}
	g.Serve(ctx, conn)
}

// hasEgress reports whether mail may go out by an address of this node.
func (n *Node) hasEgress(a netip.Addr) bool {
	mine := false
	err := n.view(func(v directory.View) error {
		r, err := v.MailRecord(directory.MailEgress, a.String())
		mine = err == nil && r.GetEgress().GetNode() == string(n.id)
		return nil
	})
	return err == nil && mine
}

// sweepEvery is how often the directory's leader removes records of mail that are over.
const sweepEvery = time.Hour

// sweepMailRecords is leader work of the directory.
func (n *Node) sweepMailRecords(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := dispatch.Sweep(ctx, mailRecords{n}, time.Now()); err != nil && ctx.Err() == nil {
			n.log.Warn("old records of what was sent are kept for now", "error", err)
		}
	}
}
