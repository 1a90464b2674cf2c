package raftlog

import "github.com/hashicorp/raft"

// recent holds the newest entries of a log in memory, so that replication and apply do not read
// the disk. It is bounded by bytes and guarded by its log's lock.
type recent struct {
	max     int64
	bytes   int64
	entries []raft.Log // contiguous; Data is shared with Raft, which does not change it
}

// append adds entries that follow the last one.
func (r *recent) append(logs []*raft.Log) {
	for _, l := range logs {
		r.entries = append(r.entries, *l)
		r.bytes += size(l)
	}
	drop := 0
	for ; drop < len(r.entries) && r.bytes > r.max; drop++ {
		r.bytes -= size(&r.entries[drop])
		r.entries[drop] = raft.Log{} // lets the data go before the array does
	}
	r.entries = r.entries[drop:]
}

// get copies the entry at index to out.
func (r *recent) get(index uint64, out *raft.Log) bool {
	if len(r.entries) == 0 || index < r.entries[0].Index {
		return false
	}
	at := index - r.entries[0].Index
	if at >= uint64(len(r.entries)) {
		return false
	}
	*out = r.entries[at]
	return true
}

// keep drops all entries outside first..last.
func (r *recent) keep(first, last uint64) {
	kept := r.entries[:0:0]
	r.bytes = 0
	for _, e := range r.entries {
		if first <= e.Index && e.Index <= last {
			kept = append(kept, e)
			r.bytes += size(&e)
		}
	}
	r.entries = kept
}

func size(l *raft.Log) int64 { return int64(len(l.Data) + len(l.Extensions) + entryKeySize + 16) }
