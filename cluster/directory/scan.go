package directory

import (
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
)

// errStop ends a scan from within.
var errStop = errors.New("enough")

// scan calls fn with each record whose key starts with prefix and is above behind, in order of keys,
// at most limit of them (0: all). Messages are not reused.
func scan[M any, P interface {
	*M
	record
}](r kv.Reader, prefix, behind []byte, limit int, fn func(P) error) error {
	return scanKeys(r, prefix, behind, limit, func(key, value []byte) error {
		m := P(new(M))
		if err := m.UnmarshalVT(value); err != nil {
			return fmt.Errorf("read key %x: %w: %w", key, ErrCorrupt, err)
		}
		return fn(m)
	})
}

// scanKeys is scan for keys and values as they are; both are valid until fn returns. fn ends the scan
// with errStop.
func scanKeys(r kv.Reader, prefix, behind []byte, limit int, fn func(key, value []byte) error) (err error) {
	lower := prefix
	if behind != nil {
		lower = append(append([]byte(nil), behind...), 0)
	}
	it, err := r.Scan(lower, after(prefix))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	seen := 0
	for valid := it.First(); valid && (limit == 0 || seen < limit); valid = it.Next() {
		value, err := it.Value()
		if err != nil {
			return err
		}
		if err := fn(it.Key(), value); err != nil {
			if errors.Is(err, errStop) {
				return nil
			}
			return err
		}
		seen++
	}
	return it.Error()
}
