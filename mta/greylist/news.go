package greylist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// maxNews is how many items wait to be told; of more the oldest are told by State alone.
	maxNews = 4096
	// skew is how far another node's clock may be ahead: what it tells of a later time is passed over.
	skew = time.Minute
)

// ErrNews says that octets are no news of another node.
var ErrNews = errors.New("not news of a greylist")

// item is one thing as it is told. Octets, big endian; kinds are for ever:
//
//	kind (1): seen, passed or proven
//	network (8)
//	triplet (8), one of those that came again for proven
//	Unix seconds (8)
type item struct {
	kind         byte
	network, key Key
	at           int64
}

const (
	seen   byte = 1 // a triplet came for the first time
	passed byte = 2 // it came again
	proven byte = 3 // something came of a network that is let in
)

// size is the octets of an item.
const size = 1 + 8 + 8 + 8

func (i item) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, i.kind), uint64(i.network))
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(i.key)), uint64(i.at))
}

// tell notes what the other nodes are to be told. The caller holds mu.
func (l *List) tell(i item) {
	if l.news = append(l.news, i); len(l.news) > maxNews {
		l.news = slices.Delete(l.news, 0, maxNews/4)
	}
}

// News takes up to so many octets of what the other nodes are to be told, for their Merge, and reports whether there is more.
// Nil is nothing.
func (l *List) News(octets int) (data []byte, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.news), octets/size)
	for _, i := range l.news[:n] {
		data = i.append(data)
	}
	l.news = slices.Delete(l.news, 0, n)
	return data, len(l.news) > 0
}

// State is up to so many octets of what is remembered, for another node's Merge: half of it networks that are let in, half
// triplets, each time another part, so that a node that was away learns all of it in turns.
func (l *List) State(octets int) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	var data []byte
	room := octets / size / 2
	for key, n := range part(l.networks, l.turn, room) {
		kind := passed
		if n.proven() {
			kind = proven
		}
		data = item{kind, key, n.proof[0], n.passed}.append(data)
	}
	for key, t := range part(l.triplets, l.turn, room) {
		data = item{seen, 0, key, t.first}.append(data)
		if t.passed != 0 && len(data)+size <= octets {
			data = item{passed, 0, key, t.passed}.append(data)
		}
		if len(data)+size > octets {
			break
		}
	}
	l.turn++
	return data
}

// part is one of the parts, of at most so many records each, that generations fall into by their keys: the one whose turn it is.
func part[R any](g generations[R], turn, most int) map[Key]R {
	out := map[Key]R{}
	if most <= 0 {
		return out
	}
	parts := Key((len(g.young)+len(g.old))/most + 1)
	for _, m := range []map[Key]R{g.young, g.old} {
		for k, r := range m {
			if (k>>1)%parts == Key(turn)%parts && len(out) < most {
				out[k] = r
			}
		}
	}
	return out
}

// Merge takes over what another node tells, in any order and any number of times. The error is ErrNews; what stood before it
// is taken over.
func (l *List) Merge(data []byte, p Policy, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(data) > 0 {
		if len(data) < size || data[0] < seen || data[0] > proven {
			return fmt.Errorf("kind %d in %d octets: %w", data[0], len(data), ErrNews)
		}
		i := item{data[0], Key(binary.BigEndian.Uint64(data[1:])), Key(binary.BigEndian.Uint64(data[9:])), int64(binary.BigEndian.Uint64(data[17:]))}
		data = data[size:]
		at := time.Unix(i.at, 0)
		if i.key == 0 || at.Sub(now) > skew || i.at <= 0 || i.kind == seen && now.Sub(at) > p.Window || now.Sub(at) > p.Keep {
			continue
		}
		l.merge(i, p)
	}
	return nil
}

// merge takes one item over. The caller holds mu.
func (l *List) merge(i item, p Policy) {
	t, known := l.triplets.get(i.key)
	switch i.kind {
	case seen:
		// One that began anew after its window is not taken back to the attempt before it.
		window := int64(p.Window / time.Second)
		switch {
		case !known || i.at > t.first+window && i.at > t.passed+int64(p.Keep/time.Second):
			t = triplet{first: i.at}
		case i.at < t.first && t.first-i.at <= window:
			t.first = i.at
		}
		l.triplets.put(i.key, t)
	case passed:
		if !known {
			t.first = i.at
		}
		t.passed = max(t.passed, i.at)
		l.triplets.put(i.key, t)
		if i.network != 0 {
			n, _ := l.networks.get(i.network)
			l.networks.put(i.network, n.with(i.key, i.at))
		}
	case proven:
		n, _ := l.networks.get(i.network)
		if n = n.with(i.key, i.at); !n.proven() {
			n.proof = [proofs]Key{i.key, i.key} // who told it has seen the other one
		}
		l.networks.put(i.network, n)
	}
}
