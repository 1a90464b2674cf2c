package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rookery-mail/rookery/bench/load"
)

// process is a running server and its descendants. It ends with this program, however that ends.
type process struct {
	cmd  *exec.Cmd
	log  string        // where its output goes
	done chan struct{} // closed when it has ended
	err  error         // how; valid after done
}

// startProcess runs a program with its output appended to a file. A goroutine with a thread of its own
// starts it and waits for it: the kernel kills a child with the thread that started it.
func startProcess(log, program string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", program, err)
	}
	defer out.Close() // the process has its own
	p := &process{cmd: exec.Command(program, args...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error, 1)
	go func() {
		defer close(p.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// died is an error with the end of the log when the process has ended.
func (p *process) died() error {
	select {
	case <-p.done:
		return fmt.Errorf("%w: %s: its log ends with:\n%s", load.ErrGone, p.cmd.Path, tail(p.log))
	default:
		return nil
	}
}

// usage reads what the process and its descendants have used; when it has ended, the error is that of died.
func (p *process) usage() (load.Usage, error) {
	u, err := load.Measure([]int{p.pid()})
	if errors.Is(err, load.ErrGone) {
		<-p.done // the kernel knows before Wait has returned
		return u, p.died()
	}
	return u, err
}

// tail is the last few lines of a file.
func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return "    " + strings.Join(lines[max(0, len(lines)-5):], "\n    ")
}

// stop sends SIGTERM and waits, and kills what is left when ctx ends.
func (p *process) stop(ctx context.Context) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		p.kill()
		return errors.New("it did not end in time and was killed")
	}
}

// kill ends the process and all of its descendants and waits for it.
func (p *process) kill() {
	below, err := load.Descendants(p.pid())
	if err == nil {
		for _, pid := range slices.Backward(below) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
	_ = p.cmd.Process.Kill() // the same
	<-p.done
	waitGone(below)
}

// goneTimeout bounds the waiting for killed descendants, which the kernel ends when it comes to it.
const goneTimeout = 5 * time.Second

// waitGone waits until none of the processes runs: their files are to be removed next.
func waitGone(pids []int) {
	deadline := time.Now().Add(goneTimeout)
	for _, pid := range pids {
		for time.Now().Before(deadline) {
			if _, err := load.Measure([]int{pid}); err != nil {
				break
			}
			time.Sleep(pollEvery)
		}
	}
}

// pollEvery is how often a site looks whether something has come so far.
const pollEvery = 20 * time.Millisecond

// poll calls f until it returns nil or ctx ends, and then tells f's last error. An error that is
// load.ErrGone ends it at once.
func poll(ctx context.Context, f func() error) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := f()
		if err == nil || errors.Is(err, load.ErrGone) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}
