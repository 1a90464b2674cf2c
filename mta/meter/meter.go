// Package meter counts what comes from somebody within a time, and says when it is too much. Counts are of one node, in
// memory, bounded and not durable. Who is counted, what for, and what becomes of more is for the caller.
package meter

import (
	"sync"
	"time"
)

// Limit is how much may come within a time. A Count of 0 is no limit.
type Limit struct {
	Count int
	Per   time.Duration
}

// maxKeys bounds the keys of a Meter.
const maxKeys = 1 << 17

// Meter counts by keys. Methods may be called from any goroutine.
//
// A key has the count of the present interval and of the one before; of the latter the share counts that is still within the
// time, as if it had come evenly. Keys are kept in two generations, and what is counted moves to the young one: a flood of
// keys pushes out those counted longest ago.
type Meter struct {
	mu         sync.Mutex // guards what follows
	young, old map[string]count
}

type count struct {
	began       time.Time // of the present interval
	now, before int
}

// New makes an empty Meter.
func New() *Meter { return &Meter{young: map[string]count{}} }

// Take counts n more of a key, unless there would be more than the limit: then nothing is counted, and retry is after which
// time there is room if nothing else comes.
func (m *Meter) Take(key string, n int, l Limit, now time.Time) (ok bool, retry time.Duration) {
	if l.Count <= 0 {
		return true, 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.of(key).at(now, l.Per)
	if retry = c.room(n, l, now); retry > 0 {
		m.keep(key, c)
		return false, retry
	}
	c.now += n
	m.keep(key, c)
	return true, 0
}

// of is the count of a key, the zero count where there is none. The caller holds mu.
func (m *Meter) of(key string) count {
	if c, ok := m.young[key]; ok {
		return c
	}
	c := m.old[key]
	delete(m.old, key)
	return c
}

// keep notes the count of a key. The caller holds mu.
func (m *Meter) keep(key string, c count) {
	if _, there := m.young[key]; !there && len(m.young) >= maxKeys/2 {
		m.young, m.old = make(map[string]count), m.young
	}
	m.young[key] = c
}

// at moves a count on to the interval that now is in.
func (c count) at(now time.Time, per time.Duration) count {
	began := now.Truncate(per)
	switch {
	case began.Equal(c.began) || began.Before(c.began): // a clock that went back
		return c
	case began.Sub(c.began) == per:
		return count{began: began, before: c.now}
	}
	return count{began: began}
}

// room is 0 where n more fit, and else after which time they do. More than a limit's count at once never fit: it is a
// whole time then.
func (c count) room(n int, l Limit, now time.Time) time.Duration {
	past := min(max(now.Sub(c.began), 0), l.Per)
	left := 1 - float64(past)/float64(l.Per)
	room := float64(l.Count - c.now - n)
	if float64(c.before)*left <= room {
		return 0
	}
	wait := l.Per - past // until the next interval, in which what is counted now is what was before
	if room < 0 {
		if over := float64(c.now + n - l.Count); c.now > 0 {
			wait += time.Duration(min(1, over/float64(c.now)) * float64(l.Per))
		}
		return upToSecond(wait)
	}
	fits := time.Duration((1 - room/float64(c.before)) * float64(l.Per)) // of the present interval
	return upToSecond(fits - past)
}

// upToSecond is the next full second, 1 s at least.
func upToSecond(d time.Duration) time.Duration { return max(d, 0).Truncate(time.Second) + time.Second }
