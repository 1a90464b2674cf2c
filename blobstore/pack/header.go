package pack

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/rookery-mail/rookery/blobstore"
)

const (
	headerMagic = "rookpack"
	headerFixed = len(headerMagic) + 2 + 2 + 16 + 8 + 2
	maxSealed   = 256 // octets of a sealed key
)

// HeaderSize is the size of the largest header in octets: who reads so many from a pack's start has it.
const HeaderSize = headerFixed + maxSealed + blobstore.SumSize

func appendHeader(to []byte, p blobstore.Pack) []byte {
	start := len(to)
	to = append(to, headerMagic...)
	to = binary.BigEndian.AppendUint16(to, Version)
	to = binary.BigEndian.AppendUint16(to, p.Group)
	to = append(to, p.ID[:]...)
	to = append(to, p.Key[:]...)
	to = binary.BigEndian.AppendUint16(to, uint16(len(p.SealedKey)))
	to = append(to, p.SealedKey...)
	return binary.BigEndian.AppendUint64(to, xxhash.Sum64(to[start:]))
}

// ReadHeader reads the header that octets, from the start of a pack, begin with, and gives its length.
// Its error is blobstore.ErrFormat or blobstore.ErrDamaged.
func ReadHeader(octets []byte) (p blobstore.Pack, length int, err error) {
	if len(octets) < headerFixed+blobstore.SumSize {
		return p, 0, fmt.Errorf("header in %d octets: %w", len(octets), blobstore.ErrDamaged)
	}
	if string(octets[:len(headerMagic)]) != headerMagic {
		return p, 0, fmt.Errorf("header begins with %x: %w", octets[:len(headerMagic)], blobstore.ErrFormat)
	}
	at := len(headerMagic)
	if v := binary.BigEndian.Uint16(octets[at:]); v != Version {
		return p, 0, fmt.Errorf("version %d, this build reads %d: %w", v, Version, blobstore.ErrFormat)
	}
	p.Group = binary.BigEndian.Uint16(octets[at+2:])
	at += 4
	at += copy(p.ID[:], octets[at:])
	at += copy(p.Key[:], octets[at:])
	sealed := int(binary.BigEndian.Uint16(octets[at:]))
	at += 2
	if sealed > maxSealed || at+sealed+blobstore.SumSize > len(octets) {
		return p, 0, fmt.Errorf("sealed key of %d octets: %w", sealed, blobstore.ErrDamaged)
	}
	if sealed > 0 {
		p.SealedKey = append([]byte(nil), octets[at:at+sealed]...)
	}
	at += sealed
	if binary.BigEndian.Uint64(octets[at:]) != xxhash.Sum64(octets[:at]) {
		return p, 0, fmt.Errorf("checksum of the header: %w", blobstore.ErrDamaged)
	}
	return p, at + blobstore.SumSize, check(p)
}

// check says whether p can be the words of a pack: a sealed key is there exactly where a key is named.
func check(p blobstore.Pack) error {
	if (p.Key == blobstore.KeyID{}) != (len(p.SealedKey) == 0) || len(p.SealedKey) > maxSealed {
		return fmt.Errorf("key %x with a sealed key of %d octets: %w", p.Key, len(p.SealedKey), blobstore.ErrFormat)
	}
	return nil
}
