package login

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

// fingerprint stands for a subject with a secret. It is a keyed hash with a key of this process: who
// reads the memory of another process, or a core file without the key, cannot test guesses against it.
type fingerprint [sha256.Size]byte

// memory remembers what was right and what was wrong not long ago. Right and wrong have room of their
// own, so that a guesser cannot crowd out those who know their passwords.
//
// The subject's key names the version of its credential: a changed password is not found here, and
// whether an account is disabled is read from the directory each time.
type memory struct {
	key      [32]byte
	goodTime time.Duration
	badTime  time.Duration

	mu       sync.Mutex
	good     *bounded[fingerprint, time.Time] // guarded by mu; value: until when
	bad      *bounded[fingerprint, time.Time] // guarded by mu
	familiar *bounded[fingerprint, time.Time] // guarded by mu; subject and network of good logins
}

func newMemory(key [32]byte, size int, goodTime time.Duration) *memory {
	return &memory{
		key: key, goodTime: goodTime, badTime: goodTime / 10,
		good:     newBounded[fingerprint, time.Time](size),
		bad:      newBounded[fingerprint, time.Time](size),
		familiar: newBounded[fingerprint, time.Time](size),
	}
}

func (m *memory) fingerprint(s subject, password string) fingerprint {
	return m.hash('p', s.key, []byte(password))
}

func (m *memory) hash(kind byte, subject, rest []byte) (f fingerprint) {
	return hash(m.key, kind, subject, rest)
}

func hash(key [32]byte, kind byte, subject, rest []byte) (f fingerprint) {
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte{kind, byte(len(subject))})
	mac.Write(subject)
	mac.Write(rest)
	mac.Sum(f[:0])
	return f
}

// recall reports whether a login was seen lately, and whether it was good.
func (m *memory) recall(f fingerprint, now time.Time) (good, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if until, ok := m.good.get(f); ok && now.Before(until) {
		return true, true
	}
	until, ok := m.bad.get(f)
	return false, ok && now.Before(until)
}

func (m *memory) remember(f fingerprint, good bool, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if good {
		m.good.put(f, now.Add(m.goodTime))
	} else {
		m.bad.put(f, now.Add(m.badTime))
	}
}

// meet remembers that a subject logged in from a network.
func (m *memory) meet(s subject, remote netip.Addr, now time.Time) {
	f := m.hash('n', s.key, networkOf(remote))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.familiar.put(f, now.Add(m.goodTime))
}

// met reports whether a subject logged in from a network lately.
func (m *memory) met(s subject, remote netip.Addr, now time.Time) bool {
	f := m.hash('n', s.key, networkOf(remote))
	m.mu.Lock()
	defer m.mu.Unlock()
	until, ok := m.familiar.get(f)
	return ok && now.Before(until)
}

// networkOf is what stands for one client: an IPv4 address or an IPv6 /64.
func networkOf(remote netip.Addr) []byte {
	remote = remote.Unmap().WithZone("")
	if remote.Is6() {
		prefix, err := remote.Prefix(64)
		if err == nil {
			remote = prefix.Addr()
		}
	}
	return remote.AsSlice()
}
