// Package egress decides by which of a cluster's addresses mail goes out: what each may still send to a receiver on a day
// of its warm-up, and which are left alone by a receiver that blocks them. The records are the directory's. It connects
// to nobody.
package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// ErrInvalid says that a record of an address cannot be.
var ErrInvalid = errors.New("not an address to go out by")

// Address is one that mail may go out by.
type Address struct {
	Name   string // in records: the address or, where none is configured, the node
	Node   cluster.NodeID
	IP     netip.Addr // not valid: any of the node
	Hello  string     // empty: the node's own
	Paused bool
	Weight uint32
	// Warm is when its warm-up began and Plan what it may send to a receiver on each day of it; no Plan: it is warm.
	Warm time.Time
	Plan []uint32
}

// Of reads a record.
func Of(r *directorypb.MailRecord) (Address, error) {
	e := r.GetEgress()
	ip, err := netip.ParseAddr(r.GetName())
	if e == nil || err != nil {
		return Address{}, fmt.Errorf("%w: %q", ErrInvalid, r.GetName())
	}
	a := Address{Name: r.Name, Node: cluster.NodeID(e.Node), IP: ip, Hello: e.Hello, Paused: e.Paused, Weight: max(e.Weight, 1)}
	if e.WarmFrom > 0 {
		a.Warm, a.Plan = time.UnixMilli(e.WarmFrom).UTC(), e.WarmPlan
	}
	return a, nil
}

// NameOf is the name of an address in records. The error is ErrInvalid.
func NameOf(text string) (string, error) {
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() {
		return "", fmt.Errorf("%w: %q: use an IPv4 or IPv6 address that a node has", ErrInvalid, text)
	}
	return ip.Unmap().String(), nil
}

// Want is what an address is looked for.
type Want struct {
	Names  []string // of which it is to be one; none: any
	V4, V6 bool     // the kinds by which the receiver can be reached
}

// Fits reports whether an address is what is looked for, and is not paused.
func (a Address) Fits(w Want) bool {
	kind := !a.IP.IsValid() || a.IP.Is4() && w.V4 || a.IP.Is6() && w.V6
	return !a.Paused && kind && (len(w.Names) == 0 || slices.Contains(w.Names, a.Name))
}

// Order gives the addresses that fit in the order in which they are to be tried: by chance, those of more weight sooner
// in proportion. random gives numbers in [0, 1).
func Order(list []Address, w Want, random func() float64) []Address {
	var fit []Address
	total := 0.0
	for _, a := range list {
		if a.Fits(w) {
			fit = append(fit, a)
			total += float64(max(a.Weight, 1))
		}
	}
	for i := range fit {
		at := random() * total
		j := i
		for ; j < len(fit)-1; j++ {
			if at -= float64(max(fit[j].Weight, 1)); at < 0 {
				break
			}
		}
		total -= float64(max(fit[j].Weight, 1))
		fit[i], fit[j] = fit[j], fit[i]
	}
	return fit
}

// day is how long a day is: warm-ups count in UTC, which has no others.
const day = 24 * time.Hour

// Bound is how many messages an address may send to one receiver on the day of now (UTC), ok false for no bound.
func (a Address) Bound(now time.Time) (n uint64, ok bool) {
	if len(a.Plan) == 0 {
		return 0, false
	}
	n0 := int(now.UTC().Truncate(day).Sub(a.Warm.UTC().Truncate(day)) / day)
	if n0 >= len(a.Plan) {
		return 0, false
	}
	return uint64(a.Plan[max(n0, 0)]), true
}

// DayOf is the day of now (UTC) as records name it.
func DayOf(now time.Time) string { return now.UTC().Format(time.DateOnly) }

// NextDay is when the day after that of now begins (UTC).
func NextDay(now time.Time) time.Time { return now.UTC().Truncate(day).Add(day) }

// VolumeName names the record of what an address sent to a receiver on a day.
func VolumeName(day, address, site string) string { return day + "/" + address + "/" + site }

// BlockName names the record of a receiver that wants nothing from an address.
func BlockName(address, site string) string { return address + "/" + site }

// Share is how many of a day's messages a node takes for itself at a time: a tenth, so that a few nodes find some each
// and what one takes and does not use is little.
func Share(bound uint64, want int) uint64 { return max(bound/10, uint64(want), 1) }

// PauseOf is how long an address is left alone by a receiver that blocked it so many times in a row, this one
// included: from a quarter of an hour to twelve hours.
func PauseOf(times uint32) time.Duration {
	return min(15*time.Minute<<min(max(times, 1)-1, 6), 12*time.Hour)
}

// DefaultPlan is a warm-up of five weeks: messages a day to each receiver.
func DefaultPlan() []uint32 {
	return []uint32{
		50, 100, 150, 200, 300, 400, 500,
		700, 900, 1200, 1500, 2000, 2500, 3000,
		4000, 5000, 6000, 8000, 10000, 12000, 15000,
		20000, 25000, 30000, 40000, 50000, 60000, 75000,
		100000, 125000, 150000, 200000, 250000, 300000, 400000,
	}
}

// ParsePlan reads a plan: "default", "none", or numbers apart by commas, of up to a year. The error is ErrInvalid.
func ParsePlan(text string) ([]uint32, error) {
	switch text {
	case "default":
		return DefaultPlan(), nil
	case "", "none":
		return nil, nil
	}
	var plan []uint32
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(word), 10, 32)
		if err != nil || n == 0 || len(plan) == 366 {
			return nil, fmt.Errorf("%w: the warm-up %q: use default, none, or up to 366 numbers of messages a day apart by commas", ErrInvalid, text)
		}
		plan = append(plan, uint32(n))
	}
	return plan, nil
}
