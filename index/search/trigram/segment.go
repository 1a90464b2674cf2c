package trigram

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/rookery-mail/rookery/index"
)

// Segment says which messages a segment is about, and of which state of the mailbox it was made.
type Segment struct {
	UIDValidity uint32
	ModSeq      index.ModSeq // HIGHESTMODSEQ of the mailbox before its messages were read
	// Saved is when the message Last was saved, in milliseconds since 1970: another message under its UID, of
	// a state that was put back, has another.
	Last  index.UID
	Saved int64
	Size  uint64      // octets of the postings, about
	UIDs  []index.UID // by ordinal
	// Beyond are messages of too many grams, about which the segment says nothing.
	Beyond []index.UID
}

// castagnoli is the checksum of descriptors.
func castagnoli(data []byte) uint32 { return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) }

// Append appends the stored form: Version, UIDValidity, ModSeq, Last, Saved, Size, all uvarints but Saved, a varint; UIDs and
// Beyond, each a uvarint, their number, and for each UID a varint, its difference to the one before; CRC-32C of it
// all, little endian.
func (s *Segment) Append(dst []byte) []byte {
	from := len(dst)
	dst = append(dst, Version)
	dst = binary.AppendUvarint(dst, uint64(s.UIDValidity))
	dst = binary.AppendUvarint(dst, uint64(s.ModSeq))
	dst = binary.AppendUvarint(dst, uint64(s.Last))
	dst = binary.AppendVarint(dst, s.Saved)
	dst = binary.AppendUvarint(dst, s.Size)
	dst = appendUIDs(appendUIDs(dst, s.UIDs), s.Beyond)
	return binary.LittleEndian.AppendUint32(dst, castagnoli(dst[from:]))
}

func appendUIDs(dst []byte, uids []index.UID) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(uids)))
	before := int64(0)
	for _, u := range uids {
		dst = binary.AppendVarint(dst, int64(u)-before)
		before = int64(u)
	}
	return dst
}

// ReadSegment reads what Append wrote. Errors are ErrFormat.
func ReadSegment(data []byte) (*Segment, error) {
	if len(data) < 5 || data[0] != Version {
		return nil, fmt.Errorf("descriptor of %d octets: %w", len(data), ErrFormat)
	}
	end := len(data) - 4
	if castagnoli(data[:end]) != binary.LittleEndian.Uint32(data[end:]) {
		return nil, fmt.Errorf("checksum of a descriptor: %w", ErrFormat)
	}
	f := fields{rest: data[1:end]}
	s := &Segment{UIDValidity: uint32(f.uvarint(1<<32 - 1)), ModSeq: index.ModSeq(f.uvarint(1<<64 - 1)),
		Last: index.UID(f.uvarint(1<<32 - 1)), Saved: f.varint(), Size: f.uvarint(1<<64 - 1)}
	s.UIDs, s.Beyond = f.uids(), f.uids()
	if f.bad || len(f.rest) > 0 {
		return nil, fmt.Errorf("fields of a descriptor: %w", ErrFormat)
	}
	return s, nil
}

// fields reads numbers until one is not there.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(f.rest)
	if n <= 0 || v > most {
		f.bad = true
		return 0
	}
	f.rest = f.rest[n:]
	return v
}

func (f *fields) varint() int64 {
	v, n := binary.Varint(f.rest)
	if n <= 0 {
		f.bad = true
		return 0
	}
	f.rest = f.rest[n:]
	return v
}

func (f *fields) uids() (all []index.UID) {
	n := f.uvarint(MaxMessages)
	at := int64(0)
	for ; n > 0 && !f.bad; n-- {
		at += f.varint()
		f.bad = f.bad || at < 1 || at > 1<<32-1
		all = append(all, index.UID(at))
	}
	return all
}
