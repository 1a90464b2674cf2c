package login

import (
	"net/netip"
	"sync"
	"time"
)

// maxBuckets bounds each throttle. Whoever can touch more networks than this within the time that a
// bucket needs to fill up is not slowed down by address anyway.
const maxBuckets = 100_000

// throttle is a token bucket for each of many keys: burst tokens, one more after each refill.
type throttle struct {
	burst  float64
	refill time.Duration

	mu      sync.Mutex
	buckets *bounded[string, bucket] // guarded by mu; a full bucket is not in it
}

type bucket struct {
	tokens float64
	at     time.Time // when tokens was right
}

func newThrottle(burst int, refill time.Duration) *throttle {
	return &throttle{burst: float64(burst), refill: refill, buckets: newBounded[string, bucket](maxBuckets)}
}

// take takes a token and reports whether there was one. It is taken before a secret is checked, so
// that many guesses at once do not share the last token; giveBack returns it after a good login.
func (t *throttle) take(key string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.at(key, now)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	t.buckets.put(key, b)
	return true
}

func (t *throttle) giveBack(key string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.at(key, now)
	b.tokens++
	if b.tokens >= t.burst {
		t.buckets.remove(key)
		return
	}
	t.buckets.put(key, b)
}

// at is the bucket of a key as it is now. A clock that goes back adds nothing.
func (t *throttle) at(key string, now time.Time) bucket {
	b, ok := t.buckets.get(key)
	if !ok {
		return bucket{tokens: t.burst, at: now}
	}
	if since := now.Sub(b.at); since > 0 {
		b.tokens = min(t.burst, b.tokens+float64(since)/float64(t.refill))
		b.at = now
	}
	return b
}

// ticket holds the tokens of one attempt.
type ticket struct {
	a       *Authenticator
	now     time.Time
	address string // empty: none was taken
	account string
}

// admit takes the tokens of one attempt, or fails with ErrThrottled. Where the account logged in from
// before it has no bucket, so that nobody else can lock its owner out.
func (a *Authenticator) admit(s subject, remote netip.Addr, now time.Time) (*ticket, error) {
	t, err := a.admitNetwork(remote, now)
	if err != nil || a.memory.met(s, remote.Unmap(), now) {
		return t, err
	}
	if key := string(s.key); a.accounts.take(key, now) {
		t.account = key
		return t, nil
	}
	t.giveBack()
	return nil, ErrThrottled
}

// admitNetwork is admit as far as it is about where the client is, for attempts that name no account. Clients
// of this machine, also by a socket without an address, have no bucket, and an empty one is no hindrance to a
// trusted network: a webmail there speaks for everybody.
func (a *Authenticator) admitNetwork(remote netip.Addr, now time.Time) (*ticket, error) {
	t := &ticket{a: a, now: now}
	if a.config.Guard.Banned(remote) {
		return nil, ErrThrottled
	}
	if remote = remote.Unmap(); remote.IsValid() && !remote.IsLoopback() {
		key := string(networkOf(remote))
		if a.addresses.take(key, now) {
			t.address = key
		} else if !a.config.Guard.Trusts(remote) {
			return nil, ErrThrottled
		}
	}
	return t, nil
}

// giveBack returns the tokens, once.
func (t *ticket) giveBack() {
	if t.address != "" {
		t.a.addresses.giveBack(t.address, t.now)
	}
	if t.account != "" {
		t.a.accounts.giveBack(t.account, t.now)
	}
	t.address, t.account = "", ""
}
