package cluster

import "github.com/rookery-mail/rookery/cluster/kv"

// Entry is one committed command in the order of the log.
type Entry struct {
	Index LogIndex
	Data  []byte // an encoded command (cluster/command); owned by the log, not to be kept or changed
}

// StateMachine is what a group replicates. Its state is nothing but the keys of its group; anything
// in memory is a cache of them.
//
// Invariant: Apply is a function of the keys and the entries. No clock, no randomness, no map
// order, no I/O but the batch.
type StateMachine interface {
	// Apply executes entries in order against b and returns one result for each. It reads its own
	// writes through b. An error means that the state cannot be trusted or the disk failed: the
	// group stops and stays stopped. What a command's sender is to be told goes into the result.
	Apply(b kv.Batch, entries []Entry) (results [][]byte, err error)
	// Committed tells that everything up to index is visible to readers. It is called after each
	// Apply, in order, from the same goroutine; it wakes watchers and must not block.
	Committed(index LogIndex)
	// Restored tells that the keys are now those of r, at start and after a snapshot of another
	// replica was installed: caches are to be read anew and every watcher woken.
	Restored(r kv.Reader) error
}

// Reserved is the first byte of the keys that a group keeps for itself (applied index, recent
// command ids). A StateMachine uses keys whose first byte is above it.
const Reserved byte = 0x0f
