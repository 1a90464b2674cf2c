package guard

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

const (
	// maxNews is how many events wait to be told; of more the oldest are told by State alone.
	maxNews = 4096
	// skew is how far another node's clock may be ahead: what it tells of a later time is passed over.
	skew = time.Minute
)

// ErrNews says that octets are no news of another node.
var ErrNews = errors.New("not news of failed logins")

// item is one event as it is told. Octets, big endian; kinds are for ever:
//
//	kind (1): failed, succeeded or banned, and sixth for an IPv6 /64, otherwise an IPv4 address
//	network (4 or 8)
//	user (8), unless banned
//	Unix microseconds (8)
type item struct {
	kind    byte
	network netip.Prefix
	event   event
}

const (
	failed    byte = 1
	succeeded byte = 2
	banned    byte = 3
	sixth     byte = 8
)

// longest is the octets of the longest item.
const longest = 1 + 8 + 8 + 8

// append appends an item, or nothing for a network that is none of those that are told.
func (i item) append(dst []byte) []byte {
	a := i.network.Addr()
	switch {
	case a.Is4() && i.network.Bits() == 32:
		dst = append(append(dst, i.kind), a.AsSlice()...)
	case a.Is6() && i.network.Bits() == 64:
		dst = append(append(dst, i.kind|sixth), a.AsSlice()[:8]...)
	default:
		return dst
	}
	if i.kind != banned {
		dst = binary.BigEndian.AppendUint64(dst, uint64(i.event.user))
	}
	return binary.BigEndian.AppendUint64(dst, uint64(i.event.at.UnixMicro()))
}

// parseItem reads an item from the beginning of data.
func parseItem(data []byte) (i item, rest []byte, err error) {
	kind := data[0]
	i.kind = kind &^ sixth
	size, user := 4, 8
	if kind&sixth != 0 {
		size = 8
	}
	if i.kind == banned {
		user = 0
	}
	if i.kind < failed || i.kind > banned || len(data) < 1+size+user+8 {
		return item{}, nil, fmt.Errorf("kind %d in %d octets: %w", kind, len(data), ErrNews)
	}
	network, rest := data[1:1+size], data[1+size:]
	if size == 4 {
		i.network = netip.PrefixFrom(netip.AddrFrom4([4]byte(network)), 32)
	} else {
		i.network = netip.PrefixFrom(netip.AddrFrom16([16]byte(append(slices.Clone(network), make([]byte, 8)...))), 64)
	}
	if user > 0 {
		i.event.user = User(binary.BigEndian.Uint64(rest))
	}
	i.event.at = time.UnixMicro(int64(binary.BigEndian.Uint64(rest[user:])))
	return i, rest[user+8:], nil
}

// tell notes what the other nodes are to be told. The caller holds mu.
func (t *Tally) tell(i item) {
	if t.news = append(t.news, i); len(t.news) > maxNews {
		t.news = slices.Delete(t.news, 0, maxNews/4)
	}
}

// News takes up to so many octets of what the other nodes are to be told, for their Merge, and reports whether there
// is more. Nil is nothing.
func (t *Tally) News(octets int) (data []byte, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for n < len(t.news) && len(data)+longest <= octets {
		data = t.news[n].append(data)
		n++
	}
	t.news = slices.Delete(t.news, 0, n)
	return data, len(t.news) > 0
}

// State is all that counts, for another node's Merge, or up to so many octets of it: the networks first that are nearest
// to a ban.
func (t *Tally) State(octets int, p Policy, now time.Time) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	var networks []netip.Prefix
	records := map[netip.Prefix]*record{}
	for _, generation := range []map[netip.Prefix]*record{t.old, t.young} {
		for network, r := range generation {
			r.judge(p, now)
			networks = append(networks, network)
			records[network] = r
		}
	}
	t.recount()
	slices.SortFunc(networks, func(a, b netip.Prefix) int {
		return cmp.Or(cmp.Compare(len(records[b].failures), len(records[a].failures)), a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	var data []byte
	for _, network := range networks {
		r := records[network]
		if len(data)+(1+r.events())*longest > octets {
			break
		}
		if now.Sub(r.banned) < p.Window {
			data = item{banned, network, event{at: r.banned}}.append(data)
		}
		for _, e := range r.users {
			data = item{succeeded, network, e}.append(data)
		}
		for _, e := range r.failures {
			data = item{failed, network, e}.append(data)
		}
	}
	return data
}

// recount counts the events in young again. The caller holds mu.
func (t *Tally) recount() {
	t.events = 0
	for _, r := range t.young {
		t.events += r.events()
	}
}

// Reached is a network that has one failure too many by what other nodes told.
type Reached struct {
	Network  netip.Prefix
	Failures int
}

// Merge takes over what another node tells, in any order and any number of times, and returns the networks that are to
// be banned for it. Their count begins anew. The error is ErrNews; what stood before it is taken over.
func (t *Tally) Merge(data []byte, p Policy, now time.Time) (reached []Reached, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.age(p, now)
	var touched []netip.Prefix
	for len(data) > 0 && err == nil {
		var i item
		if i, data, err = parseItem(data); err != nil {
			break
		}
		if now.Sub(i.event.at) >= p.Window || i.event.at.Sub(now) > skew {
			continue
		}
		r := t.take(i.network)
		switch i.kind {
		case failed:
			r.fail(i.event)
		case succeeded:
			r.succeed(i.event)
		case banned:
			r.ban(i.event.at)
		}
		t.keep(i.network, r, now)
		if len(touched) == 0 || touched[len(touched)-1] != i.network {
			touched = append(touched, i.network)
		}
	}
	for _, network := range touched {
		r := t.take(network)
		if v := r.judge(p, now); v.Ban {
			at := r.failures[len(r.failures)-1].at
			r.ban(at)
			t.tell(item{banned, network, event{at: at}})
			reached = append(reached, Reached{network, v.Failures})
		}
		t.keep(network, r, now)
	}
	return reached, err
}
