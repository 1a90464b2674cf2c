package mailstore

import (
	"sync"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/uidset"
)

// cachedViews is how many mailboxes' UIDs are kept, and cachedFrom the messages from which they are:
// below, reading them costs no more than the copy.
const (
	cachedViews = 512
	cachedFrom  = 3 * uidset.BlockSize
)

// viewCache keeps the UIDs of large mailboxes as of a modification sequence, so that selecting one
// again costs what changed since. It is a cache of the keys: a mailbox's UIDs and flags never change without
// its HIGHESTMODSEQ, so an entry of that sequence is exact whatever replica or snapshot it came from.
type viewCache struct {
	mu      sync.Mutex
	entries map[viewKey]viewEntry // guarded by mu, and so are the entries' sets
}

type viewKey struct {
	account  index.AccountID
	mailbox  index.MailboxID
	validity uint32
}

type viewEntry struct {
	modSeq index.ModSeq
	uids   *uidset.Set // never handed out, only cloned
	unseen index.UID   // the lowest without \Seen, 0 where there is none
}

// read returns the view of the mailbox that is now in r; its UIDs are the caller's.
func (c *viewCache) read(r kv.Reader, a index.AccountID, now index.Mailbox) (v View, err error) {
	v.Mailbox = now
	if now.Messages < cachedFrom {
		if v.UIDs, err = mailbox.UIDs(r, a, now.ID); err == nil {
			v.FirstUnseen, err = firstUnseen(r, a, now)
		}
		return v, err
	}
	key := viewKey{a, now.ID, now.UIDValidity}
	cached, found := c.get(key)
	if found && cached.modSeq == now.HighestModSeq {
		v.UIDs, v.FirstUnseen = cached.uids, cached.unseen
		return v, nil
	}
	ok := false
	if found && cached.modSeq < now.HighestModSeq {
		if ok, err = advance(r, a, now.ID, cached.uids, cached.modSeq); err != nil {
			return View{}, err
		}
		v.UIDs = cached.uids
	}
	if !ok || v.UIDs.Len() != int(now.Messages) {
		if v.UIDs, err = mailbox.UIDs(r, a, now.ID); err != nil {
			return View{}, err
		}
	}
	if v.FirstUnseen, err = firstUnseen(r, a, now); err != nil {
		return View{}, err
	}
	c.put(key, viewEntry{modSeq: now.HighestModSeq, uids: v.UIDs.Clone(), unseen: v.FirstUnseen})
	return v, nil
}

func firstUnseen(r kv.Reader, a index.AccountID, now index.Mailbox) (index.UID, error) {
	if now.Unseen == 0 {
		return 0, nil
	}
	return mailbox.FirstUnseen(r, a, now.ID)
}

// advance brings uids from a modification sequence to what r has, or returns false where it is not
// known any more what vanished.
func advance(r kv.Reader, a index.AccountID, m index.MailboxID, uids *uidset.Set, since index.ModSeq) (bool, error) {
	gone, complete, err := mailbox.Vanished(r, a, m, since)
	if err != nil || !complete {
		return false, err
	}
	changed, err := mailbox.Changed(r, a, m, since)
	if err != nil {
		return false, err
	}
	uids.Union(changed)
	uids.Subtract(gone)
	return true, nil
}

// get returns the entry of key with a clone of its UIDs.
func (c *viewCache) get(key viewKey) (e viewEntry, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok = c.entries[key]; ok {
		clone := e.uids.Clone() // writes to both sides' sharing marks, hence under mu
		e.uids = clone
	}
	return e, ok
}

// put keeps e, unless a newer one is there. Where the cache is full, any entry makes room.
func (c *viewCache) put(key viewKey, e viewEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.entries[key]; ok && old.modSeq >= e.modSeq {
		return
	}
	if len(c.entries) >= cachedViews {
		for k := range c.entries {
			delete(c.entries, k)
			break
		}
	}
	c.entries[key] = e
}
