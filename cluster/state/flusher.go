package state

import "sync"

// flusher coalesces flushes: a caller needs a flush that starts after its call, and all callers
// that wait for the same one share it.
type flusher struct {
	flush func() error

	mu   sync.Mutex
	busy bool        // guarded by mu: a flush is running
	next *flushRound // guarded by mu: the one that starts when it ends
}

// flushRound is one flush and everyone who waits for it.
type flushRound struct {
	done chan struct{}
	err  error // set before done is closed
}

func (f *flusher) init(flush func() error) { f.flush = flush }

// run waits for a flush that starts after the call.
func (f *flusher) run() error {
	f.mu.Lock()
	if f.busy {
		if f.next == nil {
			f.next = &flushRound{done: make(chan struct{})}
		}
		round := f.next
		f.mu.Unlock()
		<-round.done
		return round.err
	}
	f.busy = true
	f.mu.Unlock()

	err := f.flush()
	f.serveWaiting()
	return err
}

// serveWaiting flushes for those who came meanwhile, until nobody waits.
func (f *flusher) serveWaiting() {
	for {
		f.mu.Lock()
		round := f.next
		f.next = nil
		if round == nil {
			f.busy = false
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		round.err = f.flush()
		close(round.done)
	}
}
