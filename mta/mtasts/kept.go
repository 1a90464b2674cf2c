package mtasts

import (
	"fmt"
	"time"
)

// Kept is a policy that was fetched, as it is kept.
type Kept struct {
	ID      string // of the domain's record when it was fetched; empty where that had gone
	Text    []byte
	Policy  Policy // of Text
	Fetched time.Time
	Used    time.Time // when a message last went by it, to a day
}

// Keep makes a Kept of what was fetched at now. An error is ErrPolicy.
func Keep(id string, text []byte, now time.Time) (Kept, error) {
	p, err := ParsePolicy(text)
	if err != nil {
		return Kept{}, fmt.Errorf("read what was fetched: %w", err)
	}
	return Kept{ID: id, Text: text, Policy: p, Fetched: now, Used: now}, nil
}

// Expires is when the policy counts no more, whatever happens.
func (k Kept) Expires() time.Time { return k.Fetched.Add(k.Policy.MaxAge) }

// Counts reports whether the policy counts at now.
func (k Kept) Counts(now time.Time) bool { return now.Before(k.Expires()) }

// How policies are kept fresh, and for how long after the last message.
const (
	refreshAfter = 24 * time.Hour // once a day, whatever the record says (RFC 8461, section 10.2)
	missedFor    = 30 * 24 * time.Hour
)

// Stale reports whether it is time to fetch the policy again, before it expires.
func (k Kept) Stale(now time.Time) bool {
	return now.Sub(k.Fetched) >= min(refreshAfter, k.Policy.MaxAge/2) && now.Sub(k.Used) < missedFor
}

// Touch notes that a message goes by the policy. It reports whether that is news: once a day.
func (k *Kept) Touch(now time.Time) bool {
	if now.Sub(k.Used) < 24*time.Hour {
		return false
	}
	k.Used = now
	return true
}
