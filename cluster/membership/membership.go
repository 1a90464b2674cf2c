// Package membership is gossip between the nodes of a cluster (SWIM, by hashicorp/memberlist): which
// of them are up, where their cluster port is, and small messages that may get lost. Everything is
// encrypted with a key of the cluster. It decides nothing: who belongs to the cluster is in the
// directory, who holds what is in package placement, and a node that gossip calls dead keeps its
// replicas.
package membership

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/rookery-mail/rookery/cluster"
)

// KeySize is the length of a gossip key in bytes (AES-256).
const KeySize = 32

// NewKey draws a gossip key.
func NewKey() ([]byte, error) {
	key := make([]byte, KeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("draw a gossip key: %w", err)
	}
	return key, nil
}

// Config is what a node gossips with. Facts, ClusterID, Listen, Key, Clock and Logger are required.
type Config struct {
	Facts     Facts  // of this node
	ClusterID string // keeps neighbouring clusters apart
	Listen    string // host:port, TCP and UDP
	Advertise string // host:port that others reach it at; empty means Listen
	Key       []byte // KeySize bytes
	// WAN chooses timings for nodes in several regions.
	WAN bool
	// Peers gives the gossip addresses of the other nodes as the directory knows them. Those that are
	// not up are called again and again, which heals what a long cut has separated. It may be nil.
	Peers func() []string
	// RejoinEvery is the time between such calls; zero is 15 s.
	RejoinEvery time.Duration
	// Receive is given each message that another node broadcast, once, in no certain order. It is
	// called from one goroutine. It may be nil.
	Receive func(kind byte, payload []byte)
	// Shared is what nodes tell each other in whole, at a join and every RejoinEvery with one other
	// node, so that who missed a message or was restarted learns it all the same. It may be nil.
	Shared Shared
	Clock  func() time.Time
	Logger *slog.Logger
}

// Shared is a state that all nodes have and that converges by merging. Its methods are called from
// any goroutine and must not wait.
type Shared interface {
	// State is what this node knows; nil for nothing.
	State() []byte
	// Merge takes over what another node knows.
	Merge(state []byte)
}

// Gossip is a running node's part in the gossip. It is safe for concurrent use.
type Gossip struct {
	cfg   Config
	list  *memberlist.Memberlist
	table table
	queue memberlist.TransmitLimitedQueue
	inbox inbox

	stop context.CancelFunc
	work sync.WaitGroup
}

// Start begins to gossip, alone at first: see Join. ctx bounds nothing but carries values; Stop ends it.
func Start(ctx context.Context, cfg Config) (*Gossip, error) {
	if len(cfg.Key) != KeySize {
		return nil, fmt.Errorf("start gossip: a key of %d bytes, want %d", len(cfg.Key), KeySize)
	}
	if cfg.RejoinEvery == 0 {
		cfg.RejoinEvery = 15 * time.Second
	}
	if cfg.Receive == nil {
		cfg.Receive = func(byte, []byte) {}
	}
	g := &Gossip{cfg: cfg}
	g.table.init(cfg.Clock)
	g.inbox.init()
	meta, err := cfg.Facts.encode()
	if err != nil {
		return nil, fmt.Errorf("start gossip: %w", err)
	}
	settings, err := settings(cfg)
	if err != nil {
		return nil, fmt.Errorf("start gossip: %w", err)
	}
	settings.Delegate = &delegate{gossip: g, meta: meta}
	settings.Events = &events{table: &g.table, logger: cfg.Logger}
	g.queue.RetransmitMult = settings.RetransmitMult
	g.queue.NumNodes = func() int { return g.table.up() }
	if g.list, err = memberlist.Create(settings); err != nil {
		return nil, fmt.Errorf("start gossip on %s: %w", cfg.Listen, err)
	}
	ctx, g.stop = context.WithCancel(context.WithoutCancel(ctx))
	g.work.Go(func() { g.rejoin(ctx) })
	g.work.Go(func() { g.inbox.deliver(ctx, cfg.Receive) })
	return g, nil
}

