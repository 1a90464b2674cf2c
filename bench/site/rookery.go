package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/bench/load"
)

// RookeryConfig says which cluster to run.
type RookeryConfig struct {
	Binary     string
	Label      string // its name in tables; "" is rookery
	Nodes      int    // 1, 3 or 5
	Partitions int    // 0 is what the binary takes by itself
	Outgoing   bool   // it sends mail to other domains, all of it to Foreign
	Parent     string // where its directory is made; "" is the system's temporary directory
	Progress   func(format string, args ...any)
}

// Rookery is a cluster of nodes on loopback.
type Rookery struct {
	cfg      RookeryConfig
	dir      string
	network  *network
	nodes    []*node
	accounts []load.Login
	past     Usage // of processes that were stopped or killed
}

var (
	_ Clustered = (*Rookery)(nil)
	_ Outgoing  = (*Rookery)(nil)
)

// startTimeout bounds the making of a cluster.
const startTimeout = 3 * time.Minute

// StartRookery makes a cluster as an operator does (init, serve, then token and join for each further
// node) and returns when every group has its replicas.
func StartRookery(ctx context.Context, cfg RookeryConfig) (_ *Rookery, err error) {
	if cfg.Progress == nil {
		cfg.Progress = func(string, ...any) {}
	}
	if cfg.Nodes < 1 || cfg.Nodes > 9 {
		return nil, fmt.Errorf("a cluster of %d nodes: 1 to 9 are possible", cfg.Nodes)
	}
	if cfg.Binary, err = filepath.Abs(cfg.Binary); err != nil {
		return nil, fmt.Errorf("find the binary: %w", err)
	}
	if info, err := os.Stat(cfg.Binary); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
		return nil, fmt.Errorf("%s is not a program: `make build` makes bin/rookery, --binary names another", cfg.Binary)
	}
	s := &Rookery{cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.dir, err = makeDirectory(cfg.Parent); err != nil {
		return nil, err
	}
	if s.network, err = claimNetwork(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.form(ctx); err != nil {
		return nil, err
	}
	return s, s.WaitWhole(ctx)
}

func (s *Rookery) form(ctx context.Context) error {
	for i := 1; i <= s.cfg.Nodes; i++ {
		n := &node{name: fmt.Sprintf("n%d", i), host: s.network.host(i), dir: filepath.Join(s.dir, fmt.Sprintf("n%d", i)), binary: s.cfg.Binary}
		if err := n.writeConfig(s.Foreign(), s.Resolver()); err != nil {
			return err
		}
		if i == 1 {
			args := []string{"init"}
			if s.cfg.Partitions > 0 {
				args = append(args, "--partitions", fmt.Sprint(s.cfg.Partitions))
			}
			if _, err := n.run(ctx, "", args...); err != nil {
				return err
			}
		} else if err := n.join(ctx, s.nodes[0]); err != nil {
			return err
		}
		s.nodes = append(s.nodes, n)
		if err := n.start(ctx); err != nil {
			return err
		}
		s.cfg.Progress("node %d of %d serves", i, s.cfg.Nodes)
	}
	if s.cfg.Outgoing {
		if err := s.setOutgoing(ctx); err != nil {
			return err
		}
	}
	_, err := s.nodes[0].run(ctx, "", "domain", "add", Domain)
	return err
}

// setOutgoing has mail be tried again as soon as Postfix does here, and accounts send without a bound.
func (s *Rookery) setOutgoing(ctx context.Context) error {
	for _, setting := range [][2]string{{"queue_schedule", "3s"}, {"send_messages_hour", "0"}, {"send_recipients_day", "0"},
		{"send_rejections_day", "0"}, {"send_strangers_day", "0"}} {
		if _, err := s.nodes[0].run(ctx, "", "setting", "set", setting[0], setting[1]); err != nil {
			return err
		}
	}
	return nil
}

// Name is the label.
func (s *Rookery) Name() string {
	if s.cfg.Label != "" {
		return s.cfg.Label
	}
	return "rookery"
}

// Directory holds the nodes' files.
func (s *Rookery) Directory() string { return s.dir }

// MX are the plain doors.
func (s *Rookery) MX() []load.Door { return s.doors(portMX, load.Plain) }

// Submission are doors with STARTTLS.
func (s *Rookery) Submission() []load.Door { return s.doors(portSubmission, load.StartTLS) }

// Foreign is the relay of the cluster, which nobody listens on yet.
func (s *Rookery) Foreign() string {
	if !s.cfg.Outgoing {
		return ""
	}
	return hostPort(s.network.host(100), portMX)
}

// Resolver is who the nodes ask about domains, HOST:PORT of this machine; nobody listens there yet.
func (s *Rookery) Resolver() string { return hostPort(s.network.host(101), portDNS) }

// IMAP are doors with TLS from the first octet.
func (s *Rookery) IMAP() []load.Door { return s.doors(portIMAP, load.TLS) }

func (s *Rookery) doors(port int, security load.Security) []load.Door {
	var out []load.Door
	for _, n := range s.nodes {
		out = append(out, load.Door{Address: hostPort(n.host, port), Security: security})
	}
	return out
}

// Accounts makes what is missing of user1, user2 and so on, through the command line.
func (s *Rookery) Accounts(ctx context.Context, n int) ([]load.Login, error) {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	var fresh []load.Login
	for i := len(s.accounts); i < n; i++ {
		l := load.Login{Address: fmt.Sprintf("user%d@%s", i+1, Domain), Password: "bench-secret"}
		fresh = append(fresh, l)
		g.Go(func() error {
			_, err := s.alive().run(gctx, l.Password+"\n", "account", "add", l.Address, "--password-stdin")
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("make accounts: %w", err)
	}
	s.accounts = append(s.accounts, fresh...)
	return slices.Clone(s.accounts[:n]), nil
}

// Command runs the program's command line on a node that runs, and gives what it printed.
func (s *Rookery) Command(ctx context.Context, args ...string) ([]byte, error) {
	return s.alive().run(ctx, "", args...)
}

// Usage adds up all nodes, those processes included that were ended before.
func (s *Rookery) Usage(ctx context.Context) (Usage, error) {
	out := s.past
	out.Measured, out.FsyncsKnown = true, true
	for _, n := range s.nodes {
		u, err := n.usage(ctx)
		if err != nil {
			return Usage{}, err
		}
		out = plus(out, u)
	}
	return out, nil
}

func plus(a, b Usage) Usage {
	a.CPU, a.Written, a.Memory, a.Fsyncs = a.CPU+b.CPU, a.Written+b.Written, a.Memory+b.Memory, a.Fsyncs+b.Fsyncs
	a.FsyncsKnown = a.FsyncsKnown && b.FsyncsKnown
	return a
}

// Close kills the nodes and removes their files. It may be called more than once.
func (s *Rookery) Close() error {
	for _, n := range s.nodes {
		n.kill()
	}
	if s.network != nil {
		s.network.release()
	}
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}
