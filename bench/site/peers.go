package site

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/bench/load"
)

// PeersConfig says how Postfix and Dovecot are run.
type PeersConfig struct {
	Format   string // Dovecot's mailbox format: maildir or mdbox
	Parent   string // as in RookeryConfig
	LMTPOnly bool   // leave Postfix out and deliver to Dovecot's LMTP, which syncs before its 250
	Progress func(format string, args ...any)
}

// Peers is Postfix, which hands over to Dovecot by LMTP, as Debian packages them: with directories of their
// own on loopback, and fsync as they ship.
type Peers struct {
	cfg       PeersConfig
	dir       string
	network   *network
	processes []*process
}

var _ Outgoing = (*Peers)(nil)

// peerPrograms are what must be installed, and in which Debian package.
func peerPrograms() map[string]string {
	return map[string]string{"/usr/sbin/postfix": "postfix", "/usr/sbin/dovecot": "dovecot-imapd", "/usr/lib/dovecot/lmtp": "dovecot-lmtpd"}
}

// InstallPeers installs what is missing when this is root on Debian, and says what to install otherwise. The
// packages' own servers are not started.
func InstallPeers(ctx context.Context, progress func(string, ...any)) error {
	var missing []string
	for path, name := range peerPrograms() {
		if _, err := os.Stat(path); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	list := strings.Join(missing, " ")
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("the peers are not installed: apt-get install %s", list)
	}
	progress("install %s", list)
	const policy = "/usr/sbin/policy-rc.d" // asked by Debian's packages whether they may start servers
	if _, err := os.Stat(policy); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
			return fmt.Errorf("keep the packages from starting servers: %w", err)
		}
		defer os.Remove(policy)
	}
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"install", "-y", "-q", "--no-install-recommends"}, missing...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("install %s: %w: %s", list, err, out[max(0, len(out)-500):])
	}
	return nil
}

// StartPeers starts the servers; it must be root, as they change their users.
func StartPeers(ctx context.Context, cfg PeersConfig) (_ *Peers, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("Postfix and Dovecot must be started by root")
	}
	p := &Peers{cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if p.dir, err = makeDirectory(cfg.Parent); err != nil {
		return nil, err
	}
	if p.network, err = claimNetwork(); err != nil {
		return nil, err
	}
	if err := p.startDovecot(); err != nil {
		return nil, err
	}
	if !cfg.LMTPOnly {
		if err := p.startPostfix(ctx); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, door := range slices.Concat(p.MX(), p.Submission(), p.IMAP()) {
		if err := p.answers(ctx, door.Address); err != nil {
			return nil, fmt.Errorf("wait for %s: %w", door.Address, err)
		}
	}
	return p, nil
}

func (p *Peers) answers(ctx context.Context, address string) error {
	return poll(ctx, func() error {
		for _, server := range p.processes {
			if err := server.died(); err != nil {
				return err
			}
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// Name tells the servers and the mailbox format.
func (p *Peers) Name() string {
	if p.cfg.LMTPOnly {
		return "dovecot-lmtp-" + p.cfg.Format
	}
	return "postfix+dovecot-" + p.cfg.Format
}

// Directory holds the mail.
func (p *Peers) Directory() string { return p.dir }

// MX is Postfix, or Dovecot's LMTP without it.
func (p *Peers) MX() []load.Door {
	if p.cfg.LMTPOnly {
		return []load.Door{{Address: hostPort(p.network.host(1), portSubmission), LMTP: true}}
	}
	return []load.Door{{Address: hostPort(p.network.host(1), portMX)}}
}

// Submission is Postfix, which asks Dovecot for the passwords; none without it.
func (p *Peers) Submission() []load.Door {
	if p.cfg.LMTPOnly {
		return nil
	}
	return []load.Door{{Address: p.submission(), Security: load.StartTLS}}
}

// submission is an address of its own: Dovecot's LMTP has the port on the first.
func (p *Peers) submission() string { return hostPort(p.network.host(2), portSubmission) }

// Foreign is an address of its own, to which Postfix sends.
func (p *Peers) Foreign() string {
	if p.cfg.LMTPOnly {
		return ""
	}
	return hostPort(p.network.host(3), portMX)
}

// IMAP is Dovecot with TLS from the first octet.
func (p *Peers) IMAP() []load.Door {
	return []load.Door{{Address: hostPort(p.network.host(1), portIMAP), Security: load.TLS}}
}

// Accounts need no making: Dovecot's user database takes every name, and Postfix every recipient.
func (p *Peers) Accounts(_ context.Context, n int) ([]load.Login, error) {
	var out []load.Login
	for i := range n {
		out = append(out, load.Login{Address: fmt.Sprintf("user%d@%s", i+1, Domain), Password: "bench-secret"})
	}
	return out, nil
}

// Usage adds up both process trees. Their fsyncs are not known: nothing in /proc counts them.
func (p *Peers) Usage(context.Context) (Usage, error) {
	out := Usage{Measured: true}
	for _, server := range p.processes {
		u, err := server.usage()
		if err != nil {
			return Usage{}, err
		}
		out = plus(out, Usage{Usage: u})
	}
	return out, nil
}

// Close ends the servers and removes their files.
func (p *Peers) Close() error {
	for _, server := range p.processes {
		server.kill()
	}
	p.processes = nil
	if p.network != nil {
		p.network.release()
	}
	if p.dir == "" {
		return nil
	}
	return os.RemoveAll(p.dir)
}

// start runs one of the servers in the foreground.
func (p *Peers) start(name string, args ...string) error {
	server, err := startProcess(filepath.Join(p.dir, filepath.Base(name)+".log"), name, args...)
	if err != nil {
		return err
	}
	p.processes = append(p.processes, server)
	return nil
}
