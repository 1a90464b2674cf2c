package ban

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// List is one node's copy of all records. Methods may be called from any goroutine.
type List struct {
	mu      sync.Mutex // guards records
	records map[netip.Prefix]Record
}

// NewList makes an empty list.
func NewList() *List { return &List{records: map[netip.Prefix]Record{}} }

// Ban bans a network for a time and returns the record to tell the other nodes. Errors are ErrInvalid
// and ErrFull.
func (l *List) Ban(network netip.Prefix, reason string, lasts time.Duration, now time.Time) (Record, error) {
	if lasts <= 0 || lasts > MaxTime {
		return Record{}, fmt.Errorf("a ban of %v, up to %v are allowed: %w", lasts, MaxTime, ErrInvalid)
	}
	return l.write(Record{Network: network, Reason: reason, Until: now.Add(lasts).UTC().Truncate(time.Millisecond)}, now)
}

// Room reports whether there is room for a ban that no operator asked for: a flood of those leaves a quarter
// of the list to operators.
func (l *List) Room(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(now)
	return len(l.records) < MaxRecords-reserved
}

// Lift lifts the ban of exactly this network; ok is false where there is none. The lift is kept as long
// as a ban may last, since another node may still hold the ban.
func (l *List) Lift(network netip.Prefix, now time.Time) (r Record, ok bool, err error) {
	l.mu.Lock()
	old, known := l.records[network]
	l.mu.Unlock()
	if !known || old.Lifted || !old.Until.After(now) {
		return Record{}, false, nil
	}
	r, err = l.write(Record{Network: network, Until: now.Add(MaxTime).UTC().Truncate(time.Millisecond), Lifted: true}, now)
	return r, err == nil, err
}

// write gives a record its version, which is above that of the one it replaces whatever the clock says.
func (l *List) write(r Record, now time.Time) (Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(now)
	old, known := l.records[r.Network]
	r.Version = max(now.UnixMilli(), old.Version+1)
	if err := r.check(now); err != nil {
		return Record{}, err
	}
	if !known && len(l.records) >= MaxRecords {
		return Record{}, ErrFull
	}
	l.records[r.Network] = r
	return r, nil
}

// Banned reports whether an address is in a network that is banned.
func (l *List) Banned(addr netip.Addr, now time.Time) bool {
	_, banned := l.Find(addr, now)
	return banned
}

// Find returns the ban that lasts longest of those that an address is under.
func (l *List) Find(addr netip.Addr, now time.Time) (found Record, banned bool) {
	addr = addr.Unmap().WithZone("")
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.records) == 0 || !addr.IsValid() {
		return Record{}, false
	}
	for bits := addr.BitLen(); bits >= 0; bits-- {
		network, err := addr.Prefix(bits)
		if err != nil {
			break
		}
		if r, known := l.records[network]; known && !r.Lifted && r.Until.After(now) && r.Until.After(found.Until) {
			found, banned = r, true
		}
	}
	return found, banned
}

// Bans are the networks that are banned, by network.
func (l *List) Bans(now time.Time) []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(now)
	out := []Record{}
	for _, r := range l.records {
		if !r.Lifted {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, byNetwork)
	return out
}

func byNetwork(a, b Record) int { return strings.Compare(a.Network.String(), b.Network.String()) }

// State is all records, for another node's Merge: a JSON array of Record.
func (l *List) State(now time.Time) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(now)
	if len(l.records) == 0 {
		return nil, nil
	}
	out := make([]Record, 0, len(l.records))
	for _, r := range l.records {
		out = append(out, r)
	}
	slices.SortFunc(out, byNetwork)
	data, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode bans: %w", err)
	}
	return data, nil
}

// Encode is one record in the form of State, for a gossip message.
func (r Record) Encode() ([]byte, error) {
	data, err := json.Marshal([]Record{r})
	if err != nil {
		return nil, fmt.Errorf("encode a ban: %w", err)
	}
	return data, nil
}

// Merge takes over what is later than what is known here. It may be given the same twice and in any
// order. Records that no node writes are passed over, and new ones above MaxRecords. The error is
// ErrInvalid for what is no array of records.
func (l *List) Merge(data []byte, now time.Time) error {
	if len(data) == 0 {
		return nil
	}
	var records []Record
	if err := json.Unmarshal(data, &records); err != nil {
		return fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(now)
	for _, r := range records {
		old, known := l.records[r.Network]
		if r.check(now) != nil || known && !r.later(old) || !known && len(l.records) >= MaxRecords {
			continue
		}
		l.records[r.Network] = r
	}
	return nil
}

// forget drops what is over. The caller holds mu.
func (l *List) forget(now time.Time) {
	for network, r := range l.records {
		if !r.Until.After(now) {
			delete(l.records, network)
		}
	}
}
