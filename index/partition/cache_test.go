package partition

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/index/keys"
)

// TestCacheShowsWhatTheBatchHas writes through the cache at random, over many batches, and holds
// every value that the cache gives against the batch's own.
func TestCacheShowsWhatTheBatchHas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		db, err := state.Open("state", state.Config{FS: vfs.NewMem(), CacheBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		g, c := db.Group(1), cache{entries: 3}
		for index := range cluster.LogIndex(rapid.IntRange(1, 5).Draw(t, "batches")) {
			b := g.NewBatch()
			c.Batch = b
			for range rapid.IntRange(0, 30).Draw(t, "steps") {
				step(t, &c)
				compare(t, &c, b)
			}
			if err := errors.Join(b.Commit(index+1), b.Close()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// drawKey draws a key, of cached tables and of others.
func drawKey(t *rapid.T) []byte {
	table := rapid.SampledFrom([]keys.Table{keys.TableAccount, keys.TableMailbox, keys.TableUIDs, keys.TableDedup, keys.TableChunk, keys.TableBlobs, keys.TablePack}).Draw(t, "table")
	return []byte{byte(table), rapid.ByteRange(0, 5).Draw(t, "key")}
}

func step(t *rapid.T, c *cache) {
	var err error
	switch rapid.SampledFrom([]string{"get", "set", "set", "delete", "range"}).Draw(t, "step") {
	case "get":
		var value []byte
		if value, _, err = c.Get(drawKey(t)); len(value) > 0 {
			value[0] ^= 0xff // it is the caller's
		}
	case "set":
		size := rapid.SampledFrom([]int{0, 1, 20, cacheValue, cacheValue + 1}).Draw(t, "size")
		value := bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, size)
		err = c.Set(drawKey(t), value)
		clear(value) // it was used until the call returned
	case "delete":
		err = c.Delete(drawKey(t))
	case "range":
		lower, upper := drawKey(t), drawKey(t)
		if bytes.Compare(lower, upper) > 0 {
			lower, upper = upper, lower
		}
		err = c.DeleteRange(lower, upper)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func compare(t *rapid.T, c *cache, b kv.Batch) {
	for _, generation := range []map[string]*cached{c.young, c.old} {
		if len(generation) > c.entries {
			t.Fatalf("%d entries", len(generation))
		}
		for key := range generation {
			got, ok, err := c.Get([]byte(key))
			want, there, batchErr := b.Get([]byte(key))
			if err != nil || batchErr != nil || ok != there || !bytes.Equal(got, want) {
				t.Fatalf("key %x: %x %v %v, the batch has %x %v %v", key, got, ok, err, want, there, batchErr)
			}
		}
	}
}
