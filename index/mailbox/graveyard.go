package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/staging"
)

// DrainGraveyard releases the bodies of messages of deleted mailboxes, a bounded number each time.
// The result says whether more are left.
func (x *Execution) DrainGraveyard(cmd *indexpb.DrainGraveyardCommand) (*indexpb.Result, error) {
	limit := step(cmd.Limit)
	a, m, ok, err := x.firstGrave()
	if err != nil || !ok {
		return &indexpb.Result{}, err
	}
	bodies, last, err := x.buried(a, m, limit)
	if err != nil {
		return nil, fmt.Errorf("drain mailbox %d of account %d: %w", m, a, err)
	}
	for _, b := range bodies {
		if err := x.exhume(b); err != nil {
			return nil, fmt.Errorf("drain mailbox %d of account %d: %w", m, a, err)
		}
	}
	lower := keys.InMailbox(nil, keys.TableSummary, a, m)
	if len(bodies) < limit {
		if err := x.b.DeleteRange(lower, keys.After(nil, lower)); err != nil {
			return nil, err
		}
		if err := x.b.Delete(keys.Graveyard(nil, a, m)); err != nil {
			return nil, err
		}
		_, _, more, err := x.firstGrave()
		return &indexpb.Result{More: more}, err
	}
	return &indexpb.Result{More: true}, x.b.DeleteRange(lower, append(last, 0))
}

func (x *Execution) firstGrave() (a index.AccountID, m index.MailboxID, ok bool, err error) {
	prefix := keys.Whole(nil, keys.TableGraveyard)
	it, err := x.b.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return 0, 0, false, fmt.Errorf("scan graveyard: %w", err)
	}
	defer it.Close()
	if !it.First() {
		return 0, 0, false, it.Error()
	}
	a, m, err = keys.ReadMailbox(it.Key())
	return a, m, err == nil, err
}

// step is how many messages a command goes through that asks for limit; 0 is the default.
func step(limit uint32) int {
	if limit == 0 || limit > MaxMessages {
		return MaxMessages
	}
	return int(limit)
}

// exhume takes its body from a message of a deleted mailbox.
func (x *Execution) exhume(b staging.Used) error {
	if err := x.bodies.Leave(b.Body, b.User); err != nil {
		return err
	}
	return x.bodies.Release(b.Body)
}

// buried returns the bodies of the first summaries of a mailbox, and the last key it read.
func (x *Execution) buried(a index.AccountID, m index.MailboxID, limit int) (bodies []staging.Used, last []byte, err error) {
	prefix := keys.InMailbox(nil, keys.TableSummary, a, m)
	return x.usedBodies(prefix, keys.After(nil, prefix), limit)
}

// usedBodies returns the bodies of the first summaries of a range of keys, and the last key it read.
func (x *Execution) usedBodies(lower, upper []byte, limit int) (bodies []staging.Used, last []byte, err error) {
	it, err := x.b.Scan(lower, upper)
	if err != nil {
		return nil, nil, err
	}
	defer it.Close()
	var rec indexpb.Summary
	for ok := it.First(); ok && len(bodies) < limit; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			return nil, nil, err
		}
		rec.Reset()
		if err := rec.UnmarshalVTUnsafe(value); err != nil {
			return nil, nil, fmt.Errorf("summary: %w: %w", err, ErrCorrupt)
		}
		last = append(last[:0], it.Key()...)
		a, m, u, err := keys.ReadMessage(last)
		if err != nil {
			return nil, nil, err
		}
		bodies = append(bodies, staging.Used{Body: index.BodyID(rec.BodyId), User: staging.User{Account: a, Mailbox: m, UID: u}})
	}
	return bodies, last, it.Error()
}
