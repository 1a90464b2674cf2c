// Package frame compresses the chunks of message bodies, each by itself, and restores them. It knows two
// forms, told apart by their first byte; what either has written stays readable for ever:
//
//	zstd:   a frame of RFC 8878 with its checksum; it begins with 0x28
//	short:  0x01, CRC-32C of the octets (4, big endian), an S2 block with its length in front
//
// The short form is for chunks of a few KiB, of which zstd spends most of its time on tables: it takes a
// third of the time to write and a tenth to read, and about a third more room. Builds before the second
// command level cannot read it. The package stores nothing and does not choose between the forms.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// MaxOctets is the size in octets of the largest chunk.
const MaxOctets = 256 << 10

// The first bytes of the forms. Numbers are for ever.
const (
	formShort = 0x01
	formZstd  = 0x28
)

const shortHeader = 1 + crc32.Size

// window is how far back zstd looks, in octets.
const window = 256 << 10

// ErrCorrupt says that bytes are no frame that this version can read, or one whose octets are not
// those that were written.
var ErrCorrupt = errors.New("damaged frame")

// Codec writes and reads frames. It is safe for concurrent use and holds nothing to be closed.
type Codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
	sums    *crc32.Table
}

// New returns a Codec.
func New() *Codec {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(true),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(window))
	if err != nil {
		panic(fmt.Sprintf("frame: compressor with constant options: %v", err))
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(2*MaxOctets))
	if err != nil {
		panic(fmt.Sprintf("frame: decompressor with constant options: %v", err))
	}
	return &Codec{encoder: encoder, decoder: decoder, sums: crc32.MakeTable(crc32.Castagnoli)}
}

// Compress returns octets as a zstd frame.
func (c *Codec) Compress(octets []byte) []byte {
	return c.encoder.EncodeAll(octets, make([]byte, 0, len(octets)/2+64))
}

// CompressInto is Compress, in room where that is large enough.
func (c *Codec) CompressInto(room, octets []byte) []byte {
	return c.encoder.EncodeAll(octets, room[:0])
}

// CompressShort returns octets, at most MaxOctets of them, in the short form.
func (c *Codec) CompressShort(octets []byte) []byte {
	out := make([]byte, shortHeader+s2.MaxEncodedLen(len(octets)))
	out[0] = formShort
	binary.BigEndian.PutUint32(out[1:], crc32.Checksum(octets, c.sums))
	return out[:shortHeader+len(s2.Encode(out[shortHeader:], octets))]
}

// Octets restores what is in a frame, in room where that is large enough. Its error is ErrCorrupt.
func (c *Codec) Octets(room, frame []byte) ([]byte, error) {
	switch {
	case len(frame) > shortHeader && frame[0] == formShort:
		return c.short(room, frame)
	case len(frame) > 0 && frame[0] == formZstd:
		octets, err := c.decoder.DecodeAll(frame, room[:0])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return octets, nil
	}
	return nil, fmt.Errorf("%d bytes of no known form: %w", len(frame), ErrCorrupt)
}

func (c *Codec) short(room, frame []byte) ([]byte, error) {
	block := frame[shortHeader:]
	n, err := s2.DecodedLen(block)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if n > MaxOctets {
		return nil, fmt.Errorf("%d octets in a chunk: %w", n, ErrCorrupt)
	}
	octets, err := s2.Decode(room[:cap(room)], block)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if crc32.Checksum(octets, c.sums) != binary.BigEndian.Uint32(frame[1:]) {
		return nil, fmt.Errorf("checksum of %d octets: %w", n, ErrCorrupt)
	}
	return octets, nil
}
