package heartbeat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// Version is the layout of frames that this build writes and reads. The node that is called answers a
// new link with its own version in one byte, before anything else.
const Version = 1

// MaxFrame bounds the bytes of a frame after its length.
const MaxFrame = 64 << 10

// maxRecords is how many heartbeats or answers go into one frame. A record has at most some 300 bytes,
// so that a full frame stays below MaxFrame.
const maxRecords = 128

// maxText bounds the text of an error in bytes; the rest is cut off.
const maxText = 256

// ErrFrame says that bytes are no frame of this version.
var ErrFrame = errors.New("not a heartbeat frame this version understands")

// Type tells what the records of a frame are. Numbers are for ever.
type Type uint8

// The types of frames.
const (
	TypeBeats   Type = 1 // from the node that opened the link
	TypeAnswers Type = 2 // back to it
)

// Status tells what became of a heartbeat. Numbers are for ever.
type Status uint8

// The statuses of answers.
const (
	StatusAnswered Status = 0 // by the group's Raft: Term, LastLog, Success and NoRetryBackoff are its own
	StatusNotHere  Status = 1 // the group has no replica here that could answer
	StatusFailed   Status = 2 // the group's Raft gave the error Text
)

// Beat is a heartbeat of one group: what raft.AppendEntriesRequest has beside the frame's Header and Leader.
type Beat struct {
	Seq   uint64 // of the link; the answer repeats it
	Group cluster.GroupID
	Term  uint64 // at least 1
}

// Answer is the answer to the heartbeat with its Seq.
type Answer struct {
	Seq            uint64
	Status         Status
	Term           uint64
	LastLog        uint64
	Success        bool
	NoRetryBackoff bool
	Text           string
}

// Frame is what one node tells another in one piece. Header is that of all records, which come from one node.
//
// Layout: length of the rest (4 bytes, big endian, at most MaxFrame), version (1), type (1), then the
// header: Raft's protocol version, id, address and, of heartbeats, the leader; then records to the end.
// A heartbeat is its sequence number, group and term. An answer is its sequence number and its status
// (1 byte), then for StatusAnswered term, last index and flags (1 byte: 1 success, 2 no back-off), for
// StatusFailed a text. Numbers are unsigned varints; texts and addresses have their length before them.
type Frame struct {
	Type    Type
	Header  raft.RPCHeader
	Leader  []byte // of TypeBeats; Header.Addr or this is not empty
	Beats   []Beat
	Answers []Answer
}

// Append appends the encoded frame to dst.
func (f Frame) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, Version, byte(f.Type))
	dst = binary.AppendUvarint(dst, uint64(f.Header.ProtocolVersion))
	dst = appendBytes(dst, f.Header.ID)
	dst = appendBytes(dst, f.Header.Addr)
	if f.Type == TypeBeats {
		dst = appendBytes(dst, f.Leader)
	}
	for _, b := range f.Beats {
		dst = binary.AppendUvarint(dst, b.Seq)
		dst = binary.AppendUvarint(dst, uint64(b.Group))
		dst = binary.AppendUvarint(dst, b.Term)
	}
	for _, a := range f.Answers {
		dst = a.append(dst)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

func (a Answer) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, a.Seq)
	dst = append(dst, byte(a.Status))
	switch a.Status {
	case StatusAnswered:
		dst = binary.AppendUvarint(dst, a.Term)
		dst = binary.AppendUvarint(dst, a.LastLog)
		var flags byte
		if a.Success {
			flags |= 1
		}
		if a.NoRetryBackoff {
			flags |= 2
		}
		dst = append(dst, flags)
	case StatusFailed:
		dst = appendBytes(dst, []byte(a.Text[:min(len(a.Text), maxText)]))
	}
	return dst
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// ReadFrame reads one frame. It returns ErrFrame for anything else, and the reader's own error where
// the bytes end.
func ReadFrame(r io.Reader) (Frame, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return Frame{}, fmt.Errorf("read length of a frame: %w", err)
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > MaxFrame {
		return Frame{}, fmt.Errorf("frame of %d bytes: %w", n, ErrFrame)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return Frame{}, fmt.Errorf("read a frame of %d bytes: %w", n, err)
	}
	return decode(body)
}

// decode reads what follows the length. The frame keeps parts of body.
func decode(body []byte) (Frame, error) {
	d := decoder{rest: body}
	version, f := d.byte(), Frame{Type: Type(d.byte())}
	if !d.bad && (version != Version || f.Type != TypeBeats && f.Type != TypeAnswers) {
		return Frame{}, fmt.Errorf("version %d, type %d: %w", version, f.Type, ErrFrame)
	}
	f.Header.ProtocolVersion = raft.ProtocolVersion(d.number(math.MaxInt32))
	f.Header.ID, f.Header.Addr = d.bytes(MaxFrame), d.bytes(MaxFrame)
	if f.Type == TypeBeats {
		f.Leader = d.bytes(MaxFrame)
		d.bad = d.bad || len(f.Leader) == 0 && len(f.Header.Addr) == 0
	}
	for !d.bad && len(d.rest) > 0 {
		if f.Type == TypeBeats {
			f.Beats = append(f.Beats, d.beat())
		} else {
			f.Answers = append(f.Answers, d.answer())
		}
	}
	if d.bad || len(f.Beats) > maxRecords || len(f.Answers) > maxRecords {
		return Frame{}, fmt.Errorf("type %d, %d bytes: %w", f.Type, len(body), ErrFrame)
	}
	return f, nil
}

// decoder takes fields off the front of rest. Once it is bad it gives zeros.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) beat() Beat {
	b := Beat{Seq: d.number(math.MaxUint64), Group: cluster.GroupID(d.number(math.MaxUint16)), Term: d.number(math.MaxUint64)}
	d.bad = d.bad || b.Term == 0
	return b
}

func (d *decoder) answer() Answer {
	a := Answer{Seq: d.number(math.MaxUint64), Status: Status(d.byte())}
	switch a.Status {
	case StatusAnswered:
		a.Term, a.LastLog = d.number(math.MaxUint64), d.number(math.MaxUint64)
		flags := d.byte()
		d.bad = d.bad || flags > 3
		a.Success, a.NoRetryBackoff = flags&1 != 0, flags&2 != 0
	case StatusNotHere:
	case StatusFailed:
		a.Text = string(d.bytes(maxText))
	default:
		d.bad = true
	}
	return a
}

func (d *decoder) byte() byte {
	if d.bad || len(d.rest) == 0 {
		d.bad = true
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) number(limit uint64) uint64 {
	n, size := binary.Uvarint(d.rest)
	if d.bad || size <= 0 || n > limit {
		d.bad = true
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) bytes(limit uint64) []byte {
	n := d.number(limit)
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

// sameHeader reports whether records with these headers may share a frame.
func sameHeader(a, b raft.RPCHeader) bool {
	return a.ProtocolVersion == b.ProtocolVersion && bytes.Equal(a.ID, b.ID) && bytes.Equal(a.Addr, b.Addr)
}
