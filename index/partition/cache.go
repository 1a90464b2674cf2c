package partition

import (
	"bytes"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/keys"
)

// The bounds of a partition's cache: entries of each of its two generations, and bytes of a value.
const (
	cacheEntries = 8192
	cacheValue   = 2 << 10
)

// cache remembers values that nearly each command reads and writes: accounts, mailboxes, the blocks
// of UIDs and the counters. It stands in front of the batch that a command executes on.
//
// Invariant: an entry is the value that the batch, or after its commit the state, has under the key.
// So it decides nothing: with any content, or with none, a command does the same. What a failed batch
// leaves in it does not matter, as the group has stopped then; Restored forgets all.
//
// It is for the goroutine that applies the log.
type cache struct {
	kv.Batch // of the command that executes

	entries int // bound of a generation

	// Entries that are used move to young; when it is full old is forgotten and young becomes old.
	young, old map[string]*cached
}

// cached is a value, or that there is none: what mode bodies are in is asked by nearly each command, and in most
// partitions there is no answer.
type cached struct {
	value []byte
	none  bool
}

var _ kv.Batch = (*cache)(nil)

// cacheable reports whether values under key are remembered: small ones that are used again.
func cacheable(key []byte) bool {
	switch keys.Table(key[0]) {
	case keys.TableAccount, keys.TableMailbox, keys.TableName, keys.TableUIDs, keys.TableUnseen, keys.TableCounter,
		keys.TableBlobs, keys.TablePack:
		return true
	}
	return false
}

func (c *cache) forget() { c.young, c.old = nil, nil }

// find returns the entry of key, or nil.
func (c *cache) find(key []byte) *cached {
	if e := c.young[string(key)]; e != nil {
		return e
	}
	e := c.old[string(key)]
	if e != nil {
		c.keep(key, e)
	}
	return e
}

// keep makes e the entry of key.
func (c *cache) keep(key []byte, e *cached) {
	if c.young == nil {
		c.young = make(map[string]*cached)
	}
	if len(c.young) >= c.entries {
		c.young, c.old = make(map[string]*cached), c.young
	}
	c.young[string(key)] = e
}

func (c *cache) drop(key []byte) {
	delete(c.young, string(key))
	delete(c.old, string(key))
}

// Get implements kv.Reader.
func (c *cache) Get(key []byte) ([]byte, bool, error) {
	if !cacheable(key) {
		return c.Batch.Get(key)
	}
	if e := c.find(key); e != nil {
		if e.none {
			return nil, false, nil
		}
		return append([]byte{}, e.value...), true, nil
	}
	value, ok, err := c.Batch.Get(key)
	if err == nil && !ok && keys.Table(key[0]) == keys.TableBlobs {
		c.keep(key, &cached{none: true})
	}
	if err == nil && ok && len(value) <= cacheValue {
		c.keep(key, &cached{value: bytes.Clone(value)})
	}
	return value, ok, err
}

// Set implements kv.Writer.
func (c *cache) Set(key, value []byte) error {
	if cacheable(key) {
		switch e := c.find(key); {
		case len(value) > cacheValue:
			c.drop(key)
		case e != nil:
			e.value, e.none = append(e.value[:0], value...), false
		default:
			c.keep(key, &cached{value: bytes.Clone(value)})
		}
	}
	return c.Batch.Set(key, value)
}

// Delete implements kv.Writer.
func (c *cache) Delete(key []byte) error {
	if cacheable(key) {
		c.drop(key)
	}
	return c.Batch.Delete(key)
}

// DeleteRange implements kv.Writer.
func (c *cache) DeleteRange(lower, upper []byte) error {
	if len(upper) > 0 && lower[0] == upper[0] && !cacheable(lower) {
		return c.Batch.DeleteRange(lower, upper) // the chunks of a body
	}
	for _, generation := range []map[string]*cached{c.young, c.old} {
		for key := range generation {
			if key >= string(lower) && (len(upper) == 0 || key < string(upper)) {
				delete(generation, key)
			}
		}
	}
	return c.Batch.DeleteRange(lower, upper)
}
