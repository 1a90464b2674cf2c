package entries

import (
	"net"
	"runtime"
	"sync"
	"time"
)

// maxQueued is how many bytes may wait for the writer before those who add more wait for it.
const maxQueued = 1 << 20

// keep is how large a buffer is kept for the next frames.
const keep = 256 << 10

// outbox gathers frames of many goroutines, and one goroutine writes what has gathered.
type outbox struct {
	wake chan struct{} // one element: buf is not empty

	mu   sync.Mutex // guards what follows
	room *sync.Cond // of mu: buf has become smaller, or over true
	buf  []byte
	over bool
}

func newOutbox() *outbox {
	o := &outbox{wake: make(chan struct{}, 1)}
	o.room = sync.NewCond(&o.mu)
	return o
}

// add appends a frame to what is to be written. It waits while too much is, and drops the frame once the outbox
// has ended.
func (o *outbox) add(frame func(dst []byte) []byte) {
	o.mu.Lock()
	for len(o.buf) > maxQueued && !o.over {
		o.room.Wait()
	}
	if o.over {
		o.mu.Unlock()
		return
	}
	defer o.mu.Unlock() // end, which closes wake, comes before or after
	first := len(o.buf) == 0
	o.buf = frame(o.buf)
	if first {
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
}

// end lets add and write return.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over {
		o.over = true
		close(o.wake)
		o.room.Broadcast()
	}
}

// take returns what has gathered, and leaves spare in its place.
func (o *outbox) take(spare []byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.buf
	o.buf = spare[:0]
	o.room.Broadcast()
	return out
}

// write writes what gathers until end, or until a write fails or takes longer than timeout.
func (o *outbox) write(conn net.Conn, timeout time.Duration) error {
	var spare []byte
	for range o.wake {
		// An fsync wakes several groups at once. Let those that are ready add theirs: it is the same write.
		runtime.Gosched()
		out := o.take(spare)
		if len(out) == 0 {
			continue
		}
		_ = conn.SetWriteDeadline(time.Now().Add(timeout))
		if _, err := conn.Write(out); err != nil {
			return err
		}
		if spare = out; cap(spare) > keep {
			spare = nil
		}
	}
	return nil
}
