package queue

import (
	"fmt"
	"maps"
	"slices"

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
	return q.b.Set(waitingKey(nil, r.Destination, r.Due, p), nil)
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
	return q.b.Delete(waitingKey(nil, r.Destination, r.Due, p))
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
	return nil
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
		if err := q.b.Delete(agendaKey(nil, d.was, d.name)); err != nil {
			return err
		}
	}
	if d.rec.Next != 0 && d.was != d.rec.Next {
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
		return 0, nil
	}
	prefix := waitingAt(nil, d.name)
	it, err := q.b.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return 0, err
	}
	defer it.Close()
	if !it.First() {
		if err := it.Error(); err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("%d wait and none is listed: %w", d.rec.Waiting, ErrCorrupt)
	}
	due, _, err := readWaiting(it.Key())
	if err != nil {
		return 0, fmt.Errorf("%w: %w", err, ErrCorrupt)
	}
	return max(due, d.rec.ClosedUntil), nil
}
