package queue

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// maxHeldMessages bounds what an account queues while it is held: the queue is no place to keep a flood in.
const maxHeldMessages = 1000

// The windows in which conduct is counted. Each begins with the first message behind the one before.
const (
	hour = int64(time.Hour / time.Millisecond)
	day  = 24 * hour
)

// conduct is what an account has sent lately, while a command executes.
type conduct struct {
	account uint64
	rec     queuepb.ConductRecord
	dirty   bool
}

// conductOf returns the conduct of an account that the command touches, counted up to now.
func (q *machine) conductOf(account uint64) (*conduct, error) {
	if c := q.conducts[account]; c != nil {
		return c, nil
	}
	c := &conduct{account: account}
	if _, err := read(q.b, conductKey(nil, account), &c.rec); err != nil {
		return nil, fmt.Errorf("read conduct of account %d: %w", account, err)
	}
	roll(&c.rec, q.now)
	if q.conducts == nil {
		q.conducts = map[uint64]*conduct{}
	}
	q.conducts[account] = c
	return c, nil
}

// finishConducts writes what the command changed.
func (q *machine) finishConducts() error {
	for _, account := range slices.Sorted(maps.Keys(q.conducts)) {
		c := q.conducts[account]
		if !c.dirty {
			continue
		}
		if err := q.put(conductKey(nil, account), &c.rec); err != nil {
			return fmt.Errorf("write conduct of account %d: %w", account, err)
		}
		tell := unnoticedKey(nil, account)
		if c.rec.HeldSince != 0 && c.rec.Noticed == 0 {
			if err := q.b.Set(tell, nil); err != nil {
				return err
			}
		} else if err := q.b.Delete(tell); err != nil {
			return err
		}
	}
	return nil
}

// judge says what the brakes that a new entry is under make of it, and counts it where it is queued: held with its account, why, or
// refused. One without brakes passes.
func (q *machine) judge(n *queuepb.NewEntry) (why string, refused *queuepb.Refusal, err error) {
	if n.Brakes == nil {
		return "", nil, nil
	}
	c, err := q.conductOf(n.Account)
	if err != nil {
		return "", nil, err
	}
	strangers, err := q.strangers(n)
	if err != nil {
		return "", nil, err
	}
	after := count(&c.rec, n, len(strangers))
	switch over := exceeded(n.Brakes, &c.rec, after, len(n.Recipients), len(strangers)); {
	case c.rec.HeldSince != 0 && c.rec.HeldMessages >= maxHeldMessages:
		return "", &queuepb.Refusal{What: fmt.Sprintf("%d messages while it is held", maxHeldMessages), Until: q.now + hour}, nil
	case c.rec.HeldSince != 0:
	case stolen(n.Brakes, after):
		after.set(&c.rec)
		q.holdAccount(c, stolenWhy(&c.rec), 0)
	case over == nil:
	case !n.Brakes.Hold:
		return "", over, nil
	default:
		q.holdAccount(c, "more than "+over.What, 0)
	}
	after.set(&c.rec)
	c.rec.Brakes, c.dirty = n.Brakes, true
	if c.rec.HeldSince == 0 {
		return "", nil, q.meet(c, n)
	}
	c.rec.HeldMessages++
	return c.rec.HeldWhy, nil, nil
}

// rejected counts a recipient that its host refused for good.
func (q *machine) rejected(e *queuepb.EntryRecord, o *queuepb.Outcome) error {
	if a := o.Attempt; !e.Braked || a == nil || a.Host == "" || a.Code < 500 || a.Code > 599 {
		return nil
	}
	c, err := q.conductOf(e.Account)
	if err != nil {
		return err
	}
	c.rec.Rejections++
	c.dirty = true
	b, now := c.rec.Brakes, tallyOf(&c.rec)
	switch {
	case c.rec.HeldSince != 0 || b == nil:
	case stolen(b, &now):
		q.holdAccount(c, stolenWhy(&c.rec), 0)
	case b.Hold && b.RejectionsDay != 0 && c.rec.Rejections > b.RejectionsDay:
		q.holdAccount(c, fmt.Sprintf("more than %d rejections a day", b.RejectionsDay), 0)
	}
	return nil
}

// holdAccount has all that the account queues be held from now on. noticed is when an administrator knew, 0 where none does.
func (q *machine) holdAccount(c *conduct, why string, noticed int64) {
	c.rec.HeldSince, c.rec.HeldWhy, c.rec.Noticed, c.rec.HeldMessages, c.dirty = q.now, why, noticed, 0, true
}

