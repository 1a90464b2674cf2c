package harness

import "syscall"

// attributes put a node into a process group of its own, so that a Ctrl-C at the terminal reaches
// the harness only. Unless detached, the kernel kills it when the harness dies without Close.
func attributes(detached bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if !detached {
		a.Pdeathsig = syscall.SIGKILL
	}
	return a
}
