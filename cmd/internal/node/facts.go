package node

import (
	"fmt"
	"sync"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/index"
)

// maxFacts bounds the accounts that facts remembers, some 100 bytes each.
const maxFacts = 20_000

// facts remembers what each message asks the directory several times about an account: where it is,
// and what it may hold. What is remembered is of one applied index of one replica: any command that
// the directory applies makes it all be read again.
type facts struct {
	directory func() (*replica, error)

	mu       sync.Mutex // guards what follows
	of       *replica
	at       cluster.LogIndex
	accounts map[index.AccountID]fact
}

// fact is what is remembered of an account.
type fact struct {
	group           cluster.GroupID
	bytes, messages uint64 // quota, 0 for none
}

// get returns what is remembered of a as r shows it at the index at, which the caller read before.
func (f *facts) get(r *replica, at cluster.LogIndex, a index.AccountID) (fact, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of != r || f.at != at {
		return fact{}, false
	}
	found, ok := f.accounts[a]
	return found, ok
}

// put remembers what was read after the index at was. It may be newer than at, never older.
func (f *facts) put(r *replica, at cluster.LogIndex, a index.AccountID, is fact) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.of == r && f.at > at:
		return // others read later
	case f.of != r || f.at != at || len(f.accounts) >= maxFacts:
		f.of, f.at, f.accounts = r, at, make(map[index.AccountID]fact)
	}
	f.accounts[a] = is
}

// read returns where an account is and what it may hold.
func (f *facts) read(a index.AccountID) (fact, error) {
	r, err := f.directory()
	if err != nil {
		return fact{}, err
	}
	at := r.Applied() // before the snapshot
	if found, ok := f.get(r, at, a); ok {
		return found, nil
	}
	snapshot := r.Snapshot()
	defer snapshot.Close()
	v := directory.View{R: snapshot}
	var is fact
	if is.group, err = v.Locate(a); err != nil {
		return fact{}, err
	}
	if is.bytes, is.messages, err = v.Limits(a); err != nil {
		return fact{}, err
	}
	f.put(r, at, a, is)
	return is, nil
}

// locate says which partition holds an account.
func (f *facts) locate(a index.AccountID) (cluster.GroupID, error) {
	is, err := f.read(a)
	if err != nil {
		return 0, fmt.Errorf("account %d: %w: %w", a, index.ErrNoAccount, err)
	}
	return is.group, nil
}

// limits gives an account's quota; an account that is gone meanwhile has none.
func (f *facts) limits(a index.AccountID) (bytes, messages uint64) {
	is, _ := f.read(a)
	return is.bytes, is.messages
}
