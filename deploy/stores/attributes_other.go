//go:build !linux

package stores

import "syscall"

// attributes put a store into a process group of its own, so that a Ctrl-C at the terminal does not
// reach it.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
