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

// moment remembers answers of the directory that belong to one applied index of one replica: any
// command that the directory applies makes it all be read again.
type moment[K comparable, V any] struct {
	most int // answers at a time

	mu      sync.Mutex // guards what follows
	of      *replica
	at      cluster.LogIndex
	answers map[K]V
}

// facts remembers what each message asks the directory several times about an account: where it is,
// and what it may hold.
type facts struct {
	directory func() (*replica, error)
	known     moment[index.AccountID, fact]
}

func newFacts(directory func() (*replica, error)) *facts {
	return &facts{directory: directory, known: moment[index.AccountID, fact]{most: maxFacts}}
}

// fact is what is remembered of an account.
type fact struct {
	group           cluster.GroupID
	bytes, messages uint64 // quota, 0 for none
}

// get returns what is remembered of key as r shows it at the index at, which the caller read before.
func (m *moment[K, V]) get(r *replica, at cluster.LogIndex, key K) (is V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of != r || m.at != at {
		return is, false
	}
	is, ok = m.answers[key]
	return is, ok
}

// put remembers what was read after the index at was. It may be newer than at, never older.
func (m *moment[K, V]) put(r *replica, at cluster.LogIndex, key K, is V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.of == r && m.at > at:
		return // others read later
	case m.of != r || m.at != at || len(m.answers) >= m.most:
		m.of, m.at, m.answers = r, at, make(map[K]V)
	}
	m.answers[key] = is
}

// remembered reads something of the directory once for each of its applied indexes.
func remembered[K comparable, V any](n *Node, m *moment[K, V], key K, read func(directory.View) (V, error)) (is V, err error) {
	r, at, err := n.directoryNow() // before the snapshot
	if err != nil {
		return is, err
	}
	if is, ok := m.get(r, at, key); ok {
		return is, nil
	}
	snapshot := r.Snapshot()
	defer snapshot.Close()
	if is, err = read(directory.View{R: snapshot}); err == nil {
		m.put(r, at, key, is)
	}
	return is, err
}

// read returns where an account is and what it may hold.
func (f *facts) read(a index.AccountID) (fact, error) {
	r, err := f.directory()
	if err != nil {
		return fact{}, err
	}
	at := r.Applied() // before the snapshot
	if found, ok := f.known.get(r, at, a); ok {
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
	f.known.put(r, at, a, is)
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
