// Package spool holds a message between its last octet and the decision about it: in memory while it is small, beyond that in a
// file without a name, which the system takes back whatever becomes of the process. Nothing in it is durable, and nothing was
// promised to anybody.
package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/rookery-mail/rookery/cluster"
)

// defaultMemory is how much of a message is kept in memory, in octets.
const defaultMemory = 256 << 10

// errDiscarded says that a Text was used after Discard.
var errDiscarded = errors.New("the message is discarded")

// Config says where texts are.
type Config struct {
	Dir    string // of the files; empty: that of the system for temporary ones
	Memory int    // octets of a text that are in no file; 0: 256 KiB
}

// New makes an empty Text.
func (c Config) New() *Text {
	if c.Memory <= 0 {
		c.Memory = defaultMemory
	}
	return &Text{c: c}
}

// Text is a message as it came. One goroutine writes; then any number read. Discard ends it.
type Text struct {
	c    Config
	held []byte   // all of it, while file is nil
	file *os.File // all of it
	size int64
	err  error // the first of a write; it stays
}

var _ io.ReaderAt = (*Text)(nil)

// Size is the octets written.
func (t *Text) Size() int64 { return t.size }

// Write appends p. The error is cluster.ErrStorageFull where the disk is full.
func (t *Text) Write(p []byte) (int, error) {
	if t.err == nil && t.file == nil && len(t.held)+len(p) > t.c.Memory {
		t.err = t.spill()
	}
	if t.err != nil {
		return 0, t.err
	}
	if t.file == nil {
		t.held = append(t.held, p...)
	} else if _, err := t.file.Write(p); err != nil {
		t.err = full(err)
		return 0, t.err
	}
	t.size += int64(len(p))
	return len(p), nil
}

// spill moves what is in memory into a file.
func (t *Text) spill() error {
	f, err := os.CreateTemp(t.c.Dir, "message-")
	if err != nil {
		return full(err)
	}
	t.file = f
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("take the name from %s: %w", f.Name(), err)
	}
	if _, err := f.Write(t.held); err != nil {
		return full(err)
	}
	t.held = nil
	return nil
}

// full makes an error of the disk what callers know.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("spool a message: %w: %w", cluster.ErrStorageFull, err)
	}
	return fmt.Errorf("spool a message: %w", err)
}

// ReadAt implements io.ReaderAt.
func (t *Text) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case t.err != nil:
		return 0, t.err
	case t.file != nil:
		return t.file.ReadAt(p, off)
	case off < 0:
		return 0, fmt.Errorf("read a message at %d", off)
	case off >= int64(len(t.held)):
		return 0, io.EOF
	}
	n := copy(p, t.held[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Reader reads the text from its first octet.
func (t *Text) Reader() *io.SectionReader { return io.NewSectionReader(t, 0, t.size) }

// Discard gives back what t holds. It is harmless when repeated.
func (t *Text) Discard() {
	if t.file != nil {
		t.file.Close() // nothing of it is wanted any more
		t.file = nil
	}
	t.held = nil
	t.err = errDiscarded
}
