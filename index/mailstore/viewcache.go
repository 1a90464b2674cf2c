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
// again costs what changed since. It is a cache of the keys: a mailbox's UIDs never change without
// its HIGHESTMODSEQ, so an entry of that sequence is exact whatever replica or snapshot it came from.
type viewCache struct {
	mu      sync.Mutex
	entries map[viewKey]*viewEntry // guarded by mu, and so are the entries' sets
}

type viewKey struct {
	account  index.AccountID
	mailbox  index.MailboxID
	validity uint32
}

type viewEntry struct {
	modSeq index.ModSeq
	uids   *uidset.Set // never handed out, only cloned
}

// read returns the UIDs of the mailbox that is now in r; they are the caller's.
func (c *viewCache) read(r kv.Reader, a index.AccountID, now index.Mailbox) (*uidset.Set, error) {
	if now.Messages < cachedFrom {
		return mailbox.UIDs(r, a, now.ID)
	}
	key := viewKey{a, now.ID, now.UIDValidity}
	uids, at := c.get(key)
	if uids != nil && at == now.HighestModSeq {
		return uids, nil
	}
	if uids != nil && at < now.HighestModSeq {
		ok, err := advance(r, a, now.ID, uids, at)
		if err != nil {
			return nil, err
		}
		if ok && uids.Len() == int(now.Messages) {
			c.put(key, uids, now.HighestModSeq)
			return uids, nil
		}
	}
	uids, err := mailbox.UIDs(r, a, now.ID)
	if err == nil {
		c.put(key, uids, now.HighestModSeq)
	}
	return uids, err
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

func (c *viewCache) get(key viewKey) (*uidset.Set, index.ModSeq) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		return nil, 0
	}
	return e.uids.Clone(), e.modSeq
}

// put keeps a copy of uids, unless a newer one is there. Where the cache is full, any entry makes room.
func (c *viewCache) put(key viewKey, uids *uidset.Set, at index.ModSeq) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil && e.modSeq >= at {
		return
	}
	if len(c.entries) >= cachedViews {
		for k := range c.entries {
			delete(c.entries, k)
			break
		}
	}
	c.entries[key] = &viewEntry{modSeq: at, uids: uids.Clone()}
}
