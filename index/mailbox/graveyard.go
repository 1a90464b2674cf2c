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
	limit := int(cmd.Limit)
	if limit == 0 || limit > MaxMessages {
		limit = MaxMessages
	}
	a, m, ok, err := x.firstGrave()
	if err != nil || !ok {
		return &indexpb.Result{}, err
	}
	bodies, last, err := x.buried(a, m, limit)
	if err != nil {
		return nil, fmt.Errorf("drain mailbox %d of account %d: %w", m, a, err)
	}
	for _, id := range bodies {
		if err := staging.Release(x.b, id); err != nil {
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

// buried returns the bodies of the first summaries of a mailbox, and the last key it read.
func (x *Execution) buried(a index.AccountID, m index.MailboxID, limit int) (bodies []index.BodyID, last []byte, err error) {
	prefix := keys.InMailbox(nil, keys.TableSummary, a, m)
	it, err := x.b.Scan(prefix, keys.After(nil, prefix))
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
		bodies = append(bodies, index.BodyID(rec.BodyId))
		last = append(last[:0], it.Key()...)
	}
	return bodies, last, it.Error()
}
