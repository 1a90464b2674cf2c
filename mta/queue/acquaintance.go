package queue

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// How long and how many of those that an account wrote to are known. Replicas must agree on them.
const (
	maxAcquaintances = 5000      // of an account
	acquaintedFor    = 400 * day // since the last message
	refreshAfter     = 30 * day  // a later message is noted no sooner
	evictAmong       = 8         // the oldest of so many makes room
)

// acquaintanceSize is how many octets of the hash of an address are kept.
const acquaintanceSize = 8

// addressHash stands for an address: letters' case makes no difference.
func addressHash(address string) []byte {
	h := sha256.Sum256([]byte(strings.ToLower(address)))
	return h[:acquaintanceSize]
}

// strangers are the recipients that the account never wrote to, each once, by their hashes.
func (q *machine) strangers(n *queuepb.NewEntry) (map[string]bool, error) {
	found := map[string]bool{}
	for _, r := range n.Recipients {
		h := addressHash(r.Address)
		rec, err := q.acquaintance(n.Account, h)
		if err != nil {
			return nil, err
		}
		if rec == nil || rec.Last+acquaintedFor <= q.now {
			found[string(h)] = true
		}
	}
	return found, nil
}

// acquaintance returns nil where the account is not known to have written to an address.
func (q *machine) acquaintance(account uint64, hash []byte) (*queuepb.AcquaintanceRecord, error) {
	rec := new(queuepb.AcquaintanceRecord)
	if ok, err := read(q.b, acquaintanceKey(nil, account, hash), rec); err != nil || !ok {
		return nil, err
	}
	return rec, nil
}

// meet notes that the account writes to the recipients of an entry.
func (q *machine) meet(c *conduct, n *queuepb.NewEntry) error {
	for _, r := range n.Recipients {
		h := addressHash(r.Address)
		rec, err := q.acquaintance(n.Account, h)
		if err != nil {
			return err
		}
		if rec != nil && q.now < rec.Last+refreshAfter {
			continue
		}
		if err := q.put(acquaintanceKey(nil, n.Account, h), &queuepb.AcquaintanceRecord{Last: q.now}); err != nil {
			return err
		}
		if rec != nil {
			continue
		}
		if c.rec.Acquaintances++; c.rec.Acquaintances > maxAcquaintances {
			if err := q.evict(c, h); err != nil {
				return fmt.Errorf("forget an acquaintance of account %d: %w", n.Account, err)
			}
		}
	}
	return nil
}

// evict forgets the oldest of those whose hashes follow one: some of the oldest, without a list by age.
func (q *machine) evict(c *conduct, hash []byte) error {
	prefix := acquaintanceKey(nil, c.account, nil)
	it, err := q.b.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	var oldest []byte
	var last int64
	own := acquaintanceKey(nil, c.account, hash)
	ok := it.SeekGE(own)
	for seen := 0; seen < evictAmong; seen++ {
		if !ok {
			ok = it.First() // behind the last comes the first
		}
		key := it.Key()
		if !ok || len(key) != len(own) {
			break
		}
		value, err := it.Value()
		if err != nil {
			return err
		}
		rec := new(queuepb.AcquaintanceRecord)
		if err := rec.UnmarshalVT(value); err != nil {
			return fmt.Errorf("%w: %w", err, ErrCorrupt)
		}
		if string(key) != string(own) && (oldest == nil || rec.Last < last) {
			oldest, last = append([]byte(nil), key...), rec.Last
		}
		ok = it.Next()
	}
	if err := it.Error(); err != nil || oldest == nil {
		return err
	}
	c.rec.Acquaintances--
	return q.b.Delete(oldest)
}
