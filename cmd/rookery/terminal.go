package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// hideInput turns the terminal's echo off and returns what turns it on again. Where f is no
// terminal it does nothing.
func hideInput(f *os.File) (restore func()) {
	fd := int(f.Fd())
	state, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return func() {}
	}
	hidden := *state
	hidden.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &hidden); err != nil {
		return func() {}
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, state) }
}
