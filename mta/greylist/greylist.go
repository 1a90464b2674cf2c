// Package greylist remembers who was asked to come again, and who did (RFC 6647): the network of a client, the domain of the
// sender and the recipient together. Whom it is asked about is for the caller: those that look suspicious, not all. What one
// node remembers it tells the others as news, and takes theirs in, so that who was put off by one is let in by any. It is in
// memory, bounded and not durable; how news travel is for the caller.
package greylist

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	// maxTriplets and maxNetworks bound what is remembered.
	maxTriplets = 1 << 17
	maxNetworks = 1 << 16
	// proofs is how many triplets of a network have to come again until all of it is let in.
	proofs = 2
	// refresh is how old the last pass of a network may become before one is told anew.
	refresh = 24 * time.Hour
)

// Policy is how long who waits.
type Policy struct {
	Delay  time.Duration // before a second attempt counts
	Window time.Duration // within which it has to come
	Keep   time.Duration // for which who came again is let in, from the last time on
}

// Verdict is what follows from an attempt.
type Verdict struct {
	Pass bool
	Wait time.Duration // until an attempt counts, where it does not pass
	Why  string        // one of the words of why, for the story
}

// Key stands for a triplet or for a network: a keyed hash, so that nobody can make two meet, and news tell nobody who writes
// to whom.
type Key uint64

// List is what one node remembers. Methods may be called from any goroutine.
//
// Triplets and networks are kept in two generations each, and what is touched moves to the young one: a flood pushes out what
// was touched longest ago, and one of triplets no network that has proven.
type List struct {
	secret [32]byte

	mu       sync.Mutex // guards what follows
	triplets generations[triplet]
	networks generations[network]
	news     []item // what the other nodes are to be told, the oldest first
	turn     int    // where State goes on
}

// triplet is what is known of one. Times are Unix seconds. Invariant: merging two records of a triplet, by the earliest
// first and the latest passed, gives the same in any order.
type triplet struct{ first, passed int64 }

// network is what is known of one: up to proofs triplets that came again, and the last time that one did.
type network struct {
	proof  [proofs]Key
	passed int64
}

func (n network) proven() bool { return n.proof[proofs-1] != 0 }

// New makes an empty List. Nodes that tell each other news have the same secret.
func New(secret [32]byte) *List {
	return &List{secret: secret, triplets: newGenerations[triplet](maxTriplets), networks: newGenerations[network](maxNetworks)}
}

// Network is what of an address counts: an IPv4 /24 or an IPv6 /64, since large senders come again from a neighbour.
func Network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 24
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // of the zero Addr only
	}
	return p
}

// key is the hash of words; none is 0.
func (l *List) key(words ...string) Key {
	mac := hmac.New(sha256.New, l.secret[:])
	mac.Write([]byte(strings.Join(words, "\x00")))
	return Key(binary.BigEndian.Uint64(mac.Sum(nil)) | 1)
}

// Try is an attempt of a client to write from a sender to a recipient. sender is a domain, or an address where there is none;
// upper and lower case are one.
func (l *List) Try(client netip.Addr, sender, recipient string, p Policy, now time.Time) Verdict {
	place := Network(client).String()
	net, key := l.key(place), l.key(place, strings.ToLower(sender), strings.ToLower(recipient))
	l.mu.Lock()
	defer l.mu.Unlock()
	at := now.Unix()
	n, _ := l.networks.get(net)
	if n.proven() && now.Sub(time.Unix(n.passed, 0)) <= p.Keep {
		if now.Sub(time.Unix(n.passed, 0)) > refresh {
			n.passed = at
			l.tell(item{proven, net, key, at})
		}
		l.networks.put(net, n)
		return Verdict{Pass: true, Why: "its network came again before"}
	}
	t, known := l.triplets.get(key)
	switch waited := now.Sub(time.Unix(t.first, 0)); {
	case known && t.passed != 0 && now.Sub(time.Unix(t.passed, 0)) <= p.Keep:
		if now.Sub(time.Unix(t.passed, 0)) > refresh {
			l.pass(net, key, t, at)
			return Verdict{Pass: true, Why: "it came again before"}
		}
		l.triplets.put(key, t)
		return Verdict{Pass: true, Why: "it came again before"}
	case !known || t.passed != 0 || waited > p.Window:
		l.triplets.put(key, triplet{first: at})
		l.tell(item{seen, net, key, at})
		return Verdict{Wait: p.Delay, Why: "it comes for the first time"}
	case waited < p.Delay:
		l.triplets.put(key, t)
		return Verdict{Wait: p.Delay - waited, Why: "it came again too early"}
	default:
		l.pass(net, key, t, at)
		return Verdict{Pass: true, Why: "it came again"}
	}
}

// pass notes that a triplet came again. The caller holds mu.
func (l *List) pass(net, key Key, t triplet, at int64) {
	t.passed = max(t.passed, at)
	l.triplets.put(key, t)
	n, _ := l.networks.get(net)
	l.networks.put(net, n.with(key, at))
	l.tell(item{passed, net, key, at})
}

// with adds a triplet that came again. Of many the smallest keys stay, so that the order does not matter.
func (n network) with(key Key, at int64) network {
	n.passed = max(n.passed, at)
	for i, k := range n.proof {
		if k == key {
			return n
		}
		if k == 0 || key < k {
			n.proof[i], key = key, k
		}
		if key == 0 {
			break
		}
	}
	return n
}

// generations are two maps of a kind, bounded.
type generations[R any] struct {
	young, old map[Key]R
	most       int
}

func newGenerations[R any](most int) generations[R] {
	return generations[R]{young: map[Key]R{}, most: most}
}

func (g *generations[R]) get(k Key) (R, bool) {
	r, ok := g.young[k]
	if !ok {
		r, ok = g.old[k]
	}
	return r, ok
}

func (g *generations[R]) put(k Key, r R) {
	if _, there := g.young[k]; !there && len(g.young) >= g.most/2 {
		g.young, g.old = make(map[Key]R), g.young
	}
	g.young[k] = r
	delete(g.old, k)
}
