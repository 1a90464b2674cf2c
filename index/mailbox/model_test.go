package mailbox_test

import (
	"maps"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
)

// The model is what the machine means, over maps: no batches, blocks, counters or indexes.
type model struct {
	accounts map[uint64]*modelAccount
	waiting  []modelGrave // deleted mailboxes to be kept, in the order of their account and id
}

type modelGrave struct {
	account, id uint64
	name        string
	messages    []*modelMessage
	limits      *indexpb.Limits
}

const keptBit = 1 << 63

// keep files a message of account id that went from the mailbox name with the kept ones.
func (m *model) keep(id uint64, name string, msg *modelMessage, l *indexpb.Limits) {
	a := m.account(id | keptBit)
	b := a.boxes[name]
	if b == nil {
		b = a.make(name, false)
	}
	if a.fits(l, 1, uint64(msg.size)) {
		a.file(b, &modelMessage{flags: msg.flags, keywords: maps.Clone(msg.keywords), size: msg.size})
	}
}

// drainKept is one step of DrainKept, and reports whether more are left.
func (m *model) drainKept(limit int) bool {
	if len(m.waiting) == 0 {
		return false
	}
	g := &m.waiting[0]
	n := min(limit, len(g.messages))
	for _, msg := range g.messages[:n] {
		m.keep(g.account, g.name, msg, g.limits)
	}
	g.messages = g.messages[n:]
	if n == limit {
		return true
	}
	m.waiting = m.waiting[1:]
	return len(m.waiting) > 0
}

type modelAccount struct {
	modSeq uint64
	bumped bool
	nextID uint32
	boxes  map[string]*modelBox
	subs   map[string]bool // of names that are no mailbox
}

type modelBox struct {
	id         uint32
	validity   uint32 // as the machine gave it
	next       uint32
	subscribed bool
	grants     map[uint64]uint32
	key        []byte // that URLs are signed with
	resets     uint32
	messages   map[uint32]*modelMessage
	gone       map[uint32]uint64 // modseq at which a UID went
}

type modelMessage struct {
	flags    uint32
	keywords map[string]bool
	size     int
	modSeq   uint64
}

// account returns the account of a command that begins, made where it is new.
func (m *model) account(id uint64) *modelAccount {
	a := m.accounts[id]
	if a == nil {
		a = &modelAccount{boxes: map[string]*modelBox{}, subs: map[string]bool{}}
		m.accounts[id] = a
		a.make("INBOX", true)
		for _, name := range []string{"Archive", "Drafts", "Junk", "Sent", "Trash"} {
			a.make(name, true)
		}
	}
	return a
}

func (a *modelAccount) bump() uint64 {
	if !a.bumped {
		a.modSeq, a.bumped = a.modSeq+1, true
	}
	return a.modSeq
}

func (a *modelAccount) make(name string, subscribed bool) *modelBox {
	for i := range name {
		if above := name[:i]; name[i] == '/' && a.boxes[above] == nil {
			a.make(above, false)
		}
	}
	a.bump()
	a.nextID++
	b := &modelBox{id: a.nextID, next: 1, subscribed: subscribed || a.subs[name], messages: map[uint32]*modelMessage{}, gone: map[uint32]uint64{}}
	delete(a.subs, name)
	a.boxes[name] = b
	b.grants = map[uint64]uint32{}
	if cut := strings.LastIndexByte(name, '/'); cut >= 0 {
		maps.Copy(b.grants, a.boxes[name[:cut]].grants)
	}
	return b
}

func (a *modelAccount) used() (bytes uint64, messages uint64) {
	for _, b := range a.boxes {
		for _, m := range b.messages {
			bytes, messages = bytes+uint64(m.size), messages+1
		}
	}
	return bytes, messages
}

func (a *modelAccount) fits(l *indexpb.Limits, messages, bytes uint64) bool {
	b, n := a.used()
	return (l.Bytes == 0 || b+bytes <= l.Bytes) && (l.Messages == 0 || n+messages <= l.Messages)
}

// fitsInstead reports whether a message fits in the place of another.
func (a *modelAccount) fitsInstead(l *indexpb.Limits, old, size uint64) bool {
	b, n := a.used()
	return (l.Bytes == 0 || b-old+size <= l.Bytes) && (l.Messages == 0 || n <= l.Messages)
}

