package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/staging"
)

// Verify holds every key of a partition against the invariants of KEYS.md, by counting everything
// anew. It reads all keys, and keeps the bodies' ids in memory: it is for tests and for operators who
// have a reason. What breaks an invariant is ErrCorrupt.
func Verify(r kv.Reader) error { return VerifyAlso(r, nil) }

// VerifyAlso is Verify where bodies have other users beside messages.
func VerifyAlso(r kv.Reader, others Others) error {
	bodies, err := staging.NewVerifier(r)
	if err != nil {
		return err
	}
	v := &verifier{r: r, bodies: bodies, boxes: make(map[place]bool), waiting: make(map[place]bool)}
	steps := []func() error{v.accounts, v.graves, v.kept, v.orphans, v.annotations, func() error { return v.others(others) }, bodies.Finish, v.deliveries}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// place is a mailbox of an account.
type place struct {
	account index.AccountID
	mailbox index.MailboxID
}

type verifier struct {
	r      kv.Reader
	bodies *staging.Verifier
	boxes  map[place]bool // true in the graveyard

	waiting map[place]bool // deleted mailboxes that wait for DrainKept
}

// others counts the users of bodies that are no messages.
func (v *verifier) others(list Others) error {
	if list == nil {
		return nil
	}
	const step = 1000
	for at := (staging.User{}); ; {
		some, err := list(v.r, at, step)
		if err != nil {
			return err
		}
		for _, u := range some {
			if err := v.bodies.User(u.Body, u.User); err != nil {
				return err
			}
			at = u.User
		}
		if len(some) < step {
			return nil
		}
	}
}

func broken(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrCorrupt)...)
}

func (v *verifier) accounts() error {
	return scan(v.r, keys.Whole(nil, keys.TableAccount), func(it kv.Iterator) error {
		var key []byte
		key = append(key, it.Key()...)
		value, err := it.Value()
		if err != nil {
			return err
		}
		var rec indexpb.AccountRecord
		if err := rec.UnmarshalVT(value); err != nil {
			return broken("account record: %v", err)
		}
		id, err := keys.ReadAccount(key)
		if err != nil {
			return err
		}
		return v.account(id, &rec)
	})
}

func (v *verifier) account(a index.AccountID, rec *indexpb.AccountRecord) error {
	all, err := List(v.r, a)
	if err != nil {
		return err
	}
	var bytes, messages uint64
	boxes := uint32(0)
	for _, m := range all {
		id, ok, err := Find(v.r, a, m.Name)
		if err != nil {
			return err
		}
		if ok != (m.ID != 0) || id != m.ID {
			return broken("account %d: %q leads to mailbox %d, not %d", a, m.Name, id, m.ID)
		}
		if m.ID == 0 {
			continue
		}
		if m.UIDValidity > rec.LastUidValidity || uint64(m.HighestModSeq) > rec.ModSeq || uint32(m.ID) > rec.NextMailbox {
			return broken("account %d: mailbox %d is ahead of its account", a, m.ID)
		}
		if err := v.mailbox(a, m); err != nil {
			return fmt.Errorf("account %d, mailbox %d: %w", a, m.ID, err)
		}
		if err := v.grants(a, m.ID); err != nil {
			return fmt.Errorf("account %d, mailbox %d: %w", a, m.ID, err)
		}
		if err := v.urlKey(a, m.ID); err != nil {
			return fmt.Errorf("account %d, mailbox %d: %w", a, m.ID, err)
		}
		boxes++
		bytes, messages = bytes+m.Bytes, messages+uint64(m.Messages)
		v.boxes[place{a, m.ID}] = false
	}
	if bytes != rec.UsedBytes || messages != rec.UsedMessages || boxes != rec.Mailboxes {
		return broken("account %d: %d octets, %d messages, %d mailboxes counted, %d, %d, %d recorded",
			a, bytes, messages, boxes, rec.UsedBytes, rec.UsedMessages, rec.Mailboxes)
	}
	return nil
}

