package load

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Server is one Rookery node under test, run from a binary in a directory of its own.
type Server struct {
	Binary string // path of the program
	Dir    string // where it keeps everything
	Host   string // loopback address that all of its doors listen on

	cmd *exec.Cmd
}

// SMTP and IMAP are the plain addresses of the node's doors.
func (s *Server) SMTP() string { return net.JoinHostPort(s.Host, "2525") }

// IMAP is the address of the IMAP door with STARTTLS.
func (s *Server) IMAP() string { return net.JoinHostPort(s.Host, "2143") }

// PID is the process id of the running node.
func (s *Server) PID() int { return s.cmd.Process.Pid }

func (s *Server) configPath() string { return filepath.Join(s.Dir, "rookery.toml") }

// Init makes a cluster of one.
func (s *Server) Init(ctx context.Context) error {
	text := fmt.Sprintf(`node = "bench"
region = "bench"
data_dir = %[1]q
[cluster]
listen = "%[2]s:7700"
gossip_listen = "%[2]s:7701"
[smtp]
hostname = "bench.example.org"
mx = ["%[2]s:2525"]
submission = []
submissions = []
[imap]
listen = ["%[2]s:2143"]
tls_listen = []
[log]
level = "warn"
`, filepath.Join(s.Dir, "data"), s.Host)
	if err := os.WriteFile(s.configPath(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	_, err := s.Command(ctx, "", "init")
	return err
}

// Command runs the binary's command line and returns what it printed.
func (s *Server) Command(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.Binary, append([]string{"--config", s.configPath()}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("rookery %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// Start runs the node and returns how long it took until it was ready.
func (s *Server) Start(ctx context.Context) (time.Duration, error) {
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("open the node's log: %w", err)
	}
	defer log.Close() // the process has its own
	s.cmd = exec.Command(s.Binary, "--config", s.configPath(), "serve")
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	start := time.Now()
	if err := s.cmd.Start(); err != nil {
		return 0, fmt.Errorf("start the node: %w", err)
	}
	for time.Since(start) < 2*time.Minute {
		if s.ready(ctx) {
			return time.Since(start), nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 0, fmt.Errorf("the node was not ready after two minutes: see %s", log.Name())
}

func (s *Server) ready(ctx context.Context) bool {
	socket := filepath.Join(s.Dir, "data", "admin.sock")
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // nothing is read of it
	return resp.StatusCode == http.StatusOK
}

// Stop ends the node with a signal and returns how long that took. After SIGKILL its exit status says
// nothing.
func (s *Server) Stop(signal syscall.Signal) (time.Duration, error) {
	start := time.Now()
	if err := s.cmd.Process.Signal(signal); err != nil {
		return 0, fmt.Errorf("signal the node: %w", err)
	}
	err := s.cmd.Wait()
	if signal == syscall.SIGKILL {
		err = nil
	}
	return time.Since(start), err
}

// Kill makes sure that the node does not run any more.
func (s *Server) Kill() {
	if s.cmd != nil && s.cmd.ProcessState == nil {
		_, _ = s.Stop(syscall.SIGKILL) // it may have ended by itself
	}
}
