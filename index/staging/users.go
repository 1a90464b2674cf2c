package staging

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// Use notes that a message has a body. It is told of each message that is filed; in mode EMBEDDED it
// does nothing.
func (l *Ledger) Use(id index.BodyID, u User) error {
	rec, err := l.active()
	if err != nil || rec == nil {
		return err
	}
	if !listed(rec) {
		if err := l.countFirst(id); err != nil {
			return err
		}
	}
	return l.b.Set(keys.User(l.key[:0], id, u.Account, u.Mailbox, u.UID), nil)
}

// Leave notes that a message has a body no longer. It is told of each message that is taken away, before
// the body is released.
func (l *Ledger) Leave(id index.BodyID, u User) error {
	rec, err := l.active()
	if err != nil || rec == nil {
		return err
	}
	key := keys.User(l.key[:0], id, u.Account, u.Mailbox, u.UID)
	if listed(rec) {
		return l.b.Delete(key)
	}
	_, noted, err := l.b.Get(key)
	if err != nil || !noted {
		return err
	}
	if err := l.b.Delete(key); err != nil {
		return err
	}
	return l.uncountLast(id)
}

// countFirst counts a body that is staged and was there before, when its first user is noted.
func (l *Ledger) countFirst(id index.BodyID) error {
	used, err := isUsed(l.b, id)
	if err != nil || used {
		return err
	}
	rec, ok, err := readBody(l.b, id)
	if err != nil || !ok || !rec.staged() { // else Commit counts it
		return err
	}
	l.stage(rec.Stored, 1)
	return nil
}

// uncountLast counts a body that is staged no more, when the last user that was noted is gone.
func (l *Ledger) uncountLast(id index.BodyID) error {
	used, err := isUsed(l.b, id)
	if err != nil || used {
		return err
	}
	rec, ok, err := readBody(l.b, id)
	if err != nil || !ok || !rec.staged() {
		return err
	}
	return l.unstage(rec.Stored, 1)
}

// counted reports whether a staged body is counted.
func (l *Ledger) counted(id index.BodyID) (bool, error) {
	rec, err := l.active()
	if err != nil || rec == nil || listed(rec) {
		return rec != nil, err
	}
	return isUsed(l.b, id)
}

// isUsed reports whether a user of a body is noted.
func isUsed(r kv.Reader, id index.BodyID) (bool, error) {
	prefix := keys.UsersOf(nil, id)
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return false, fmt.Errorf("scan users of body %d: %w", id, err)
	}
	defer it.Close()
	return it.First(), it.Error()
}

// Users returns the messages that have a body, by account, mailbox and UID, as far as they are noted.
func Users(r kv.Reader, id index.BodyID) (users []User, err error) {
	prefix := keys.UsersOf(nil, id)
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return nil, fmt.Errorf("scan users of body %d: %w", id, err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		_, a, m, u, err := keys.ReadUser(it.Key())
		if err != nil {
			return nil, err
		}
		users = append(users, User{a, m, u})
	}
	return users, it.Error()
}

// Listing returns up to where messages are listed, or ok false where that is not going on.
func (l *Ledger) Listing() (at User, ok bool, err error) {
	rec, err := l.active()
	if err != nil || rec == nil || rec.Mode != indexpb.BlobMode_BLOB_MODE_LISTING {
		return User{}, false, err
	}
	return cursor(rec), true, nil
}

// Listed moves the cursor of the listing that goes on, or with more false ends it.
func (l *Ledger) Listed(at User, more bool) {
	if !more {
		at = end()
		l.blobs.Mode = indexpb.BlobMode_BLOB_MODE_PACKED
	}
	l.setCursor(at)
}