// settings is memberlist's own configuration.
func settings(cfg Config) (*memberlist.Config, error) {
	s := memberlist.DefaultLANConfig()
	if cfg.WAN {
		s = memberlist.DefaultWANConfig()
	}
	var err error
	if s.BindAddr, s.BindPort, err = splitAddress(cfg.Listen); err != nil {
		return nil, err
	}
	if cfg.Advertise != "" {
		if s.AdvertiseAddr, s.AdvertisePort, err = splitAddress(cfg.Advertise); err != nil {
			return nil, err
		}
	} else {
		s.AdvertisePort = s.BindPort
	}
	s.Name = string(cfg.Facts.ID)
	s.Label = cfg.ClusterID
	s.SecretKey = cfg.Key
	// A node may come back at another address as soon as the old one is known to be dead. Whoever
	// returns before that is heard at the next exchange of all that is known.
	s.DeadNodeReclaimTime = time.Millisecond
	s.PushPullInterval = cfg.RejoinEvery
	s.Logger = log.New(&lines{cfg.Logger}, "", 0)
	s.DelegateProtocolMin, s.DelegateProtocolMax, s.DelegateProtocolVersion = 1, 1, 1
	return s, nil
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("gossip address %q: %w", address, err)
	}
	if port, err = strconv.Atoi(text); err != nil {
		return "", 0, fmt.Errorf("gossip address %q: %w", address, err)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	return host, port, nil
}

// Join calls nodes at their gossip addresses and takes over who they know. It succeeds if one
// answers.
func (g *Gossip) Join(addresses ...string) error {
	if len(addresses) == 0 {
		return nil
	}
	if n, err := g.list.Join(addresses); n == 0 {
		return fmt.Errorf("join the gossip at %s: %w", strings.Join(addresses, ", "), err)
	}
	return nil
}

// rejoin calls peers that are not up, until ctx ends.
func (g *Gossip) rejoin(ctx context.Context) {
	ticker := time.NewTicker(g.cfg.RejoinEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if g.cfg.Peers == nil {
			continue
		}
		up := g.table.gossipAddresses()
		missing := slices.DeleteFunc(slices.Clone(g.cfg.Peers()), func(a string) bool { return slices.Contains(up, a) })
		if err := g.Join(missing...); err != nil {
			g.cfg.Logger.Debug("peers that are down do not answer", "error", err)
		}
	}
}

// Address is where this node gossips.
func (g *Gossip) Address() string { return g.list.LocalNode().Address() }

// Members are all nodes heard of since the start, this one among them, by id.
func (g *Gossip) Members() []Member { return g.table.members() }

// Alive reports whether a node is up as far as is known here.
func (g *Gossip) Alive(id cluster.NodeID) bool { return g.table.alive(id) }

// Changed returns a channel that is closed at the next change of Members.
func (g *Gossip) Changed() <-chan struct{} { return g.table.changed() }

// leaveTimeout bounds the goodbye to the others.
const leaveTimeout = 2 * time.Second

// Stop tells the others that the node leaves on purpose, and ends everything.
func (g *Gossip) Stop() error {
	// Beside memberlist's own farewell, in the same packets.
	said := g.broadcast(goodbye, []byte(g.cfg.Facts.ID))
	leave := errors.Join(said, g.list.Leave(leaveTimeout))
	return errors.Join(leave, g.end())
}

// end stops without a word, as a crash would.
func (g *Gossip) end() error {
	g.stop()
	err := g.list.Shutdown()
	g.work.Wait()
	if err != nil {
		return fmt.Errorf("stop gossip: %w", err)
	}
	return nil
}

// lines turns memberlist's log lines ("[WARN] memberlist: …") into records.
type lines struct{ to *slog.Logger }

var _ io.Writer = (*lines)(nil)

// Write takes one line.
func (l *lines) Write(p []byte) (int, error) {
	text := strings.TrimSpace(string(p))
	level := slog.LevelInfo
	for prefix, is := range map[string]slog.Level{
		"[DEBUG] ": slog.LevelDebug, "[INFO] ": slog.LevelInfo, "[WARN] ": slog.LevelWarn,
		"[ERR] ": slog.LevelWarn, "[ERROR] ": slog.LevelWarn, // a peer's trouble, not this node's
	} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			text, level = rest, is
		}
	}
	l.to.Log(context.Background(), level, strings.TrimPrefix(text, "memberlist: "), "from", "memberlist")
	return len(p), nil
}
