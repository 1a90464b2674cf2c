package mailbox

import (
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// DedupWindow is how long a delivery is remembered: a peer that missed our reply sends again within
// hours (RFC 1047).
const DedupWindow = 24 * time.Hour

// Each forgetEvery-th body forgets up to forgetMost deliveries, so that remembering stays cheap and
// what is remembered does not grow.
const (
	forgetEvery = 16
	forgetMost  = 64
)

// delivered returns the result of an earlier delivery under the same key, or nil.
func (x *Execution) delivered(a *accountState, key []byte) (*indexpb.TargetResult, error) {
	if len(key) == 0 {
		return nil, nil
	}
	value, ok, err := x.get(keys.Dedup(x.key[:0], a.id, key))
	if err != nil || !ok {
		return nil, err
	}
	d, err := keys.DecodeDelivered(value)
	if err != nil {
		return nil, fmt.Errorf("delivery record: %w: %w", err, ErrCorrupt)
	}
	if d.Expiry.UnixMilli() <= x.now {
		if err := x.delete(keys.Dedup(x.key[:0], a.id, key)); err != nil {
			return nil, err
		}
		return nil, x.delete(keys.DedupExpiry(x.key[:0], d.Expiry, a.id, key))
	}
	return &indexpb.TargetResult{
		Code: indexpb.Code_CODE_DUPLICATE, MailboxId: uint32(d.Mailbox), UidValidity: d.UIDValidity, Uid: uint32(d.UID),
	}, nil
}

// remember keeps that a delivery went to m.
func (x *Execution) remember(a *accountState, key []byte, m *mailboxState, u index.UID) error {
	if len(key) == 0 {
		return nil
	}
	d := keys.Delivered{
		Expiry:  time.UnixMilli(x.now).Add(DedupWindow),
		Mailbox: m.id, UIDValidity: m.rec.UidValidity, UID: u,
	}
	x.value = d.Append(x.value[:0])
	if err := x.set(keys.Dedup(x.key[:0], a.id, key), x.value); err != nil {
		return err
	}
	return x.set(keys.DedupExpiry(x.key[:0], d.Expiry, a.id, key), nil)
}

// WasSent reports whether an account's message was queued under key within DedupWindow.
func (x *Execution) WasSent(account index.AccountID, key []byte) (bool, error) {
	if len(key) == 0 {
		return false, nil
	}
	a, err := x.account(account)
	if err != nil {
		return false, err
	}
	res, err := x.delivered(a, key)
	return res != nil, err
}

// Sent remembers that an account's message is queued under key.
func (x *Execution) Sent(account index.AccountID, key []byte) error {
	if len(key) == 0 {
		return nil
	}
	a, err := x.account(account)
	if err != nil {
		return err
	}
	return x.remember(a, key, &mailboxState{}, 0)
}

// forgetDeliveries removes expired deliveries, when it is the turn of this body.
func (x *Execution) forgetDeliveries(id index.BodyID) error {
	if id == 0 || id%forgetEvery != 0 {
		return nil
	}
	expired, err := x.expired()
	if err != nil {
		return fmt.Errorf("scan deliveries by expiry: %w", err)
	}
	for _, key := range expired {
		_, a, dedup, err := keys.ReadDedupExpiry(key)
		if err != nil {
			return fmt.Errorf("delivery by expiry: %w: %w", err, ErrCorrupt)
		}
		if err := x.delete(keys.Dedup(x.key[:0], a, dedup)); err != nil {
			return err
		}
		if err := x.b.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// expired returns the keys of up to forgetMost expired deliveries.
func (x *Execution) expired() (found [][]byte, err error) {
	upper := keys.DedupExpiry(nil, time.UnixMilli(x.now), 0, nil)
	it, err := x.b.Scan(keys.Whole(nil, keys.TableDedupExpiry), upper)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.First(); ok && len(found) < forgetMost; ok = it.Next() {
		found = append(found, append([]byte(nil), it.Key()...))
	}
	return found, it.Error()
}
