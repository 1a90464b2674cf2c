// Package blobstore holds the words for bodies in object storage: packs, where a body lies in one,
// what a manifest says, and the names of objects. Its folders hold the rest: blobstore/pack the bytes of
// a pack, blobstore/object the stores, blobstore/packer, reader and gc what goes in, out and away.
// Nothing here knows mailboxes: accounts, names and flags are numbers and texts that pass through.
package blobstore

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// The sentinels of bodies in object storage.
var (
	// ErrUnavailable says that the object store did not answer in time, throttles, or fails for now.
	ErrUnavailable = errors.New("the object store does not answer")
	// ErrDamaged says that what the object store gave is not what was put there.
	ErrDamaged = errors.New("the object is damaged")
	// ErrNoKey says that a pack is encrypted under a key that the cluster does not have.
	ErrNoKey = errors.New("the cluster has no such encryption key")
	// ErrFormat says that octets are not what FORMAT.md describes.
	ErrFormat = errors.New("not a pack")
)

// PackID names a pack for ever: 16 random bytes.
type PackID [16]byte

// String gives the id in 32 hexadecimal digits.
func (id PackID) String() string { return hex.EncodeToString(id[:]) }

// ParsePackID reads what String gives, or returns ErrFormat.
func ParsePackID(s string) (id PackID, err error) {
	if len(s) != 2*len(id) {
		return id, fmt.Errorf("pack id of %d digits: %w", len(s), ErrFormat)
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return id, fmt.Errorf("pack id %q: %w", s, ErrFormat)
	}
	return id, nil
}

// KeyID names a cluster key: 8 random bytes. The zero KeyID is no encryption.
type KeyID [8]byte

// Pack is what is needed to read a pack. The sealed key stands in the pack's header too, so that a
// bucket and the cluster keys are enough.
type Pack struct {
	Group     uint16 // the partition that it belongs to
	ID        PackID
	Key       KeyID
	SealedKey []byte // the pack's own key, sealed under the cluster key; nil without encryption
}

// Octets that stand behind each chunk in a pack.
const (
	SumSize  = 8  // its checksum, in a pack without encryption
	SealSize = 16 // its tag, in one with
)

// Overhead is how many octets each chunk takes in the pack beside its own.
func (p Pack) Overhead() int {
	if p.Key == (KeyID{}) {
		return SumSize
	}
	return SealSize
}

// Object is the name of the pack's object, behind the prefix of the bucket: the partition, then two
// digits of the id, since stores split their load by the front of a name.
func (p Pack) Object() string {
	s := p.ID.String()
	return fmt.Sprintf("packs/%s/%05d/%s.pack", s[:2], p.Group, s)
}

// ReadObject reads what Object gives, or returns ErrFormat. Keys are not in a name.
func ReadObject(name string) (Pack, error) {
	var p Pack
	var head, id string
	if len(name) != len("packs/00/00000/")+32+len(".pack") {
		return p, fmt.Errorf("object %q: %w", name, ErrFormat)
	}
	if _, err := fmt.Sscanf(name, "packs/%2s/%05d/%32s.pack", &head, &p.Group, &id); err != nil {
		return p, fmt.Errorf("object %q: %w", name, ErrFormat)
	}
	var err error
	if p.ID, err = ParsePackID(id); err != nil {
		return p, err
	}
	if p.Object() != name {
		return p, fmt.Errorf("object %q: %w", name, ErrFormat)
	}
	return p, nil
}

// Ref is where one chunk of a body lies: Length octets from Offset on, with its checksum or seal.
type Ref struct {
	Pack   *Pack
	Offset int64
	Length int
}

// Entry is where a body lies in a pack: its chunks, one behind the other from Offset on.
type Entry struct {
	Body    uint64
	Offset  uint64
	Lengths []uint32 // octets of each chunk in the pack, with its checksum or seal
}

// End is where the entry ends: the offset behind its last chunk.
func (e Entry) End() uint64 {
	end := e.Offset
	for _, n := range e.Lengths {
		end += uint64(n)
	}
	return end
}

// Manifest says what is in a pack and whose it is, so that mailboxes can be made anew with nothing but
// the bucket. It stands at the end of the pack.
type Manifest struct {
	Pack      PackID
	Cluster   string // the cluster's id
	Group     uint16
	Created   time.Time // of the pack, in milliseconds
	Accounts  []Account
	Mailboxes []Mailbox
	Bodies    []Body // in the order in which they lie in the pack
}

// Account is an account whose messages are in a pack.
type Account struct {
	ID      uint64
	Address string // ada@example.org; empty where it was not known
}

// Mailbox is a mailbox as it was when the pack was made.
type Mailbox struct {
	Account     int // place in Manifest.Accounts
	ID          uint32
	Name        string // UTF-8
	UIDValidity uint32
	SpecialUse  uint32
	Keywords    []string
	Subscribed  bool // by its owner
	Kept        bool // holds expunged mail, kept for undelete
}

// Body is one body in a pack.
type Body struct {
	Entry
	Size      uint64 // octets of the message
	ChunkSize uint32 // octets of the message in each chunk but the last
	Users     []User
}

// User is a message that has the body, as it was when the pack was made.
type User struct {
	Mailbox      int    // place in Manifest.Mailboxes
	UID          uint32 // 0 where it had none yet
	Flags        uint32
	Keywords     []uint32  // places in the mailbox's Keywords
	InternalDate time.Time // in milliseconds
	SaveDate     time.Time
}

// PackState is how far a pack has come. The numbers are stored.
type PackState int

// The states of a pack.
const (
	PackOpen   PackState = 1 // begun: its object is being made
	PackWhole  PackState = 2 // its object is verified, bodies refer to it
	PackDoomed PackState = 3 // nothing refers to it any more: its object is to be deleted
)

// PackInfo is what a partition's log says of a pack.
type PackInfo struct {
	Pack
	Number     uint64 // in the partition
	State      PackState
	Since      time.Time // when it came to that state
	Created    time.Time
	Size       uint64 // octets of the object; 0 while open
	LiveBytes  uint64 // octets of bodies that messages use
	LiveBodies uint64
	DeadBytes  uint64 // octets of bodies that nobody uses any more
}
