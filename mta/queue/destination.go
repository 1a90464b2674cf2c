package queue

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// destination is a destination while a command executes.
type destination struct {
	name    string
	rec     queuepb.DestinationRecord
	was     int64 // rec.Next as it is in the agenda, 0 where it is not there
	removed bool  // something was taken off its list: what comes first may be another
}

// at returns a destination that the command touches.
func (q *machine) at(name string) (*destination, error) {
	if d := q.destinations[name]; d != nil {
		return d, nil
	}
	d := &destination{name: name}
	if _, err := read(q.b, destinationKey(nil, name), &d.rec); err != nil {
		return nil, fmt.Errorf("read destination %s: %w", name, err)
	}
	d.was = d.rec.Next
	if q.destinations == nil {
		q.destinations = map[string]*destination{}
	}
	q.destinations[name] = d
	return d, nil
}

// list puts a recipient on the list of its destination.
func (q *machine) list(p Place, r *queuepb.RecipientRecord) error {
	d, err := q.at(r.Destination)
	if err != nil {
		return err
	}
	d.rec.Waiting++
	if due := max(r.Due, d.rec.ClosedUntil); d.rec.Next == 0 || due < d.rec.Next {
		d.rec.Next = due
	}
	if d.rec.Waiting == 1 || r.Due < d.rec.First {
		d.rec.First = r.Due
	}
	rank := rankOf(r.Priority)
	d.rec.Ranks |= 1 << rank
	return q.b.Set(waitingKey(nil, r.Destination, rank, r.Due, p), nil)
}

// unlist takes a recipient off the list of its destination.
func (q *machine) unlist(p Place, r *queuepb.RecipientRecord) error {
	d, err := q.at(r.Destination)
	if err != nil {
		return err
	}
	if d.rec.Waiting == 0 {
		return fmt.Errorf("nothing waits for %s: %w", r.Destination, ErrCorrupt)
	}
	d.rec.Waiting--
	d.removed = true
	return q.b.Delete(waitingKey(nil, r.Destination, rankOf(r.Priority), r.Due, p))
}

// close notes that a destination takes nothing before a time, or that it does.
func (q *machine) close(c *queuepb.Closure) error {
	if checkDestination(c.Destination) != nil || c.Until < 0 {
		return nil // of a worker that is wrong; nothing hangs on it
	}
	d, err := q.at(c.Destination)
	if err != nil {
		return err
	}
	d.rec.ClosedUntil = c.Until
	if c.Until == 0 {
		d.rec.Failures, d.rec.Last = 0, nil
	} else {
		d.rec.Failures++
		d.rec.Last = kept(c.Attempt)
	}
	d.removed = true
	return nil
}

// finish writes the destinations that the command touched.
func (q *machine) finish() error {
	for _, name := range slices.Sorted(maps.Keys(q.destinations)) {
		if err := q.finishDestination(q.destinations[name]); err != nil {
			return fmt.Errorf("write destination %s: %w", name, err)
		}
	}
	return q.finishFloor()
}

// staleAtMost is how many deleted keys may lie before the first of the agenda: a store steps over them one by one, at each look,
// until it has compacted them.
const staleAtMost = 64

// finishFloor notes where the agenda begins, as far as that is known without looking each time.
func (q *machine) finishFloor() error {
	if q.lowest != 0 {
		floor, err := q.counter(controlFloor)
		if err == nil && q.lowest < int64(floor) {
			err = q.setCounter(controlFloor, uint64(q.lowest))
		}
		if err != nil {
			return err
		}
	}
	if q.deleted == 0 {
		return nil
	}
	stale, err := q.counter(controlStale)
	if err != nil {
		return err
	}
	if stale += q.deleted; stale < staleAtMost {
		return q.setCounter(controlStale, stale)
	}
	floor, err := q.counter(controlFloor)
	if err != nil {
		return err
	}
	it, err := q.b.Scan(agendaKey(nil, int64(floor), ""), keys.After(nil, []byte{tableAgenda}))
	if err != nil {
		return err
	}
	defer it.Close()
	floor = max(floor, uint64(q.now)) // where nothing is left: what comes with an earlier time lowers it
	if it.First() {
		at, _, err := readAgenda(it.Key())
		if err != nil {
			return fmt.Errorf("%w: %w", err, ErrCorrupt)
		}
		floor = uint64(at)
	}
	if err := it.Error(); err != nil {
		return err
	}
	if err := q.setCounter(controlFloor, floor); err != nil {
		return err
	}
	return q.setCounter(controlStale, 0)
}

func (q *machine) finishDestination(d *destination) error {
	if d.removed {
		next, err := q.next(d)
		if err != nil {
			return err
		}
		d.rec.Next = next
	}
	if d.was != 0 && d.was != d.rec.Next {
		q.deleted++
		if err := q.b.Delete(agendaKey(nil, d.was, d.name)); err != nil {
			return err
		}
	}
	if d.rec.Next != 0 && d.was != d.rec.Next {
		if q.lowest == 0 || d.rec.Next < q.lowest {
			q.lowest = d.rec.Next
		}
		if err := q.b.Set(agendaKey(nil, d.rec.Next, d.name), nil); err != nil {
			return err
		}
	}
	if d.rec.Waiting == 0 {
		return q.b.Delete(destinationKey(nil, d.name))
	}
	return q.put(destinationKey(nil, d.name), &d.rec)
}

// next is when a destination is to be tried: when the first on its list is due, and it is open; 0 for an
// empty list.
func (q *machine) next(d *destination) (int64, error) {
	if d.rec.Waiting == 0 {
		d.rec.First, d.rec.Ranks = 0, 0
		return 0, nil
	}
	first, found := int64(0), uint32(0)
	err := eachRank(q.b, d.name, &d.rec, func(rank byte, it kv.Iterator) (bool, error) {
		due, _, err := readWaiting(it.Key())
		if err != nil {
			return false, fmt.Errorf("%w: %w", err, ErrCorrupt)
		}
		if found == 0 || due < first {
			first = due
		}
		found |= 1 << rank
		return true, nil
	})
	if err == nil && found == 0 {
		err = fmt.Errorf("%d wait and none is listed: %w", d.rec.Waiting, ErrCorrupt)
	}
	if err != nil {
		return 0, err
	}
	d.rec.First, d.rec.Ranks = first, found
	return max(first, d.rec.ClosedUntil), nil
}

// eachRank calls fn for each rank in which somebody waits for a destination, the highest priority first, with an iterator at who
// is due first, until it returns false. It never looks at keys before the first that is there: those that were deleted
// lie there, and a store passes over them one by one for a while.
func eachRank(r kv.Reader, name string, rec *queuepb.DestinationRecord, fn func(rank byte, it kv.Iterator) (bool, error)) error {
	more := true
	for rank := byte(0); rank < ranks && more; rank++ {
		if rec.Ranks&(1<<rank) == 0 {
			continue
		}
		it, err := r.Scan(waitingFrom(nil, name, rank, rec.First), keys.After(nil, waitingAt(nil, name, rank)))
		if err != nil {
			return err
		}
		if it.First() {
			more, err = fn(rank, it)
		}
		if err = errors.Join(err, it.Error(), it.Close()); err != nil {
			return err
		}
	}
	return nil
}
