package exactlyonce

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// recentPrefix begins the keys of the remembered commands, below cluster.Reserved:
//
//	0x02  index (8, big endian)  id (16)  ->  result
const recentPrefix byte = 0x02

const recentKeySize = 1 + 8 + len(cluster.CommandID{})

func recentKey(index cluster.LogIndex, id cluster.CommandID) []byte {
	key := binary.BigEndian.AppendUint64(append(make([]byte, 0, recentKeySize), recentPrefix), uint64(index))
	return append(key, id[:]...)
}

// memory is what is known of the remembered commands without reading keys.
type memory struct {
	at    map[cluster.CommandID]cluster.LogIndex
	order []remembered // by index, the oldest first
}

type remembered struct {
	index cluster.LogIndex
	id    cluster.CommandID
}

func (m *memory) find(id cluster.CommandID) (cluster.LogIndex, bool) {
	at, ok := m.at[id]
	return at, ok
}

func (m *memory) len() int { return len(m.order) }

func (m *memory) add(index cluster.LogIndex, id cluster.CommandID) {
	if m.at == nil {
		m.at = make(map[cluster.CommandID]cluster.LogIndex)
	}
	m.at[id] = index
	m.order = append(m.order, remembered{index, id})
}

// drop forgets the n oldest and returns the index of the oldest that stays.
func (m *memory) drop(n int) cluster.LogIndex {
	for _, r := range m.order[:n] {
		delete(m.at, r.id)
	}
	m.order = append(m.order[:0:0], m.order[n:]...)
	return m.order[0].index
}

// load reads the keys anew.
func (m *memory) load(r kv.Reader) error {
	*m = memory{}
	it, err := r.Scan([]byte{recentPrefix}, []byte{recentPrefix + 1})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		if len(key) != recentKeySize {
			return errors.Join(fmt.Errorf("key %x has %d bytes, want %d", key, len(key), recentKeySize), it.Close())
		}
		m.add(cluster.LogIndex(binary.BigEndian.Uint64(key[1:])), cluster.CommandID(key[9:]))
	}
	return errors.Join(it.Error(), it.Close())
}
