// Package node joins everything into one running node: it reads the data directory, opens the
// databases, the network and the replicas, starts the doors, and stops all of it in reverse. It also
// holds the loops that bring a node and a group to what the directory says. What is decided in them
// is decided by the cores: cluster/placement, cluster/directory, index/mailbox.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/ban"
	"github.com/rookery-mail/rookery/cluster/certs"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/membership"
	"github.com/rookery-mail/rookery/cluster/raftlog"
	"github.com/rookery-mail/rookery/cluster/router"
	"github.com/rookery-mail/rookery/cluster/rpc"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/cluster/transport"
	"github.com/rookery-mail/rookery/cluster/window"
	"github.com/rookery-mail/rookery/cmd/internal/bodies"
	"github.com/rookery-mail/rookery/cmd/internal/config"
	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/index/concordance"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/httpd"
	"github.com/rookery-mail/rookery/mta/managesieve"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// Options is what a node is run with beside its configuration.
type Options struct {
	Version string
	Logger  *slog.Logger
}

// Node is a running node.
type Node struct {
	cfg    config.Config
	opts   Options
	log    *slog.Logger
	layout layout
	record record
	id     cluster.NodeID

	identity   *certs.Identity
	logs       *raftlog.DB
	state      *state.DB
	book       *book
	directory  *directory.Machine
	transport  *transport.Transport
	calls      *rpc.Client
	router     *router.Router
	host       *host
	windows    *window.Windows
	store      *mailstore.Store
	shared     *mailstore.Store   // of mail that is shared, wherever it is
	texts      *concordance.Index // nil where there is none
	indexing   sync.WaitGroup     // what keeps texts up to date; it ends with the doors
	blobs      *bodies.Service
	resolver   *dns.Resolver // from when the replicas are opened
	tlsReports *tlsReports
	ownNames   ownNames
	spam       *spam
	facts      *facts    // of accounts, from when the stores are opened
	scripts    *scripts  // from when the replicas are opened
	outbound   *outbound // nil where mail to other domains is off
	filters    *filters  // from when the replicas are opened
	stage      stage
	gossip     atomic.Pointer[membership.Gossip] // nil until it is started
	bans       *ban.List
	watch      atomic.Pointer[networkGuard] // nil until logins are served
	porters    atomic.Pointer[porters]      // nil until mail is served
	telling    sync.WaitGroup               // what tells other nodes of failed logins and the like; it ends with the doors
	counters   *counters
	levelSeen  atomic.Int64 // the command level that was read last
	goals      goals
	tracing    moment[struct{}, int]
	ruleBook   *ruleBook
	refusals   *refusals // from when mail is served
	recovery   recoveries

	certificate atomic.Pointer[doorCertificate] // of the mail doors, from when they open
	smtp        *smtpd.Server                   // these four from when mail is served
	imap        *imapd.Server
	sieve       *managesieve.Server
	https       *httpd.Server
	remoteAdmin *http.Server

	cleanup []step         // in the order of start; run backwards by stop
	loops   sync.WaitGroup // what brings the node to what the directory says; ended by onStop
	servers sync.WaitGroup // accept loops; each ends when its listener is closed

	mu    sync.Mutex
	doors bool // guarded by mu: mail is being served

	dmarcReports *dmarcReports // nil where mail to other domains is off
}

// step undoes one thing that start did.
type step struct {
	name string
	undo func(ctx context.Context) error
}

// Patience of the stop's steps.
const (
	stopTimeout = 30 * time.Second
	stepTimeout = 10 * time.Second
)

