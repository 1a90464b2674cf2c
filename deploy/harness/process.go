package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// process is one run of `rookery serve`.
type process struct {
	cmd      *exec.Cmd
	done     chan struct{} // closed when it has ended
	err      error         // how it ended; read after done
	expected bool          // we ended it
}

// ended reports whether the process is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Start runs `rookery serve`; it does not wait until the node is ready.
func (n *Node) Start() error {
	if n.Running() {
		return fmt.Errorf("start %s: it runs already", n.Name)
	}
	log, err := os.OpenFile(n.LogPath(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", n.Name, err)
	}
	defer log.Close() // the process has its own copy
	cmd := exec.Command(n.cluster.cfg.Binary, "serve", "--config", n.ConfigPath())
	cmd.Stdout, cmd.Stderr = log, log
	if err := n.cluster.spawner.start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	n.process = p
	return nil
}

// Running reports whether the node's process is there.
func (n *Node) Running() bool { return n.process != nil && !n.process.ended() }

// PID is the process's id, 0 while none runs.
func (n *Node) PID() int {
	if !n.Running() {
		return 0
	}
	return n.process.cmd.Process.Pid
}

// Crashed says how the process ended and shows the end of its log, when nobody told it to end; else
// nil.
func (n *Node) Crashed() error {
	p := n.process
	if p == nil || !p.ended() || p.expected {
		return nil
	}
	return fmt.Errorf("%s ended by itself (%v); the end of %s:\n%s", n.Name, p.err, n.LogPath(), n.logTail())
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (n *Node) Kill() {
	if n.process == nil {
		return
	}
	if !n.process.ended() {
		n.process.expected = true
		_ = n.process.cmd.Process.Kill() // it may have ended just now
	}
	<-n.process.done
}

// Stop ends the process with SIGTERM and waits. When ctx ends first it is killed, and that is an
// error, as is any exit status but 0.
func (n *Node) Stop(ctx context.Context) error {
	if !n.Running() {
		return nil
	}
	n.process.expected = true
	if err := n.process.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", n.Name, err)
	}
	select {
	case <-n.process.done:
	case <-ctx.Done():
		n.Kill()
		return fmt.Errorf("stop %s: it did not end and was killed: %w", n.Name, ctx.Err())
	}
	if n.process.err != nil {
		return fmt.Errorf("stop %s: %w; the end of its log:\n%s", n.Name, n.process.err, n.logTail())
	}
	return nil
}

// Pause freezes the process (SIGSTOP): it keeps its connections but does nothing.
func (n *Node) Pause() error { return n.signal(syscall.SIGSTOP) }

// Resume lets a frozen process go on.
func (n *Node) Resume() error { return n.signal(syscall.SIGCONT) }

func (n *Node) signal(s syscall.Signal) error {
	if !n.Running() {
		return fmt.Errorf("signal %s: it does not run", n.Name)
	}
	if err := n.process.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signal %s: %w", n.Name, err)
	}
	return nil
}

// logTail gives the last lines of the node's log.
func (n *Node) logTail() []byte {
	const keep = 3000
	data, err := os.ReadFile(n.LogPath())
	if err != nil {
		return nil
	}
	if len(data) > keep {
		data = data[len(data)-keep:]
		if _, after, ok := bytes.Cut(data, []byte("\n")); ok {
			data = after
		}
	}
	return data
}
