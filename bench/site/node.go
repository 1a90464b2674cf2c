package site

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// node is one Rookery node: a configuration, a data directory and, while it runs, a process.
type node struct {
	name, host, dir, binary string
	process                 *process
}

func (n *node) configPath() string { return filepath.Join(n.dir, "rookery.toml") }

// writeConfig writes the configuration; relay is where mail for other domains goes, "" for nowhere, and
// resolver who is asked about domains.
func (n *node) writeConfig(relay, resolver string) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of %s: %w", n.name, err)
	}
	text := fmt.Sprintf(`data_dir = %[1]q
node = %[2]q
region = %[2]q
[cluster]
listen = "%[3]s:%[4]d"
gossip_listen = "%[3]s:%[5]d"
[smtp]
hostname = "%[2]s.%[9]s"
mx = ["%[3]s:%[6]d"]
submission = ["%[3]s:%[7]d"]
submissions = []
max_connections = 20000
max_connections_per_address = 20000
[imap]
listen = []
tls_listen = ["%[3]s:%[8]d"]
max_connections_per_address = 20000
[log]
level = "warn"
`, filepath.Join(n.dir, "data"), n.name, n.host, portCluster, portGossip, portMX, portSubmission, portIMAP, Domain)
	text += fmt.Sprintf("[outbound]\nresolvers = [%q]\n", resolver)
	if relay != "" {
		text += fmt.Sprintf("enabled = true\nrelay = %q\n", relay)
	}
	if err := os.WriteFile(n.configPath(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the configuration of %s: %w", n.name, err)
	}
	return nil
}

// run runs the binary's command line and returns what it printed.
func (n *node) run(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, n.binary, append([]string{"--config", n.configPath()}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s on %s: %w: %s", filepath.Base(n.binary), strings.Join(args, " "), n.name, err, strings.TrimSpace(complaint.String()))
	}
	return out.Bytes(), nil
}

func (n *node) json(ctx context.Context, out any, args ...string) error {
	data, err := n.run(ctx, "", append(args[:len(args):len(args)], "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("read the answer of rookery %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

func (n *node) join(ctx context.Context, member *node) error {
	var token struct {
		Token string `json:"token"`
	}
	if err := member.json(ctx, &token, "token", "create"); err != nil {
		return err
	}
	_, err := n.run(ctx, "", "join", "--token", token.Token, hostPort(member.host, portCluster))
	return err
}

// start runs the node and returns when it is ready.
func (n *node) start(ctx context.Context) (err error) {
	if n.process != nil {
		return fmt.Errorf("%s runs already", n.name)
	}
	log := filepath.Join(n.dir, "log")
	if n.process, err = startProcess(log, n.binary, "--config", n.configPath(), "serve"); err != nil {
		return err
	}
	err = poll(ctx, func() error {
		if err := n.process.died(); err != nil {
			return err
		}
		_, err := n.get(ctx, "/readyz")
		return err
	})
	if err != nil {
		return fmt.Errorf("wait until %s is ready: %w", n.name, err)
	}
	return nil
}

// stopTimeout is how long a graceful stop may take.
const stopTimeout = time.Minute

func (n *node) stop(ctx context.Context) error {
	if n.process == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	err := n.process.stop(ctx)
	n.process = nil
	if err != nil {
		return fmt.Errorf("stop %s: %w", n.name, err)
	}
	return nil
}

func (n *node) kill() {
	if n.process != nil {
		n.process.kill()
		n.process = nil
	}
}

// get asks the node's admin socket.
func (n *node) get(ctx context.Context, path string) ([]byte, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(n.dir, "data", "admin.sock"))
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", n.name, path, err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", n.name, path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(body)))
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", n.name, path, err)
	}
	return body, nil
}

// usage reads the process's accounting and the node's own count of fsyncs.
func (n *node) usage(ctx context.Context) (Usage, error) {
	if n.process == nil {
		return Usage{Measured: true, FsyncsKnown: true}, nil
	}
	u, err := n.process.usage()
	if err != nil {
		return Usage{}, fmt.Errorf("measure %s: %w", n.name, err)
	}
	out := Usage{Usage: u, Measured: true}
	metrics, err := n.get(ctx, "/metrics")
	if err == nil { // a build without the metric is measured without it
		out.Fsyncs, out.FsyncsKnown = metric(metrics, "rookery_log_fsyncs_total")
	}
	return out, nil
}

// metric is the value of a counter without labels in Prometheus's text format.
func metric(text []byte, name string) (int64, bool) {
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		rest, ok := strings.CutPrefix(s.Text(), name+" ")
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
		return int64(v), err == nil
	}
	return 0, false
}
