package queue

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// Destinations calls fn for up to n destinations that recipients wait for, by name.
func Destinations(r kv.Reader, n int, fn func(name string, rec *queuepb.DestinationRecord) error) error {
	prefix := []byte{tableDestination}
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok && n > 0; ok, n = it.Next(), n-1 {
		value, err := it.Value()
		if err != nil {
			return err
		}
		name := string(it.Key()[1:])
		rec := new(queuepb.DestinationRecord)
		if err := rec.UnmarshalVT(value); err != nil {
			return fmt.Errorf("destination %s: %w: %w", name, err, ErrCorrupt)
		}
		if err := fn(name, rec); err != nil {
			return err
		}
	}
	return it.Error()
}
