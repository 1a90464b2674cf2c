package stores

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
)

// process is one run of a store.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

// freeAddress finds a port on loopback where nobody listens, outside of the range that outgoing
// connections take theirs from: the store has to find it free again after a kill.
func freeAddress() (string, error) {
	var last error
	for i := range 2000 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+(os.Getpid()*7+i*13)%10000)
		l, err := net.Listen("tcp", address)
		if err == nil {
			return address, l.Close()
		}
		last = err
	}
	return "", fmt.Errorf("find a port: %w", last)
}

// command is the store's command line.
func (s *Store) command() *exec.Cmd {
	if s.config.Kind == MinIO {
		cmd := exec.Command(s.binary, "server", "--quiet", "--address", s.address, s.data())
		cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CI_CD=1")
		return cmd
	}
	cmd := exec.Command(s.binary, "--port", s.address, "--region", s.Region(), "--keep-alive", "--quiet",
		"posix", "--sidecar", filepath.Join(s.config.Dir, "meta"), s.data())
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	return cmd
}

// Restart runs the store again after Kill, at the same address, and waits until it serves.
func (s *Store) Restart(ctx context.Context) error {
	if s.Running() {
		return fmt.Errorf("start %s: it runs already", s.config.Kind)
	}
	if err := os.MkdirAll(filepath.Join(s.config.Dir, "meta"), 0o755); err != nil {
		return fmt.Errorf("start %s: %w", s.config.Kind, err)
	}
	log, err := os.OpenFile(s.LogPath(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", s.config.Kind, err)
	}
	defer log.Close() // the process has its own copy
	cmd := s.command()
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, attributes()
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		defer close(p.done)
		// The kernel ends the child with the thread that started it (see attributes).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", s.config.Kind, err)
	}
	s.process = p
	return s.waitServing(ctx)
}

// Running reports whether the store's process is there, frozen or not.
func (s *Store) Running() bool {
	if s.process == nil {
		return false
	}
	select {
	case <-s.process.done:
		return false
	default:
		return true
	}
}

// Kill ends the store with SIGKILL and waits until it is gone. Its data stays.
func (s *Store) Kill() {
	if s.process == nil {
		return
	}
	_ = s.process.cmd.Process.Kill() // it may have ended
	<-s.process.done
	s.process = nil
}

// Pause freezes the store (SIGSTOP): it keeps its connections and answers nothing.
func (s *Store) Pause() error { return s.signal(syscall.SIGSTOP) }

// Resume lets a frozen store go on.
func (s *Store) Resume() error { return s.signal(syscall.SIGCONT) }

func (s *Store) signal(sig syscall.Signal) error {
	if !s.Running() {
		return fmt.Errorf("signal %s: it does not run", s.config.Kind)
	}
	if err := s.process.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", s.config.Kind, err)
	}
	return nil
}

// logTail gives the end of the store's log.
func (s *Store) logTail() []byte {
	const keep = 2000
	data, err := os.ReadFile(s.LogPath())
	if err != nil {
		return nil
	}
	return data[max(0, len(data)-keep):]
}
