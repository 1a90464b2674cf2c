//go:build !linux

package harness

import "syscall"

// attributes put a node into a process group of its own, so that a Ctrl-C at the terminal reaches
// the harness only.
func attributes(bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
