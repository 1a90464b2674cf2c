package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rookery-mail/rookery/bench/load"
)

// traceable is a site whose processes are ours.
type traceable interface {
	Site
	// PIDs are the roots of its process trees.
	PIDs() []int
}

var _ traceable = (*Rookery)(nil)
var _ traceable = (*Peers)(nil)

// PIDs are the nodes that run.
func (s *Rookery) PIDs() (out []int) {
	for _, n := range s.nodes {
		if n.process != nil {
			out = append(out, n.process.pid())
		}
	}
	return out
}

// PIDs are Dovecot's and Postfix's masters.
func (p *Peers) PIDs() (out []int) {
	for _, server := range p.processes {
		out = append(out, server.pid())
	}
	return out
}

// Traced is a site whose syncs are counted from outside, by strace: the only means that is the same for every
// server and needs no help of the kernel's. It makes each system call slow, so no other figure of it is of any use.
type Traced struct {
	traceable
	dir    string
	strace *process
}

// ErrNoStrace is returned where strace is not installed.
var ErrNoStrace = errors.New("strace is not installed: apt-get install strace")

// Trace attaches strace to all processes of a site; Close ends both. The site is closed when it fails.
func Trace(ctx context.Context, s Site) (_ *Traced, err error) {
	own, ok := s.(traceable)
	if !ok {
		return nil, errors.Join(fmt.Errorf("trace %s: %w", s.Name(), ErrUnsupported), s.Close())
	}
	t := &Traced{traceable: own}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	program, err := exec.LookPath("strace")
	if err != nil {
		return nil, ErrNoStrace
	}
	if t.dir, err = os.MkdirTemp("", "rookery-bench-"); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	args := []string{"-f", "-e", "trace=fsync,fdatasync,sync_file_range,syncfs,msync", "-e", "signal=none", "-o", t.calls()}
	var pids []int
	for _, root := range own.PIDs() {
		below, err := load.Descendants(root)
		if err != nil {
			return nil, err
		}
		pids = append(append(pids, root), below...)
	}
	for _, pid := range pids {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	if t.strace, err = startProcess(t.log(), program, args...); err != nil {
		return nil, err
	}
	return t, t.attached(ctx, pids)
}

func (t *Traced) calls() string { return filepath.Join(t.dir, "calls") }
func (t *Traced) log() string   { return filepath.Join(t.dir, "log") }

// attached waits until strace has told so of every process.
func (t *Traced) attached(ctx context.Context, pids []int) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return poll(ctx, func() error {
		if err := t.strace.died(); err != nil {
			return err
		}
		text, err := os.ReadFile(t.log())
		for _, pid := range pids {
			if !bytes.Contains(text, fmt.Appendf(nil, "Process %d attached", pid)) {
				return errors.Join(fmt.Errorf("strace is not attached to process %d", pid), err)
			}
		}
		return nil
	})
}

// Usage is the site's with the syncs that strace saw.
func (t *Traced) Usage(ctx context.Context) (Usage, error) {
	u, err := t.traceable.Usage(ctx)
	if err != nil {
		return u, err
	}
	text, err := os.ReadFile(t.calls())
	if err != nil {
		return u, fmt.Errorf("count syncs: %w", err)
	}
	u.Fsyncs, u.FsyncsKnown = countCalls(text), true
	return u, nil
}

// countCalls counts the calls in strace's output. One that was interrupted by another process's has two lines.
func countCalls(text []byte) int64 {
	n := int64(0)
	for line := range bytes.Lines(text) {
		if bytes.Contains(line, []byte("(")) && !bytes.Contains(line, []byte(" resumed>")) {
			n++
		}
	}
	return n
}

// Close ends strace, upon which the kernel lets go of the processes, and then the site.
func (t *Traced) Close() error {
	if t.strace != nil {
		t.strace.kill()
	}
	err := t.traceable.Close()
	if t.dir == "" {
		return err
	}
	return errors.Join(err, os.RemoveAll(t.dir))
}
