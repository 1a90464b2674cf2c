package uidset

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrFormat says that bytes are no encoded block.
var ErrFormat = errors.New("not an encoded UID block")

// The layouts of a stored block, by its first byte. Numbers are for ever.
const (
	layoutRuns   = 1 // uvarint pairs (UIDs passed over, UIDs that are members) until the end
	layoutBitmap = 2 // 512 bytes: 64 words, little endian, lowest UID in the lowest bit
)

const bitmapSize = words * 8

// EncodeBlock appends the stored form of b to dst: runs where they are shorter than the bitmap. A
// block of 4,096 or of the first n UIDs takes 4 bytes or less.
func EncodeBlock(dst []byte, b *Block) []byte {
	start := len(dst)
	dst = append(dst, layoutRuns)
	for off := 0; ; {
		lo := b.nextSet(off)
		if lo == BlockSize {
			return dst
		}
		hi := b.nextClear(lo)
		dst = binary.AppendUvarint(dst, uint64(lo-off))
		dst = binary.AppendUvarint(dst, uint64(hi-lo))
		off = hi
		if len(dst)-start > bitmapSize {
			break
		}
	}
	dst = append(dst[:start], layoutBitmap)
	for _, w := range b.w {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	return dst
}

// DecodeBlock reads the stored form of a block. Errors are ErrFormat.
func DecodeBlock(data []byte) (Block, error) {
	var b Block
	if len(data) == 0 {
		return b, fmt.Errorf("empty UID block: %w", ErrFormat)
	}
	switch data[0] {
	case layoutRuns:
		return b, b.decodeRuns(data[1:])
	case layoutBitmap:
		if len(data) != 1+bitmapSize {
			return b, fmt.Errorf("UID bitmap of %d bytes: %w", len(data), ErrFormat)
		}
		for i := range b.w {
			b.w[i] = binary.LittleEndian.Uint64(data[1+8*i:])
		}
		return b, nil
	}
	return b, fmt.Errorf("UID block of layout %d: %w", data[0], ErrFormat)
}

// isFull reports whether data is how EncodeBlock stores a full block.
func isFull(data []byte) bool { return string(data) == "\x01\x00\x80\x20" }

func (b *Block) decodeRuns(data []byte) error {
	off := uint64(0)
	for len(data) > 0 {
		skip, n := binary.Uvarint(data)
		if n <= 0 {
			return fmt.Errorf("UID run: %w", ErrFormat)
		}
		length, m := binary.Uvarint(data[n:])
		if m <= 0 || length == 0 || skip > BlockSize || length > BlockSize || off+skip+length > BlockSize {
			return fmt.Errorf("UID run: %w", ErrFormat)
		}
		data = data[n+m:]
		b.setRange(int(off+skip), int(off+skip+length-1))
		off += skip + length
	}
	return nil
}
