package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Reference is what a replicated commit cannot avoid: a synced write here, a round trip over loopback TCP, and
// a synced write there before the answer. The files are written once before, so that a sync waits for data and
// never for the file system's own records. Not for concurrent use.
type Reference struct {
	here, there *slots
	conn        net.Conn
	peer        net.Conn
	wg          sync.WaitGroup
	peerErr     error // valid after wg
	data        []byte
}

// NewReference makes the files in dir, on the disk that is to be measured, for writes of size octets.
func NewReference(dir string, size int) (_ *Reference, err error) {
	r := &Reference{data: textOf(size)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("prepare the reference: %w", err), r.Close())
		}
	}()
	if r.here, err = newSlots(filepath.Join(dir, "reference-here"), size); err != nil {
		return nil, err
	}
	if r.there, err = newSlots(filepath.Join(dir, "reference-there"), size); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if r.conn, err = net.Dial("tcp", l.Addr().String()); err != nil {
		return nil, err
	}
	if r.peer, err = l.Accept(); err != nil {
		return nil, err
	}
	r.wg.Go(func() { r.peerErr = r.follow(size) })
	return r, nil
}

// textOf is data that does not matter; zeros could be treated in another way by a disk.
func textOf(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte('a' + i%23)
	}
	return data
}

// follow writes what comes, syncs it and answers with one octet, until the connection ends.
func (r *Reference) follow(size int) error {
	data := make([]byte, size)
	for {
		if _, err := io.ReadFull(r.peer, data); err != nil {
			return nil // Close ended it
		}
		if err := r.there.write(data); err != nil {
			return errors.Join(err, r.peer.Close())
		}
		if _, err := r.peer.Write(data[:1]); err != nil {
			return nil
		}
	}
}

// Measure commits n times, one after the other, and tells how long each took.
func (r *Reference) Measure(n int) ([]time.Duration, error) {
	out := make([]time.Duration, 0, n)
	for range n {
		start := time.Now()
		if err := r.here.write(r.data); err != nil {
			return nil, fmt.Errorf("measure the reference: %w", err)
		}
		if _, err := r.conn.Write(r.data); err != nil {
			return nil, fmt.Errorf("measure the reference: %w", err)
		}
		if _, err := io.ReadFull(r.conn, make([]byte, 1)); err != nil {
			return nil, fmt.Errorf("measure the reference: %w", err)
		}
		out = append(out, time.Since(start))
	}
	return out, nil
}

// Close ends it and removes its files.
func (r *Reference) Close() error {
	var errs []error
	for _, c := range []net.Conn{r.conn, r.peer} {
		if c != nil {
			_ = c.Close() // the peer may have closed its own
		}
	}
	r.wg.Wait()
	for _, s := range []*slots{r.here, r.there} {
		if s != nil {
			errs = append(errs, s.file.Close(), os.Remove(s.file.Name()))
		}
	}
	return errors.Join(append(errs, r.peerErr)...)
}

// slotsSize is the size of a file, which is written from its beginning again when its end is reached.
const slotsSize = 16 << 20

// slots is a file of places of one size that exist already.
type slots struct {
	file *os.File
	next int64
}

func newSlots(name string, size int) (*slots, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(textOf(max(slotsSize, size))); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(name))
	}
	return &slots{file: f}, nil
}

func (s *slots) write(data []byte) error {
	if s.next+int64(len(data)) > slotsSize {
		s.next = 0
	}
	if _, err := s.file.WriteAt(data, s.next); err != nil {
		return err
	}
	s.next += int64(len(data))
	if err := syscall.Fdatasync(int(s.file.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", s.file.Name(), err)
	}
	return nil
}
