package partition

import (
	"sync"

	"github.com/rookery-mail/rookery/index"
)

// feed wakes the watchers of accounts.
type feed struct {
	touched map[index.AccountID]struct{} // since the last wake; of the applying goroutine alone
	hears   func(index.AccountID)        // of all accounts; may be nil

	mu       sync.Mutex // guards watchers
	watchers map[index.AccountID]map[chan struct{}]struct{}
}

func newFeed(hears func(index.AccountID)) feed {
	return feed{
		hears:    hears,
		touched:  make(map[index.AccountID]struct{}),
		watchers: make(map[index.AccountID]map[chan struct{}]struct{}),
	}
}

// Watch returns a channel that gets a token when something of the account changed in the applied
// state, and the function that ends it. Changes while a token waits add none. The channel is never
// closed.
func (p *Partition) Watch(a index.AccountID) (changed <-chan struct{}, stop func()) {
	f, ch := &p.feed, make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers[a] == nil {
		f.watchers[a] = make(map[chan struct{}]struct{})
	}
	f.watchers[a][ch] = struct{}{}
	return ch, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers[a], ch)
		if len(f.watchers[a]) == 0 {
			delete(f.watchers, a)
		}
	}
}

func (f *feed) touch(a index.AccountID) { f.touched[a] = struct{}{} }

func (f *feed) wake() {
	if len(f.touched) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for a := range f.touched {
		signal(f.watchers[a])
		if f.hears != nil {
			f.hears(a)
		}
	}
	clear(f.touched)
}

func (f *feed) wakeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, chans := range f.watchers {
		signal(chans)
	}
}

func signal(chans map[chan struct{}]struct{}) {
	for ch := range chans {
		select {
		case ch <- struct{}{}:
		default: // a token waits already
		}
	}
}
