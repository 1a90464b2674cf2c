package blobstore

import "time"

// Mode is where the bodies of a partition are to be. The numbers are stored.
type Mode int

// The modes of a partition.
const (
	Embedded Mode = 0 // in the state, all of them
	Listing  Mode = 1 // in packs; the users of bodies that were there before are being listed
	Packed   Mode = 2 // in packs
	Homing   Mode = 3 // in the state; those in packs are being brought back
)

// String gives the mode in lower case.
func (m Mode) String() string {
	switch m {
	case Embedded:
		return "embedded"
	case Listing:
		return "listing"
	case Packed:
		return "packed"
	case Homing:
		return "homing"
	}
	return "unknown"
}

// Backlog is what a partition holds of bodies outside packs.
type Backlog struct {
	Mode   Mode
	Bytes  uint64    // octets, compressed; 0 in mode Embedded, which does not count
	Bodies uint64    // bodies, and uploads that go on
	Since  time.Time // no staged body came before
}
