package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/group"
	"github.com/rookery-mail/rookery/cluster/router"
	"github.com/rookery-mail/rookery/cluster/rpc"
	"github.com/rookery-mail/rookery/cluster/transport"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/passage"
)

// openNetwork opens the cluster port and everything that is spoken on it.
func (n *Node) openNetwork(ctx context.Context) error {
	listener, err := net.Listen("tcp", n.cfg.Cluster.Listen)
	if err != nil {
		return fmt.Errorf("cluster.listen: %w", err)
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n.transport = transport.New(life, transport.Config{Self: n.id, Identity: n.identity, Listener: listener,
		Resolve: n.book.address, Authorize: n.book.allowed, Logger: n.log})
	members, joining := rpc.NewMux(rpc.MaxFrame, n.log), rpc.NewMux(rpc.JoinFrame, n.log)
	n.calls = rpc.NewClient(rpc.ClientConfig{Self: n.id, Local: members,
		DialCalls: func(ctx context.Context, node cluster.NodeID) (net.Conn, error) {
			return n.transport.Dial(ctx, node, transport.KindRPC)
		},
		DialStreams: func(ctx context.Context, node cluster.NodeID) (net.Conn, error) {
			return n.transport.Dial(ctx, node, transport.KindStream)
		}})
	n.directory = directory.New()
	n.host = newHost(hostConfig{node: n.id, logs: n.logs, state: n.state, snapshots: n.layout.snapshots(),
		timing: n.timing(), logger: n.log, directory: n.directory, opened: n.beside, touched: n.touched,
		dial: func(g cluster.GroupID) (raft.Transport, error) { return n.transport.Raft(g) }})
	n.router = router.New(router.Config{Self: n.id, Local: n.localGroup, Members: n.book.members, Caller: n.calls,
		Clock: time.Now, Random: rand.Reader, Level: n.level})
	n.router.Serve(members)
	n.openWindows(life, members)
	n.openBlobs(members)
	n.openStore(members)
	n.openSpam()
	members.Register(methodStatus, n.serveStatus)
	members.Register(methodApplied, n.serveApplied)
	members.Register(methodReadmit, n.serveReadmit)
	members.Register(methodMember, n.serveMember)
	members.RegisterService(serviceIMAP, n.serveHandedOver)
	members.RegisterService(passage.Service, n.servePassage)
	members.Register(methodSites, n.serveSites)
	joining.Register(methodJoin, n.serveJoin)
	n.transport.Handle(transport.KindRPC, members.ServeCalls)
	n.transport.Handle(transport.KindStream, members.ServeStreams)
	n.transport.Handle(transport.KindJoin, joining.ServeCalls)
	n.servers.Go(func() {
		if err := n.transport.Serve(); err != nil && life.Err() == nil {
			n.log.Error("the cluster port closed", "error", err)
		}
	})
	n.onStop("the network", func(context.Context) error {
		cancel()
		return errors.Join(n.windows.Close(), n.calls.Close(), n.transport.Close())
	})
	return nil
}

func (n *Node) timing() group.Timing {
	if n.cfg.Cluster.Timing == "wan" {
		return group.WAN()
	}
	return group.LAN()
}

func (n *Node) localGroup(g cluster.GroupID) (router.Group, bool) {
	r, err := n.host.get(g)
	if err != nil {
		return nil, false
	}
	return r, true
}

// adminConfig is what the admin API is over.
func (n *Node) adminConfig() adminapi.Config {
	return adminapi.Config{Observer: n, DKIM: n, DNSLists: n, Domains: n, DomainMails: n, Accounts: n, Scripts: n, Senders: n, Sharing: n, Aliases: n, Bans: n, Settings: n, Tokens: n, Nodes: n, Blobs: n, BlobKeys: n, Recovery: n,
		Filters:      n,
		TLSReports:   n,
		DMARCReports: n,
		TLSRules:     n,
		Queue:        n,
		Routing:      n,
		Spam:         n,
		Tracer:       n,
		Inbound:      n,
		Explainer:    n,
		Metrics:      n.counters.handler()}
}

// openAdmin opens the admin API on the node's socket.
func (n *Node) openAdmin(context.Context) error {
	if err := os.Remove(n.cfg.Admin.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove an old admin socket: %w", err)
	}
	socket, err := net.Listen("unix", n.cfg.Admin.Socket)
	if err != nil {
		return fmt.Errorf("admin.socket: %w", err)
	}
	if err := os.Chmod(n.cfg.Admin.Socket, 0o600); err != nil {
		return errors.Join(fmt.Errorf("admin.socket: %w", err), socket.Close())
	}
	n.onStop("the admin API", n.serveHTTP(socket, adminapi.Local(n.adminConfig())).Shutdown)
	return nil
}

// serveHTTP serves until the returned server is shut down.
func (n *Node) serveHTTP(l net.Listener, h http.Handler) *http.Server {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	n.servers.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			n.log.Error("the admin API closed", "error", err)
		}
	})
	return server
}
