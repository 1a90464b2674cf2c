package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rookery-mail/rookery/bench/load"
)

// FloorConfig says which bare replicas to run.
type FloorConfig struct {
	Program  string // has the command "floor --dir --listen --peers --control" (package floor)
	Replicas int    // 1, 3 or 5
	Parent   string // as in RookeryConfig
}

// Floor is a group of bare Raft replicas, a process each: what a mail server's CPU is held against.
type Floor struct {
	dir       string
	network   *network
	processes []*process
	controls  []string // addresses
	leader    int
}

// The ports of a replica, on its own address.
const (
	portFloor   = 7720
	portControl = 7721
)

// StartFloor starts the replicas and returns when one of them leads.
func StartFloor(ctx context.Context, cfg FloorConfig) (_ *Floor, err error) {
	f := &Floor{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start bare replicas: %w", err), f.Close())
		}
	}()
	if f.dir, err = makeDirectory(cfg.Parent); err != nil {
		return nil, err
	}
	if f.network, err = claimNetwork(); err != nil {
		return nil, err
	}
	var peers []string
	for i := range cfg.Replicas {
		peers = append(peers, hostPort(f.network.host(i+1), portFloor))
		f.controls = append(f.controls, hostPort(f.network.host(i+1), portControl))
	}
	for i, p := range peers {
		dir := filepath.Join(f.dir, fmt.Sprintf("r%d", i+1))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make its directory: %w", err)
		}
		proc, err := startProcess(filepath.Join(f.dir, fmt.Sprintf("r%d.log", i+1)), cfg.Program,
			"floor", "--dir", dir, "--listen", p, "--peers", strings.Join(peers, ","), "--control", f.controls[i])
		if err != nil {
			return nil, err
		}
		f.processes = append(f.processes, proc)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return f, poll(ctx, func() error { return f.findLeader(ctx) })
}

func (f *Floor) findLeader(ctx context.Context) error {
	var last error
	for i := range f.processes {
		if err := f.processes[i].died(); err != nil {
			return err
		}
		if last = f.ask(ctx, http.MethodGet, i, "/leads"); last == nil {
			f.leader = i
			return nil
		}
	}
	return last
}

// Commit commits so many messages of size octets, so many at once as concurrency says.
func (f *Floor) Commit(ctx context.Context, messages, size, concurrency int) error {
	v := url.Values{"messages": {strconv.Itoa(messages)}, "size": {strconv.Itoa(size)}, "concurrency": {strconv.Itoa(concurrency)}}
	return f.ask(ctx, http.MethodPost, f.leader, "/commit?"+v.Encode())
}

func (f *Floor) ask(ctx context.Context, method string, replica int, path string) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+f.controls[replica]+path, nil)
	if err != nil {
		return fmt.Errorf("ask a bare replica: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return fmt.Errorf("ask a bare replica: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(body)))
	}
	if err != nil {
		return fmt.Errorf("ask a bare replica: %w", err)
	}
	return nil
}

// Usage is what all replicas have used so far.
func (f *Floor) Usage(context.Context) (Usage, error) {
	var pids []int
	for _, p := range f.processes {
		if err := p.died(); err != nil {
			return Usage{}, err
		}
		pids = append(pids, p.pid())
	}
	u, err := load.Measure(pids)
	if err != nil {
		return Usage{}, fmt.Errorf("measure the bare replicas: %w", err)
	}
	return Usage{Usage: u, Measured: true}, nil
}

// Close kills the replicas and removes their files. It may be called more than once.
func (f *Floor) Close() error {
	for _, p := range f.processes {
		p.kill()
	}
	if f.network != nil {
		f.network.release()
	}
	if f.dir == "" {
		return nil
	}
	return os.RemoveAll(f.dir)
}
