package window

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// A stream carries frames, big endian: length of what follows (4), a number (1), a body. Numbers are for
// ever. One snapshot is open at a time, and each question but opEnd has one answer.
//
//	opBegin: group (2), index (8); answered by the index (8) that the snapshot shows at least
//	opGet:   key; answered by 0, or by 1 and the value
//	opScan:  backward (1: 1 is yes), octets wanted (4), length of lower (4), lower, upper; answered by
//	         whether there are more (1), then entries: length of key (4), key, length of value (4), value
//	opEnd:   closes the snapshot
//	opWatch: group (2), account (8); answered by frames without end: statusDone with an index (8) at the
//	         beginning and whenever the account changed, statusAlive in between
const (
	opBegin byte = 1
	opGet   byte = 2
	opScan  byte = 3
	opEnd   byte = 4
	opWatch byte = 5
)

// What an answer begins with; the body of one that is an error is its text.
const (
	statusDone        byte = 0
	statusRestored    byte = 1
	statusNoReplica   byte = 2
	statusUnavailable byte = 3
	statusAlive       byte = 4
	statusOther       byte = 255
)

// maxFrame is the longest frame in octets: well above the largest value with its key.
const maxFrame = 4 << 20

// errFrame says that octets of another node are none of this protocol.
var errFrame = errors.New("not a frame of this protocol")

// answerError is an error that the other node answered with.
type answerError struct {
	status byte
	text   string
}

// Error gives the other node's text.
func (e *answerError) Error() string { return e.text }

// Unwrap gives the sentinel of the status, or nil.
func (e *answerError) Unwrap() error {
	switch e.status {
	case statusRestored:
		return kv.ErrRestored
	case statusNoReplica:
		return cluster.ErrNoReplica
	case statusUnavailable:
		return cluster.ErrUnavailable
	}
	return nil
}

// statusOf is the status that an error travels as.
func statusOf(err error) byte {
	switch {
	case errors.Is(err, kv.ErrRestored):
		return statusRestored
	case errors.Is(err, cluster.ErrNoReplica):
		return statusNoReplica
	case errors.Is(err, cluster.ErrUnavailable), errors.Is(err, cluster.ErrStopped):
		return statusUnavailable
	}
	return statusOther
}

// appendFrame appends a frame of a number and a body.
func appendFrame(dst []byte, number byte, body []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)+1))
	return append(append(dst, number), body...)
}

// readFrame reads a frame into buf, which it may let grow. Memory grows with what arrives.
func readFrame(r *bufio.Reader, buf []byte) (number byte, body, grown []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, buf, err // io.EOF before a frame is an orderly end
	}
	size := int(binary.BigEndian.Uint32(head[:])) - 1
	if size < 0 || size >= maxFrame {
		return 0, nil, buf, fmt.Errorf("frame of %d octets: %w", size+1, errFrame)
	}
	const step = 64 << 10
	buf = buf[:0]
	for len(buf) < size {
		n := min(size-len(buf), max(step, cap(buf)-len(buf)))
		from := len(buf)
		buf = append(buf, make([]byte, n)...)
		if _, err := io.ReadFull(r, buf[from:]); err != nil {
			return 0, nil, buf, fmt.Errorf("read a frame of %d octets: %w", size+1, io.ErrUnexpectedEOF)
		}
	}
	return head[4], buf, buf, nil
}

func appendBegin(dst []byte, g cluster.GroupID, floor cluster.LogIndex) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(dst, uint16(g)), uint64(floor))
}

// parseBegin reads the body of opBegin and of opWatch, whose second number is an account.
func parseBegin(body []byte) (g cluster.GroupID, number uint64, err error) {
	if len(body) != 10 {
		return 0, 0, fmt.Errorf("group and number of %d octets: %w", len(body), errFrame)
	}
	return cluster.GroupID(binary.BigEndian.Uint16(body)), binary.BigEndian.Uint64(body[2:]), nil
}

func parseIndex(body []byte) (cluster.LogIndex, error) {
	if len(body) != 8 {
		return 0, fmt.Errorf("index of %d octets: %w", len(body), errFrame)
	}
	return cluster.LogIndex(binary.BigEndian.Uint64(body)), nil
}

// scan is a question for a page of keys.
type scan struct {
	backward     bool // the highest keys, descending
	want         int  // octets; at least one entry comes
	lower, upper []byte
}

func (s scan) append(dst []byte) []byte {
	backward := byte(0)
	if s.backward {
		backward = 1
	}
	dst = binary.BigEndian.AppendUint32(append(dst, backward), uint32(s.want))
	dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(s.lower))), s.lower...)
	return append(dst, s.upper...)
}

func parseScan(body []byte) (s scan, err error) {
	if len(body) < 9 || body[0] > 1 {
		return s, fmt.Errorf("scan of %d octets: %w", len(body), errFrame)
	}
	s.backward, s.want = body[0] == 1, int(binary.BigEndian.Uint32(body[1:]))
	if s.lower, s.upper, err = cut(body[5:]); err != nil {
		return scan{}, err
	}
	return s, nil
}

// entry is a key with its value.
type entry struct{ key, value []byte }

func (e entry) append(dst []byte) []byte {
	dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(e.key))), e.key...)
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(e.value))), e.value...)
}

// parsePage reads the answer to a scan; entries alias body.
func parsePage(body []byte) (page []entry, more bool, err error) {
	if len(body) < 1 || body[0] > 1 {
		return nil, false, fmt.Errorf("page of %d octets: %w", len(body), errFrame)
	}
	more = body[0] == 1
	for rest := body[1:]; len(rest) > 0; {
		var e entry
		if e.key, rest, err = cut(rest); err == nil {
			e.value, rest, err = cut(rest)
		}
		if err != nil {
			return nil, false, err
		}
		page = append(page, e)
	}
	return page, more, nil
}

// cut cuts a length and as many octets off.
func cut(b []byte) (part, rest []byte, err error) {
	if len(b) < 4 || uint64(len(b)-4) < uint64(binary.BigEndian.Uint32(b)) {
		return nil, nil, fmt.Errorf("part of a frame, %d octets: %w", len(b), errFrame)
	}
	n := 4 + int(binary.BigEndian.Uint32(b))
	return b[4:n:n], b[n:], nil
}