func (a *modelAccount) file(b *modelBox, m *modelMessage) uint32 {
	m.modSeq = a.bump()
	b.messages[b.next] = m
	b.next++
	return b.next - 1
}

func (b *modelBox) selected(lo, hi uint32) (uids []uint32) {
	for _, u := range slices.Sorted(maps.Keys(b.messages)) {
		if lo <= u && u <= hi {
			uids = append(uids, u)
		}
	}
	return uids
}

func (a *modelAccount) rename(from, to string) indexpb.Code {
	if strings.HasPrefix(to, from+"/") {
		return indexpb.Code_CODE_INVALID
	}
	if a.boxes[to] != nil {
		return indexpb.Code_CODE_MAILBOX_EXISTS
	}
	var moved []string
	for name := range a.boxes {
		if name == from || from != "INBOX" && strings.HasPrefix(name, from+"/") {
			moved = append(moved, name)
		}
	}
	if len(moved) == 0 {
		return indexpb.Code_CODE_NO_MAILBOX
	}
	for _, name := range moved {
		if a.boxes[to+name[len(from):]] != nil {
			return indexpb.Code_CODE_MAILBOX_EXISTS
		}
	}
	a.bump()
	for i := range to {
		if above := to[:i]; to[i] == '/' && a.boxes[above] == nil {
			a.make(above, false)
		}
	}
	for _, name := range moved {
		next := to + name[len(from):]
		b := a.boxes[name]
		delete(a.boxes, name)
		b.subscribed = b.subscribed || a.subs[next]
		delete(a.subs, next)
		a.boxes[next] = b
	}
	if from == "INBOX" {
		a.make("INBOX", true)
	}
	return indexpb.Code_CODE_OK
}

func (a *modelAccount) subscribe(name string, on bool) {
	switch b := a.boxes[name]; {
	case b != nil && b.subscribed != on:
		b.subscribed = on
		a.bump()
	case b == nil && a.subs[name] != on:
		if on {
			a.subs[name] = true
		} else {
			delete(a.subs, name)
		}
		a.bump()
	}
}

func (a *modelAccount) store(b *modelBox, uids []uint32, op indexpb.FlagOp, flags uint32, words []string, since *uint64) (changed, refused []uint32) {
	for _, u := range uids {
		m := b.messages[u]
		if since != nil && m.modSeq > *since {
			refused = append(refused, u)
			continue
		}
		next := &modelMessage{flags: flags, keywords: map[string]bool{}, size: m.size}
		if op != indexpb.FlagOp_FLAG_OP_SET {
			next.keywords = maps.Clone(m.keywords)
		}
		for _, w := range words {
			if op == indexpb.FlagOp_FLAG_OP_REMOVE {
				delete(next.keywords, w)
			} else {
				next.keywords[w] = true
			}
		}
		switch op {
		case indexpb.FlagOp_FLAG_OP_ADD:
			next.flags = m.flags | flags
		case indexpb.FlagOp_FLAG_OP_REMOVE:
			next.flags = m.flags &^ flags
		}
		if next.flags != m.flags || !maps.Equal(next.keywords, m.keywords) {
			next.modSeq = a.bump()
			b.messages[u] = next
			changed = append(changed, u)
		}
	}
	return changed, refused
}

// transfer copies or moves, and returns the first new UID.
func (a *modelAccount) transfer(from, to *modelBox, uids []uint32, move bool) uint32 {
	first := to.next
	for _, u := range uids {
		m := from.messages[u]
		a.file(to, &modelMessage{flags: m.flags, keywords: maps.Clone(m.keywords), size: m.size})
		if move {
			a.take(from, u)
		}
	}
	return first
}

func (a *modelAccount) take(b *modelBox, u uint32) {
	delete(b.messages, u)
	b.gone[u] = a.bump()
}

func (a *modelAccount) expunge(b *modelBox, uids []uint32) (gone []uint32) {
	for _, u := range uids {
		if b.messages[u].flags&uint32(index.FlagDeleted) != 0 {
			a.take(b, u)
			gone = append(gone, u)
		}
	}
	return gone
}
