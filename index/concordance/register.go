package concordance

import "github.com/rookery-mail/rookery/index"

// Touched says that something of an account changed. It costs next to nothing for accounts that are not kept, so that
// the goroutine that applies the log may call it.
func (x *Index) Touched(a index.AccountID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.accounts[a] != nil {
		x.dirty[a] = struct{}{}
	}
}

// trusts reports whether the segments of a mailbox can be used, and asks for them to be made or looked at where not.
func (x *Index) trusts(p place) bool {
	x.mu.Lock()
	e := x.accounts[p.account][p.mailbox]
	ok := e != nil && e.trusted && !e.damaged
	x.mu.Unlock()
	if !ok {
		x.ask(p)
	}
	return ok
}

// distrust marks the segments of a mailbox as damaged.
func (x *Index) distrust(p place) {
	x.change(p, func(e *entry) { e.damaged, e.uidNext = true, 0 })
	x.ask(p)
}

// change calls fn with a mailbox's entry, where there is one.
func (x *Index) change(p place, fn func(*entry)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.accounts[p.account][p.mailbox]; e != nil {
		fn(e)
	}
}

// ask has a mailbox brought up to date as soon as may be.
func (x *Index) ask(p place) {
	x.mu.Lock()
	x.enqueue(p)
	x.mu.Unlock()
	select {
	case x.wake <- struct{}{}:
	default: // a token waits already
	}
}

// enqueue makes an entry where there is none and puts it into the queue once. x.mu is held, or nobody else is there.
func (x *Index) enqueue(p place) {
	boxes := x.accounts[p.account]
	if boxes == nil {
		boxes = make(map[index.MailboxID]*entry)
		x.accounts[p.account] = boxes
	}
	e := boxes[p.mailbox]
	if e == nil {
		e = &entry{}
		boxes[p.mailbox] = e
	}
	if !e.queued {
		e.queued = true
		x.queue = append(x.queue, p)
	}
}

// enqueueTouched puts the mailboxes of accounts that changed into the queue.
func (x *Index) enqueueTouched() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for a := range x.dirty {
		for m := range x.accounts[a] {
			x.enqueue(place{a, m})
		}
	}
	clear(x.dirty)
}

// next takes a mailbox out of the queue.
func (x *Index) next() (p place, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.queue) == 0 {
		return p, false
	}
	p = x.queue[0]
	if x.queue = x.queue[1:]; len(x.queue) == 0 {
		x.queue = nil
	}
	if e := x.accounts[p.account][p.mailbox]; e != nil {
		e.queued = false
	}
	return p, true
}

// forget takes a mailbox out of the register.
func (x *Index) forget(p place) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.accounts[p.account], p.mailbox)
	if len(x.accounts[p.account]) == 0 {
		delete(x.accounts, p.account)
		delete(x.dirty, p.account)
	}
}
