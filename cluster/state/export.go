package state

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/rookery-mail/rookery/cluster"
)

// Export reads the state stream of a group as it was at one moment. It holds back the reclaiming
// of space until it is closed. It belongs to one goroutine.
type Export struct {
	Size    int64            // of the whole stream, in bytes
	Applied cluster.LogIndex // of the state in it

	group *Group
	it    *pebble.Iterator
	more  bool // it stands at a record that was not written yet
	ended bool // the end mark is in buf
	count uint64
	buf   []byte // what was encoded
	off   int    // what of buf was read
}

var _ io.ReadCloser = (*Export)(nil)

// Export begins a stream of the group's state. Its size is found by walking the keys; values that
// are kept apart from them are not read for that.
func (g *Group) Export() (*Export, error) {
	lo, hi := g.bounds(nil, nil)
	it, err := g.db.db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return nil, fmt.Errorf("export %v: %w", g.id, err)
	}
	e := &Export{group: g, it: it}
	if err := e.measure(); err != nil {
		it.Close()
		return nil, fmt.Errorf("export %v: %w", g.id, err)
	}
	e.more = it.First()
	e.buf = appendHeader(nil, Header{Group: g.id, Applied: e.Applied})
	return e, nil
}

// measure sets Size and Applied. The iterator is bound to one moment, so the second walk sees the
// same keys.
func (e *Export) measure() error {
	e.Size = int64(headerSize + endSize)
	block := 0
	for ok := e.it.First(); ok; ok = e.it.Next() {
		key := e.it.Key()[prefixSize:]
		lazy := e.it.LazyValue()
		if len(key) == 1 && key[0] == appliedKey {
			value, err := e.it.ValueAndErr()
			if err != nil {
				return err
			}
			if e.Applied, err = decodeApplied(value); err != nil {
				return err
			}
		}
		if block == 0 {
			e.Size += blockHead
		}
		n := recordHead + len(key) + lazy.Len()
		e.Size += int64(n)
		if block += n; block >= blockSize {
			block = 0
		}
	}
	return e.it.Error()
}

// Read implements io.Reader.
func (e *Export) Read(p []byte) (int, error) {
	for e.off == len(e.buf) {
		if e.ended {
			return 0, io.EOF
		}
		if err := e.fill(); err != nil {
			return 0, fmt.Errorf("export %v: %w", e.group.id, err)
		}
	}
	n := copy(p, e.buf[e.off:])
	e.off += n
	return n, nil
}

// fill encodes the next block, or the end mark, into buf.
func (e *Export) fill() error {
	e.off = 0
	if !e.more {
		if err := e.it.Error(); err != nil {
			return err
		}
		e.buf = appendEnd(e.buf[:0], e.count)
		e.ended = true
		return nil
	}
	e.buf = append(e.buf[:0], make([]byte, blockHead)...)
	for e.more && len(e.buf)-blockHead < blockSize {
		key := e.it.Key()[prefixSize:]
		value, err := e.it.ValueAndErr()
		if err != nil {
			return err
		}
		e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(len(key)))
		e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(len(value)))
		e.buf = append(e.buf, key...)
		e.buf = append(e.buf, value...)
		e.count++
		e.more = e.it.Next()
	}
	records := e.buf[blockHead:]
	binary.BigEndian.PutUint32(e.buf, uint32(len(records)))
	binary.BigEndian.PutUint32(e.buf[4:], crc32.Checksum(records, castagnoli))
	return nil
}

// Close releases the moment that was read.
func (e *Export) Close() error { return e.it.Close() }
