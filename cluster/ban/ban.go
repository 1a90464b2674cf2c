// Package ban keeps which networks may not log in, as a list that every node of a cluster holds and that
// converges however the changes travel: per network the last writer wins, and a lift is a record like a
// ban. It is not durable, knows no sockets and bans nobody by itself; how the list travels is for the
// caller, and whether a login is refused is for cluster/directory/login.
package ban

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxTime is the longest time that a ban lasts.
	MaxTime = 366 * 24 * time.Hour
	// MaxReason is the longest reason in octets: a record fits one gossip message.
	MaxReason = 200
	// MaxRecords bounds a list, lifts among them.
	MaxRecords = 4096
	// reserved is how many of them only operators may fill; see Room.
	reserved = MaxRecords / 4
	// skew is how much further than MaxTime a record may reach by another node's clock.
	skew = 24 * time.Hour
)

var (
	// ErrInvalid says that a network, a reason or a time is not one of a ban.
	ErrInvalid = errors.New("not a ban")
	// ErrFull says that there are MaxRecords already.
	ErrFull = errors.New("too many bans")
)

// Record is what is known of one network. Invariant: of two records of a network the one that is later
// (see later) replaces the other one on every node.
type Record struct {
	Network netip.Prefix `json:"network"`
	Reason  string       `json:"reason,omitempty"`
	Until   time.Time    `json:"until"`   // the record is forgotten then, ban or lift
	Version int64        `json:"version"` // the writer's clock in Unix milliseconds, or one more than what it replaced
	Lifted  bool         `json:"lifted,omitempty"`
}

// later reports whether r replaces other. Ties are decided by the content, so that all decide alike.
func (r Record) later(other Record) bool {
	switch {
	case r.Version != other.Version:
		return r.Version > other.Version
	case r.Lifted != other.Lifted:
		return r.Lifted
	case !r.Until.Equal(other.Until):
		return r.Until.After(other.Until)
	}
	return r.Reason > other.Reason
}

// check refuses what no node writes.
func (r Record) check(now time.Time) error {
	switch {
	case !r.Network.IsValid() || r.Network != r.Network.Masked() || r.Network.Addr().Is4In6():
		return fmt.Errorf("network %v: %w", r.Network, ErrInvalid)
	case r.Network.Addr().Is4() && r.Network.Bits() < 8, r.Network.Addr().Is6() && (r.Network.Bits() < 16 || r.Network.Bits() > 64):
		return fmt.Errorf("network %v: IPv4 from /8, IPv6 from /16 to /64: %w", r.Network, ErrInvalid)
	case len(r.Reason) > MaxReason || !utf8.ValidString(r.Reason) || strings.ContainsFunc(r.Reason, unicode.IsControl):
		return fmt.Errorf("reason of %d octets, up to %d of text are allowed: %w", len(r.Reason), MaxReason, ErrInvalid)
	case !r.Until.After(now) || r.Until.After(now.Add(MaxTime+skew)):
		return fmt.Errorf("until %v: %w", r.Until, ErrInvalid)
	case r.Version <= 0:
		return fmt.Errorf("version %d: %w", r.Version, ErrInvalid)
	}
	return nil
}

// ParseNetwork reads an address or a network in CIDR form. An IPv6 address stands for its /64, which one
// customer has to itself, and so does a smaller network.
func ParseNetwork(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("%q is no address: %w", text, ErrInvalid)
		}
		return NetworkOf(addr), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no network: %w", text, ErrInvalid)
	}
	if p.Addr().Is6() && !p.Addr().Is4In6() && p.Bits() > 64 {
		p = netip.PrefixFrom(p.Addr(), 64)
	}
	return p.Masked(), nil
}

// NetworkOf is what of an address counts as one customer: an IPv4 address, or an IPv6 /64. It is the zero
// Prefix for the zero Addr.
func NetworkOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	p, err := addr.Prefix(min(addr.BitLen(), 64))
	if err != nil {
		return netip.Prefix{} // of the zero Addr only
	}
	return p
}