// heldWith holds an entry whose account is held, and reports whether it is.
func (q *machine) heldWith(id EntryID, e *queuepb.EntryRecord) (bool, error) {
	if !e.Braked {
		return false, nil
	}
	c, err := q.conductOf(e.Account)
	if err != nil || c.rec.HeldSince == 0 {
		return false, err
	}
	e.HeldWithAccount = true
	held, err := q.hold(id, e, c.rec.HeldWhy)
	if err != nil || !held {
		return held, err
	}
	return true, q.tell(id, e, &queuepb.StoryEvent{Kind: queuepb.StoryKind_STORY_KIND_HELD, Entry: uint64(id), Text: clipped(e.HeldWhy)})
}

// editConduct does what an operator says about an account, or notes that one was told.
func (q *machine) editConduct(cmd *queuepb.EditConductCommand) (*queuepb.Result, error) {
	if cmd.Account == 0 || len(cmd.Why) > maxText {
		return refuse(indexpb.Code_CODE_INVALID, "account %d, a reason of %d octets", cmd.Account, len(cmd.Why)), nil
	}
	if cmd.Forget {
		return q.forgetConduct(cmd.Account)
	}
	c, err := q.conductOf(cmd.Account)
	if err != nil {
		return nil, err
	}
	res := done()
	held := c.rec.HeldSince != 0
	switch {
	case cmd.Noticed:
		if !held || c.rec.Noticed != 0 || c.rec.HeldSince != cmd.HeldSince {
			return res, nil
		}
		c.rec.Noticed = q.now
	case cmd.Hold == held:
		return res, nil
	case cmd.Hold:
		q.holdAccount(c, cmd.Why, q.now)
	default: // with a clean slate: else the next message would hold it again
		c.rec = queuepb.ConductRecord{Hour: q.now, Day: q.now, Brakes: c.rec.Brakes, Acquaintances: c.rec.Acquaintances}
	}
	c.dirty = true
	res.Changed = 1
	return res, nil
}

func (q *machine) forgetConduct(account uint64) (*queuepb.Result, error) {
	prefix := acquaintanceKey(nil, account, nil)
	if err := q.b.DeleteRange(prefix, keys.After(nil, prefix)); err != nil {
		return nil, err
	}
	if err := q.b.Delete(unnoticedKey(nil, account)); err != nil {
		return nil, err
	}
	return done(), q.b.Delete(conductKey(nil, account))
}

// Conduct returns what an account has sent lately. What is counted may be of an hour and a day that are over.
func Conduct(r kv.Reader, account index.AccountID) (*queuepb.ConductRecord, error) {
	rec := new(queuepb.ConductRecord)
	_, err := read(r, conductKey(nil, uint64(account)), rec)
	return rec, err
}

// Conducts calls fn for each account that has sent something, by id.
func Conducts(r kv.Reader, fn func(index.AccountID, *queuepb.ConductRecord) error) error {
	prefix := conductKey(nil, 0)[:2]
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		account, err := readConductKey(it.Key())
		if err != nil {
			return err
		}
		value, err := it.Value()
		if err != nil {
			return err
		}
		rec := new(queuepb.ConductRecord)
		if err := rec.UnmarshalVT(value); err != nil {
			return fmt.Errorf("conduct of account %d: %w: %w", account, err, ErrCorrupt)
		}
		if err := fn(index.AccountID(account), rec); err != nil {
			return err
		}
	}
	return it.Error()
}

// Unnoticed returns up to n accounts that are held, and of which no administrator was told.
func Unnoticed(r kv.Reader, n int) (list []index.AccountID, err error) {
	prefix := unnoticedKey(nil, 0)[:2]
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.First(); ok && len(list) < n; ok = it.Next() {
		account, err := readConductKey(it.Key())
		if err != nil {
			return nil, err
		}
		list = append(list, index.AccountID(account))
	}
	return list, it.Error()
}

// HeldWith returns up to n entries behind after that are held because an account is.
func HeldWith(r kv.Reader, account index.AccountID, after EntryID, n int) (list []EntryID, err error) {
	err = Entries(r, after, func(id EntryID, e *queuepb.EntryRecord) (bool, error) {
		if e.HeldWithAccount && e.Account == uint64(account) {
			list = append(list, id)
		}
		return len(list) < n, nil
	})
	return list, err
}
