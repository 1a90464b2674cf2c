package node

import (
	"testing"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/index"
)

// TestFactsAreOfOneMoment: what was read at one applied index, or of one replica, is not told at another.
func TestFactsAreOfOneMoment(t *testing.T) {
	f := moment[index.AccountID, fact]{most: maxFacts}
	one, other := new(replica), new(replica)
	mine := fact{group: 3, bytes: 100}
	told := func(r *replica, at cluster.LogIndex, a index.AccountID) bool {
		found, ok := f.get(r, at, a)
		if ok && found != mine {
			t.Errorf("told %+v", found)
		}
		return ok
	}
	f.put(one, 10, 1, mine)
	if !told(one, 10, 1) || told(one, 10, 2) || told(one, 11, 1) || told(other, 10, 1) {
		t.Fatal("an account is known at the moment it was read, and only then")
	}
	f.put(one, 11, 2, mine)
	f.put(one, 10, 1, fact{group: 9}) // a slow reader
	if !told(one, 11, 2) || told(one, 11, 1) || told(one, 10, 1) {
		t.Fatal("a later moment replaces an earlier one, and never the other way round")
	}
	f.put(other, 5, 1, mine)
	if !told(other, 5, 1) || told(one, 11, 2) {
		t.Fatal("a replica that was made anew starts from nothing")
	}
	for a := range index.AccountID(2 * maxFacts) {
		f.put(other, 5, a, mine)
	}
	if len(f.answers) > maxFacts {
		t.Fatalf("%d accounts are remembered", len(f.answers))
	}
}