// Serve runs the node until ctx ends, and then stops it gracefully.
func Serve(ctx context.Context, cfg config.Config, opts Options) error {
	n := &Node{cfg: cfg, opts: opts, log: opts.Logger, layout: layout{cfg.DataDir}, id: cluster.NodeID(cfg.Node), bans: ban.NewList(), ruleBook: newRuleBook()}
	err := n.start(ctx)
	if err == nil {
		n.log.Info("the node serves", "node", cfg.Node, "cluster", n.record.Cluster, "version", opts.Version)
		<-ctx.Done()
		n.log.Info("stopping")
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(err, n.stop(stopping))
}

// onStop remembers how to undo what was just done.
func (n *Node) onStop(name string, undo func(context.Context) error) {
	n.cleanup = append(n.cleanup, step{name, undo})
}

// stop undoes the start in reverse: doors first, then leadership, then the disks. Each step has its
// own deadline, so that one that hangs does not keep the next from running.
func (n *Node) stop(ctx context.Context) error {
	var errs []error
	for i := len(n.cleanup) - 1; i >= 0; i-- {
		s := n.cleanup[i]
		stepCtx, cancel := context.WithTimeout(ctx, stepTimeout)
		if err := within(stepCtx, s.undo); errors.Is(err, errHangs) {
			cancel()
			return errors.Join(append(errs, fmt.Errorf("stop %s: %w", s.name, err))...)
		} else if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
		}
		cancel()
	}
	n.servers.Wait()
	return errors.Join(errs...)
}

// errHangs says that a step of the stop did not even heed its deadline, as when a disk refuses to be
// written. What comes after it would touch what it still uses: the process ends as if it was killed.
var errHangs = errors.New("it does not end, the rest is left as it is")

// hangAfter is how long a step may take on top of its deadline.
const hangAfter = 5 * time.Second

// within runs a step of the stop, and leaves it behind when it hangs.
func within(ctx context.Context, undo func(context.Context) error) error {
	done := make(chan error, 1)
	go func() { done <- undo(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(hangAfter):
		return errHangs
	}
}

// start brings the node up; what it did before an error is undone by stop.
func (n *Node) start(ctx context.Context) (err error) {
	for _, part := range []struct {
		name  string
		start func(context.Context) error
	}{
		{"data directory", n.openDirectory},
		{"databases", n.openDatabases},
		{"network", n.openNetwork},
		{"admin API", n.openAdmin},
		{"replicas", n.openReplicas},
		{"gossip", n.openGossip},
		{"mail doors", n.openDoors},
		{"recovery", n.openRecovery},
	} {
		if err := part.start(ctx); err != nil {
			return fmt.Errorf("start the %s: %w", part.name, err)
		}
	}
	return nil
}

// openDirectory locks the data directory and reads who the node is.
func (n *Node) openDirectory(context.Context) (err error) {
	if n.record, err = readRecord(n.cfg); err != nil {
		return err
	}
	unlock, err := lockDir(n.cfg)
	if err != nil {
		return err
	}
	n.onStop("the lock", func(context.Context) error { unlock(); return nil })
	chain, err := os.ReadFile(n.layout.certificate())
	if err != nil {
		return fmt.Errorf("read the node's certificate: %w", err)
	}
	key, err := os.ReadFile(n.layout.key())
	if err != nil {
		return fmt.Errorf("read the node's key: %w", err)
	}
	if n.identity, err = certs.NewIdentity(chain, key, time.Now); err != nil {
		return err
	}
	n.book = newBook(n.record.peers())
	n.counters = newCounters(n)
	return nil
}

// openDatabases opens the log and the state. Damage is said in words that tell what to do.
func (n *Node) openDatabases(context.Context) (err error) {
	if n.logs, err = raftlog.Open(n.layout.logs(), raftlog.Config{Logger: n.log, ReserveBytes: n.cfg.Cluster.MinFreeBytes}); err != nil {
		return err
	}
	n.onStop("the log", func(context.Context) error { return n.logs.Close() })
	if n.state, err = state.Open(n.layout.state(), state.Config{Logger: n.log, CacheBytes: n.cfg.Cluster.CacheBytes}); err != nil {
		return err
	}
	n.onStop("the state", func(context.Context) error { return n.state.Close() })
	n.openTexts()
	return nil
}

// serving returns why mail is not served, or nil.
func (n *Node) serving() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.doors {
		return errors.New("the mail doors are not open yet")
	}
	return nil
}
