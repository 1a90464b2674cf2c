package harness

import (
	"os/exec"
	"runtime"
)

// spawner starts processes from one thread that lives as long as the cluster: the kernel ends a
// child with the thread that started it (see attributes_linux.go), and Go's threads come and go.
type spawner struct {
	requests chan spawnRequest
	done     chan struct{}
}

type spawnRequest struct {
	cmd    *exec.Cmd
	result chan error
}

func newSpawner(detached bool) *spawner {
	s := &spawner{requests: make(chan spawnRequest), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for r := range s.requests {
			r.cmd.SysProcAttr = attributes(detached)
			r.result <- r.cmd.Start()
		}
	}()
	return s
}

// start starts cmd.
func (s *spawner) start(cmd *exec.Cmd) error {
	r := spawnRequest{cmd: cmd, result: make(chan error, 1)}
	s.requests <- r
	return <-r.result
}

// close ends the thread; nothing may be started any more.
func (s *spawner) close() {
	close(s.requests)
	<-s.done
}
