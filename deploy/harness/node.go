package harness

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Node is one machine of the cluster: a configuration, a data directory and, while it runs, a
// process. Its methods are for one goroutine at a time; addresses may be read by all.
type Node struct {
	cluster *Cluster
	number  int
	process *process // nil while it does not run

	Name     string // the node's id in the cluster
	Region   string
	Hostname string // the name it says in EHLO and that its certificate is for
	Dir      string // holds rookery.toml, data and log
}

// IP is the node's loopback address.
func (n *Node) IP() string { return n.cluster.addresses.node(n.number) }

// MX is where the node takes mail from other servers.
func (n *Node) MX() string { return hostPort(n.IP(), portMX) }

// Submission is where it takes mail from users, with STARTTLS.
func (n *Node) Submission() string { return hostPort(n.IP(), portSubmission) }

// Submissions is where it takes mail from users, with TLS from the first byte.
func (n *Node) Submissions() string { return hostPort(n.IP(), portSubmissions) }

// IMAP is its IMAP door with STARTTLS.
func (n *Node) IMAP() string { return hostPort(n.IP(), portIMAP) }

// IMAPS is its IMAP door with TLS from the first byte.
func (n *Node) IMAPS() string { return hostPort(n.IP(), portIMAPS) }

// ConfigPath is its rookery.toml.
func (n *Node) ConfigPath() string { return filepath.Join(n.Dir, "rookery.toml") }

// LogPath is where its output goes, over all of its starts.
func (n *Node) LogPath() string { return filepath.Join(n.Dir, "log") }

// Socket is its admin socket.
func (n *Node) Socket() string { return filepath.Join(n.Dir, "data", "admin.sock") }

// CAPath is a PEM file with the cluster's authority, which signed the certificates of SMTP and
// IMAP. It is there after init or join.
func (n *Node) CAPath() string { return filepath.Join(n.Dir, "data", "node.pem") }

// advertised is the cluster address that other nodes dial.
func (n *Node) advertised() string {
	if n.cluster.cfg.Proxied {
		return hostPort(n.cluster.addresses.proxy(n.number), portCluster)
	}
	return hostPort(n.IP(), portCluster)
}

func (n *Node) gossipAdvertised() string {
	if n.cluster.cfg.Proxied {
		return hostPort(n.cluster.addresses.proxy(n.number), portGossip)
	}
	return hostPort(n.IP(), portGossip)
}

func (n *Node) writeConfig() error {
	if err := os.MkdirAll(n.Dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of %s: %w", n.Name, err)
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if extra := n.cluster.cfg.ExtraTOML; extra != "" {
		line("%s", extra)
	}
	line("data_dir = %q\nnode = %q\nregion = %q", filepath.Join(n.Dir, "data"), n.Name, n.Region)
	line("[cluster]\nlisten = %q\nadvertise = %q", hostPort(n.IP(), portCluster), n.advertised())
	line("gossip_listen = %q\ngossip_advertise = %q", hostPort(n.IP(), portGossip), n.gossipAdvertised())
	line("[smtp]\nhostname = %q\nmx = [%q]\nsubmission = [%q]\nsubmissions = [%q]", n.Hostname, n.MX(), n.Submission(), n.Submissions())
	line("max_connections_per_address = 2000")
	line("[imap]\nlisten = [%q]\ntls_listen = [%q]", n.IMAP(), n.IMAPS())
	if err := os.WriteFile(n.ConfigPath(), []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("write the configuration of %s: %w", n.Name, err)
	}
	return nil
}

// Run runs a rookery command with the node's configuration and gives what it printed. An error
// holds what it wrote to standard error.
func (n *Node) Run(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, n.cluster.cfg.Binary, append(args[:len(args):len(args)], "--config", n.ConfigPath())...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("rookery %s on %s: %w: %s", strings.Join(args, " "), n.Name, err, strings.TrimSpace(complaint.String()))
	}
	return out.Bytes(), nil
}

// JSON runs a rookery command with --json and reads its answer into out.
func (n *Node) JSON(ctx context.Context, out any, args ...string) error {
	data, err := n.Run(ctx, "", append(args[:len(args):len(args)], "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("read the answer of rookery %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// AddAccount makes an account through this node.
func (n *Node) AddAccount(ctx context.Context, address, password string) error {
	_, err := n.Run(ctx, password+"\n", "account", "add", address, "--password-stdin")
	return err
}

// TLS is the client configuration for the node's doors: it trusts the cluster's own authority and
// nobody else.
func (n *Node) TLS() (*tls.Config, error) {
	data, err := os.ReadFile(n.CAPath())
	if err != nil {
		return nil, fmt.Errorf("read the cluster's authority: %w", err)
	}
	pool, found := x509.NewCertPool(), false
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil && cert.IsCA {
			pool.AddCert(cert)
			found = true
		}
	}
	if !found {
		return nil, errors.New("read the cluster's authority: no certificate authority in " + n.CAPath())
	}
	return &tls.Config{RootCAs: pool, ServerName: n.Hostname, MinVersion: tls.VersionTLS12}, nil
}
