package state

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/rookery-mail/rookery/cluster"
)

// The stream that carries the state of one group from replica to replica, version 1. All numbers
// are big endian; checksums are CRC-32C.
//
//	header   "RKYSTATE", version (1 byte), group (2), applied index (8), checksum of these 19 bytes (4)
//	block    length of records (4, never 0), checksum of records (4), records
//	end      zero (4), number of records in the stream (8), checksum of that number (4)
//
//	record   length of key (4), length of value (4), key without the group's prefix, value
//
// Keys ascend. A block is closed by the record with which it reaches blockSize. The applied index
// is a record too (key 0x01); the header repeats it so that a receiver knows it before reading on.
const (
	streamMagic   = "RKYSTATE"
	streamVersion = 1
	headerSize    = len(streamMagic) + 1 + 2 + 8 + 4
	blockHead     = 4 + 4
	recordHead    = 4 + 4
	endSize       = 4 + 8 + 4
	blockSize     = 256 << 10
	// maxBlock refuses absurd lengths before memory is taken for them. A block is at most
	// blockSize and one record, and a record is at most what one command could write.
	maxBlock = 64 << 20
)

// ErrStream says that a state stream is truncated, damaged, of another group or of a version that
// this build does not understand. Nothing of it was used.
var ErrStream = errors.New("not a whole state stream")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header is the beginning of a state stream.
type Header struct {
	Group   cluster.GroupID
	Applied cluster.LogIndex // of the state that follows
}

func appendHeader(dst []byte, h Header) []byte {
	from := len(dst)
	dst = append(dst, streamMagic...)
	dst = append(dst, streamVersion)
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Group))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Applied))
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
}

// ReadHeader reads the beginning of a state stream from r.
func ReadHeader(r io.Reader) (Header, error) {
	var b [headerSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return Header{}, fmt.Errorf("header: %w: %w", ErrStream, err)
	}
	rest := b[len(streamMagic):]
	if string(b[:len(streamMagic)]) != streamMagic {
		return Header{}, fmt.Errorf("header without its mark: %w", ErrStream)
	}
	if rest[0] != streamVersion {
		return Header{}, fmt.Errorf("stream of version %d, want %d: %w", rest[0], streamVersion, ErrStream)
	}
	if crc32.Checksum(b[:headerSize-4], castagnoli) != binary.BigEndian.Uint32(b[headerSize-4:]) {
		return Header{}, fmt.Errorf("header checksum: %w", ErrStream)
	}
	return Header{
		Group:   cluster.GroupID(binary.BigEndian.Uint16(rest[1:])),
		Applied: cluster.LogIndex(binary.BigEndian.Uint64(rest[3:])),
	}, nil
}

// readBlocks reads everything behind the header and calls record for each, in order. The
// arguments are valid during the call.
func readBlocks(r io.Reader, record func(key, value []byte) error) error {
	var buf []byte
	var count uint64
	for {
		block, err := readBlock(r, buf)
		if err != nil {
			return err
		}
		if block == nil {
			return readEnd(r, count)
		}
		buf = block
		n, err := splitBlock(block, record)
		if err != nil {
			return err
		}
		count += n
	}
}

// readBlock returns the records of the next block, in buf if they fit, or nil at the end mark.
func readBlock(r io.Reader, buf []byte) ([]byte, error) {
	var head [blockHead]byte
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		return nil, fmt.Errorf("block: %w: %w", ErrStream, err)
	}
	size := binary.BigEndian.Uint32(head[:4])
	if size == 0 {
		return nil, nil
	}
	if size > maxBlock {
		return nil, fmt.Errorf("block of %d bytes: %w", size, ErrStream)
	}
	if cap(buf) < int(size) {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	if _, err := io.ReadFull(r, head[4:]); err != nil {
		return nil, fmt.Errorf("block: %w: %w", ErrStream, err)
	}
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, fmt.Errorf("block: %w: %w", ErrStream, err)
	}
	if crc32.Checksum(buf, castagnoli) != binary.BigEndian.Uint32(head[4:]) {
		return nil, fmt.Errorf("block checksum: %w", ErrStream)
	}
	return buf, nil
}

func splitBlock(block []byte, record func(key, value []byte) error) (n uint64, err error) {
	for ; len(block) > 0; n++ {
		if len(block) < recordHead {
			return n, fmt.Errorf("record of %d bytes: %w", len(block), ErrStream)
		}
		keyLen := uint64(binary.BigEndian.Uint32(block))
		valueLen := uint64(binary.BigEndian.Uint32(block[4:]))
		block = block[recordHead:]
		if keyLen+valueLen > uint64(len(block)) {
			return n, fmt.Errorf("record is longer than its block: %w", ErrStream)
		}
		if err := record(block[:keyLen:keyLen], block[keyLen:keyLen+valueLen]); err != nil {
			return n, err
		}
		block = block[keyLen+valueLen:]
	}
	return n, nil
}

func appendEnd(dst []byte, count uint64) []byte {
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint64(dst, count)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[len(dst)-8:], castagnoli))
}

// readEnd reads what follows the zero length of the end mark.
func readEnd(r io.Reader, count uint64) error {
	var b [endSize - 4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return fmt.Errorf("end: %w: %w", ErrStream, err)
	}
	if crc32.Checksum(b[:8], castagnoli) != binary.BigEndian.Uint32(b[8:]) {
		return fmt.Errorf("end checksum: %w", ErrStream)
	}
	if got := binary.BigEndian.Uint64(b[:]); got != count {
		return fmt.Errorf("%d records, the end mark says %d: %w", count, got, ErrStream)
	}
	return nil
}

// PeekHeader reads the header of a stream and returns a reader of the whole stream, header
// included.
func PeekHeader(r io.Reader) (Header, io.Reader, error) {
	b := bufio.NewReaderSize(r, blockSize)
	head, err := b.Peek(headerSize)
	if err != nil {
		return Header{}, nil, fmt.Errorf("header: %w: %w", ErrStream, err)
	}
	h, err := ReadHeader(bytes.NewReader(head))
	return h, b, err
}

// Verify reads a whole stream and checks everything that Import checks of its frame.
func Verify(r io.Reader) (Header, error) {
	h, rest, err := PeekHeader(r)
	if err != nil {
		return Header{}, err
	}
	if _, err := ReadHeader(rest); err != nil {
		return Header{}, err
	}
	return h, readBlocks(rest, func(_, _ []byte) error { return nil })
}
