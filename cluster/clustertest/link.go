package clustertest

import (
	"net"
	"os"
	"sync"
	"time"
)

// socketBuffer is how much a connection takes while it is cut before its writer has to wait.
const socketBuffer = 64 << 10

// link is the dialling end of a connection, with the faults of the network in both directions.
type link struct {
	net.Conn
	network *network
	between pair

	writing sync.Mutex // held while writing to Conn, so that what was held back stays in front

	mu            sync.Mutex // guards what follows; taken after writing
	pending       []byte     // written while cut
	held          []byte     // read while cut
	readDeadline  time.Time
	writeDeadline time.Time
	closed        bool
	woken         chan struct{} // closed and replaced when a deadline changes or the link closes
}

// Write passes on, or holds back while cut.
func (l *link) Write(p []byte) (int, error) {
	for {
		cut, _, delay, changed := l.network.fault(l.between)
		if !cut {
			if delay > 0 {
				time.Sleep(delay)
			}
			return l.send(p)
		}
		l.mu.Lock()
		if len(l.pending)+len(p) <= socketBuffer && !l.closed {
			l.pending = append(l.pending, p...)
			l.mu.Unlock()
			return len(p), nil
		}
		l.mu.Unlock()
		if err := l.wait(changed, &l.writeDeadline); err != nil {
			return 0, err
		}
	}
}

// send writes what was held back, then p.
func (l *link) send(p []byte) (int, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	pending := l.pending
	l.pending = nil
	l.mu.Unlock()
	if len(pending) > 0 {
		if _, err := l.Conn.Write(pending); err != nil {
			return 0, err
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	return l.Conn.Write(p)
}

// flush sends what was held back, unless there still is a cut.
func (l *link) flush() {
	if cut, _, _, _ := l.network.fault(l.between); !cut {
		_, _ = l.send(nil)
	}
}

// Read gives what arrives, but nothing while cut.
func (l *link) Read(p []byte) (int, error) {
	l.mu.Lock()
	n := copy(p, l.held)
	l.held = l.held[n:]
	l.mu.Unlock()
	if n == 0 {
		var err error
		if n, err = l.Conn.Read(p); err != nil {
			return n, err
		}
	}
	for {
		cut, _, _, changed := l.network.fault(l.between)
		if !cut {
			return n, nil
		}
		if err := l.wait(changed, &l.readDeadline); err != nil {
			l.mu.Lock()
			l.held = append(append([]byte(nil), p[:n]...), l.held...)
			l.mu.Unlock()
			return 0, err
		}
	}
}

// wait returns when the network changes, and with an error when the deadline passes or the link is
// closed.
func (l *link) wait(changed <-chan struct{}, deadline *time.Time) error {
	for {
		l.mu.Lock()
		until, closed, woken := *deadline, l.closed, l.woken
		l.mu.Unlock()
		if closed {
			return net.ErrClosed
		}
		var timeout <-chan time.Time
		if !until.IsZero() {
			left := time.Until(until)
			if left <= 0 {
				return os.ErrDeadlineExceeded
			}
			timer := time.NewTimer(left)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-changed:
			return nil
		case <-timeout:
			return os.ErrDeadlineExceeded
		case <-woken:
		}
	}
}

// set changes what wait looks at.
func (l *link) set(how func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	how()
	close(l.woken)
	l.woken = make(chan struct{})
}

// SetDeadline implements net.Conn.
func (l *link) SetDeadline(t time.Time) error {
	l.set(func() { l.readDeadline, l.writeDeadline = t, t })
	return l.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (l *link) SetReadDeadline(t time.Time) error {
	l.set(func() { l.readDeadline = t })
	return l.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (l *link) SetWriteDeadline(t time.Time) error {
	l.set(func() { l.writeDeadline = t })
	return l.Conn.SetWriteDeadline(t)
}

// Close implements net.Conn. What was held back is lost.
func (l *link) Close() error {
	l.network.mu.Lock()
	delete(l.network.links, l)
	l.network.mu.Unlock()
	l.set(func() { l.closed = true })
	return l.Conn.Close()
}
