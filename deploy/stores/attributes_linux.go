package stores

import "syscall"

// attributes put a store into a process group of its own, so that a Ctrl-C at the terminal does not
// reach it, and let the kernel end it when we die without Kill.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
