package main

import (
	"slices"
	"sync"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// The mailboxes that clients use. Nothing is ever moved out of or into copies.
const (
	inbox  = "INBOX"
	work   = "Work"
	copies = "Copies"
)

// nowhere stands for a message that is not there.
const nowhere = ""

// book is what one account's clients know: for each message where it may be, and what flags it has.
// An operation whose reply was lost leaves several possibilities, and may even take effect later
// than operations that follow: what it touched is not touched again. A book may be used from several
// goroutines; one client changes the account's mailboxes, several send to it.
type book struct {
	address string

	mu    sync.Mutex // guards items
	items map[string]*item
}

// item is one message. Invariant: it is at exactly one of places, or will be.
type item struct {
	digest       harness.Digest
	acknowledged bool     // a server promised it
	places       []string // mailboxes, or nowhere
	frozen       bool     // an operation on where it is has an unknown outcome
	seen         bool     // the client has listed it
	uid          uint32   // in places[0]; 0 unknown
	flags        map[string]possible
	copied       possible // into copies
}

// possible is what is known of a thing that is or is not.
type possible int

// The zero value is no: a new message has no flags and no copy.
const (
	no possible = iota
	yes
	either
)

// allows reports whether a fact fits.
func (p possible) allows(is bool) bool { return p == either || (p == yes) == is }

func newBook(address string) *book { return &book{address: address, items: map[string]*item{}} }

// offer says that a message is about to be sent or appended to a mailbox.
func (b *book) offer(m harness.Message, mailbox string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items[m.ID] = &item{digest: m.Digest, places: []string{nowhere, mailbox}, flags: map[string]possible{}}
}

// acknowledge says that a server promised it to be in the mailbox, with a UID where it told one. The
// client may have found it there before, and moved it on.
func (b *book) acknowledge(id, mailbox string, uid uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	it := b.items[id]
	it.acknowledged = true
	if !it.seen {
		it.places = []string{mailbox}
	}
	if uid != 0 {
		it.seen, it.uid = true, uid
	}
}

// listed says that the client found a message in a mailbox. It reports false for one that nobody
// offered.
func (b *book) listed(id, mailbox string, uid uint32) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	it := b.items[id]
	if it == nil {
		return false
	}
	if !it.seen && !it.frozen && slices.Contains(it.places, mailbox) {
		it.seen, it.uid, it.places = true, uid, []string{mailbox}
	}
	return true
}

// candidate is a message that the client may change.
type candidate struct {
	id    string
	uid   uint32
	flags map[string]possible // a copy
	free  bool                // not copied yet
}

// candidates are the messages that are certainly in a mailbox, by UID.
func (b *book) candidates(mailbox string) (found []candidate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, it := range b.items {
		if it.frozen || !it.seen || it.uid == 0 || it.places[0] != mailbox {
			continue
		}
		flags := map[string]possible{}
		for f, p := range it.flags {
			flags[f] = p
		}
		found = append(found, candidate{id, it.uid, flags, it.copied == no})
	}
	slices.SortFunc(found, func(x, y candidate) int { return int(x.uid) - int(y.uid) })
	return found
}

// moved says that a move was acknowledged, or, with an unknown outcome, that it may have happened.
func (b *book) moved(id, to string, uid uint32, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	it := b.items[id]
	if known {
		it.places, it.uid = []string{to}, uid
		return
	}
	it.places, it.frozen = append(it.places, to), true
}

// flagged says the same of a flag.
func (b *book) flagged(id, flag string, on, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := either
	switch {
	case known && on:
		p = yes
	case known:
		p = no
	}
	b.items[id].flags[flag] = p
}

// copiedOnce says the same of a copy into copies.
func (b *book) copiedOnce(id string, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items[id].copied = either
	if known {
		b.items[id].copied = yes
	}
}
