//go:build linux

package netnstest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// within runs f with the network of a host.
func within(host string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		ns, err := os.Open(path(os.Getenv(inside), host))
		if err != nil {
			done <- err
			return
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter the network of %s: %w", host, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// listen listens with the network of a host.
func listen(t *testing.T, host, address string) (l net.Listener) {
	t.Helper()
	err := within(host, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// peer is a mail server of somebody else's.
type peer struct {
	name, mail string
	log        string // what it wrote
}

// cache is where install-peers left the packages.
func cache(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("ROOKERY_NETNS_PEERS")
	if dir == "" {
		t.Skip("ROOKERY_NETNS_PEERS does not say where the peers are: use make netns-test")
	}
	return dir
}

// tree is the packages of a peer.
func tree(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(cache(t), name)
	if _, err := os.Stat(filepath.Join(dir, "complete")); err != nil {
		t.Skipf("%s is not there: deploy/netnstest/install-peers fetches it on Debian", name)
	}
	return filepath.Join(dir, "tree")
}

// startPeer runs a server in its namespace with files laid over the system's, until the test ends.
func startPeer(t *testing.T, name string, files map[string]string, command ...string) *peer {
	t.Helper()
	packages := tree(t, name)
	work := t.TempDir()
	p := &peer{name: name, mail: filepath.Join(work, "mail"), log: filepath.Join(work, "log")}
	for _, dir := range []string{"root", "files", "mail"} {
		if err := os.Mkdir(filepath.Join(work, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	files["etc/resolv.conf"] = "nameserver " + v4(hosts["rookery"]) + "\n"
	for file, text := range files {
		file = filepath.Join(work, "files", file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasSuffix(file, ".key") {
			mode = 0o600
		}
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	script, err := filepath.Abs("enter-peer")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--net=" + path(os.Getenv(inside), name), "unshare", "--mount", "--pid", "--fork", "--kill-child", script, packages, work}
	p.run(t, exec.Command("nsenter", append(args, command...)...))
	await(t, name+" listens", func() error {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(v4(hosts[name]), "25"), time.Second)
		if err != nil {
			return fmt.Errorf("%w; it says:\n%s", err, p.said())
		}
		return c.Close()
	})
	return p
}

// run runs a command until the test ends.
func (p *peer) run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the process has its own
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended by itself
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", p.name, p.said())
		}
	})
}

// said is the end of what a peer wrote.
func (p *peer) said() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-4000):])
}

// messages are what is in bob's mailbox, with lines ending in CRLF.
func (p *peer) messages(t *testing.T) (list []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.mail, "bob", "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), "\r\n", "\n")
		list = append(list, strings.ReplaceAll(text, "\n", "\r\n"))
	}
	return list
}

// await tries until there is no error.
func await(t *testing.T, what string, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not after %v: %v", what, patience, err)
		case <-tick.C:
		}
	}
}