func (v *verifier) graves() error {
	return scan(v.r, keys.Whole(nil, keys.TableGraveyard), func(it kv.Iterator) error {
		a, m, err := keys.ReadMailbox(it.Key())
		if err != nil {
			return err
		}
		if _, alive := v.boxes[place{a, m}]; alive {
			return broken("mailbox %d of account %d is in the graveyard and alive", m, a)
		}
		v.boxes[place{a, m}] = true
		_, _, err = v.summaries(a, m)
		return err
	})
}

// kept counts deleted mailboxes that wait for DrainKept: their messages have flags and summaries.
func (v *verifier) kept() error {
	return scan(v.r, keys.Whole(nil, keys.TableKept), func(it kv.Iterator) error {
		a, m, err := keys.ReadMailbox(it.Key())
		if err != nil {
			return err
		}
		if _, known := v.boxes[place{a, m}]; known {
			return broken("mailbox %d of account %d waits to be kept and is not deleted", m, a)
		}
		v.waiting[place{a, m}] = true
		flags := 0
		err = walkAll(v.r, keys.TableFlags, a, m, func(index.UID, []byte) error { flags++; return nil })
		if err != nil {
			return err
		}
		summaries := 0
		if err := walkAll(v.r, keys.TableSummary, a, m, func(index.UID, []byte) error { summaries++; return nil }); err != nil {
			return err
		}
		if flags != summaries {
			return broken("mailbox %d of account %d waits to be kept with %d flags and %d summaries", m, a, flags, summaries)
		}
		_, _, err = v.summaries(a, m)
		return err
	})
}

// walkAll calls fn with all values of a mailbox in t.
func walkAll(r kv.Reader, t keys.Table, a index.AccountID, m index.MailboxID, fn func(index.UID, []byte) error) error {
	return scan(r, keys.InMailbox(nil, t, a, m), func(it kv.Iterator) error {
		u, err := uidOf(it)
		if err != nil {
			return err
		}
		value, err := it.Value()
		if err != nil {
			return err
		}
		return fn(u, value)
	})
}

// orphans looks for keys of mailboxes that are not there.
func (v *verifier) orphans() error {
	tables := []keys.Table{keys.TableMailbox, keys.TableUIDs, keys.TableUnseen, keys.TableDeleted, keys.TableFlags,
		keys.TableSummary, keys.TableChange, keys.TableTombstone, keys.TableACL}
	for _, t := range tables {
		err := scan(v.r, keys.Whole(nil, t), func(it kv.Iterator) error {
			a, m, err := keys.ReadMailbox(it.Key()[:min(len(it.Key()), keys.MailboxPrefix)])
			if err != nil {
				return err
			}
			if v.waiting[place{a, m}] && (t == keys.TableFlags || t == keys.TableSummary) {
				return nil
			}
			if buried, known := v.boxes[place{a, m}]; !known || buried && t != keys.TableSummary {
				return broken("key %x belongs to no mailbox", it.Key())
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deliveries pairs what is remembered of deliveries with the order in which it expires.
func (v *verifier) deliveries() error {
	byExpiry, byKey := 0, 0
	err := scan(v.r, keys.Whole(nil, keys.TableDedupExpiry), func(it kv.Iterator) error {
		byExpiry++
		expiry, a, key, err := keys.ReadDedupExpiry(it.Key())
		if err != nil {
			return err
		}
		value, ok, err := v.r.Get(keys.Dedup(nil, a, key))
		if err != nil {
			return err
		}
		if d, err := keys.DecodeDelivered(value); !ok || err != nil || !d.Expiry.Equal(expiry) {
			return broken("delivery %x to account %d expires at %v by its index", key, a, expiry)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = scan(v.r, keys.Whole(nil, keys.TableDedup), func(kv.Iterator) error {
		byKey++
		return nil
	})
	if err == nil && byKey != byExpiry {
		err = broken("%d deliveries, %d by expiry", byKey, byExpiry)
	}
	return err
}
