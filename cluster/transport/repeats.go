package transport

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// repeatEvery is how long a pipeline sends no append that tells its follower nothing. A replica that
// opens anew behind a connection that lives on, and so has forgotten the commit index, learns of it again
// after this long at the latest.
const repeatEvery = 10 * time.Second

// repeats knows what the follower of a pipeline has confirmed, and so which appends would tell it nothing.
//
// An idle leader of raft sends an append without entries every second or two, to spread a commit index that
// nothing else carried. On an idle cluster with many groups these were a third of all work. One that the
// follower has confirmed word by word is not sent; nothing is answered in the follower's place: to
// Raft it is an append whose answer has not come yet, and contact is what heartbeats are for.
type repeats struct {
	mu sync.Mutex // guards what follows
	// Of the last append that was confirmed: its term, the last entry that it proved, the commit index that it carried.
	term, last, commit uint64
	at                 time.Time // zero if none was
}

// proves is the last entry that a follower has when it confirms args.
func proves(args *raft.AppendEntriesRequest) uint64 {
	if n := len(args.Entries); n > 0 {
		return args.Entries[n-1].Index
	}
	return args.PrevLogEntry
}

// confirmed takes in that the follower has confirmed args, as covered made it, at a time.
func (r *repeats) confirmed(args *raft.AppendEntriesRequest, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.term, r.last, r.commit, r.at = args.Term, proves(args), args.LeaderCommitIndex, at
}

// known reports whether args, as covered made it, tells the follower nothing at a time.
func (r *repeats) known(args *raft.AppendEntriesRequest, at time.Time) bool {
	if len(args.Entries) > 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.at.IsZero() && at.Sub(r.at) < repeatEvery &&
		args.Term == r.term && args.PrevLogEntry == r.last && args.LeaderCommitIndex <= r.commit
}

// unsent is the future of an append that was not sent. No consumer gets it.
type unsent struct {
	args *raft.AppendEntriesRequest
	resp *raft.AppendEntriesResponse
	at   time.Time
}

var _ raft.AppendFuture = unsent{}

func (u unsent) Error() error                          { return nil }
func (u unsent) Start() time.Time                      { return u.at }
func (u unsent) Request() *raft.AppendEntriesRequest   { return u.args }
func (u unsent) Response() *raft.AppendEntriesResponse { return u.resp }
