package entries

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// Version is the layout of frames that this build writes and reads. The node that is called answers a
// new link with its own version in one byte, before anything else.
const Version = 1

// MaxFrame bounds the bytes of a frame after its length.
const MaxFrame = 256 << 10

// Bulk is how many bytes of entries, by Size, an append on a link has at most.
const Bulk = 128 << 10

// maxText bounds the text of an error in bytes; the rest is cut off.
const maxText = 256

// ErrFrame says that bytes are no frame of this version.
var ErrFrame = errors.New("not an entries frame this version understands")

// The types of frames. Numbers are for ever.
const (
	typeAppend byte = 1 // from the node that opened the link
	typeAnswer byte = 2 // back to it
)

// Status tells what became of an append. Numbers are for ever.
type Status uint8

// The statuses of answers.
const (
	StatusAnswered Status = 0 // by the group's Raft: Term, LastLog, Success and NoRetryBackoff are its own
	StatusNotHere  Status = 1 // the group has no replica here that could answer
	StatusFailed   Status = 2 // the group's Raft gave the error Text
)

// Append is an append of one group.
//
// Layout: length of the rest (4 bytes, big endian, at most MaxFrame), version (1), type 1 (1), sequence number,
// group, Raft's protocol version, id, address, leader, term, previous entry, its term, commit index, number of
// entries; then of each entry index, term, type (1 byte), time of its append in Unix nanoseconds (8 bytes, big
// endian; 0 if it has none), data, extensions. Numbers are unsigned varints; texts and data have their length
// before them.
type Append struct {
	Seq   uint64 // of the link; the answer repeats it
	Group cluster.GroupID
	Args  *raft.AppendEntriesRequest
}

// Answer is the answer to the append with its Seq.
//
// Layout: as of Append with type 2, then sequence number, status (1 byte), for StatusAnswered term, last index
// and flags (1 byte: 1 success, 2 no back-off), for StatusFailed a text.
type Answer struct {
	Seq            uint64
	Status         Status
	Term           uint64
	LastLog        uint64
	Success        bool
	NoRetryBackoff bool
	Text           string
}

// Size is about how many bytes an append comes to.
func Size(args *raft.AppendEntriesRequest) int {
	n := 512
	for _, e := range args.Entries {
		n += len(e.Data) + len(e.Extensions) + 64
	}
	return n
}

// begin appends the head of a frame; end sets its length.
func begin(dst []byte, kind byte) []byte { return append(dst, 0, 0, 0, 0, Version, kind) }

func end(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// append appends the encoded frame to dst.
func (a Append) append(dst []byte) []byte {
	start, q := len(dst), a.Args
	dst = begin(dst, typeAppend)
	dst = binary.AppendUvarint(dst, a.Seq)
	dst = binary.AppendUvarint(dst, uint64(a.Group))
	dst = binary.AppendUvarint(dst, uint64(q.ProtocolVersion))
	dst = appendBytes(dst, q.ID)
	dst = appendBytes(dst, q.Addr)
	dst = appendBytes(dst, q.Leader)
	dst = binary.AppendUvarint(dst, q.Term)
	dst = binary.AppendUvarint(dst, q.PrevLogEntry)
	dst = binary.AppendUvarint(dst, q.PrevLogTerm)
	dst = binary.AppendUvarint(dst, q.LeaderCommitIndex)
	dst = binary.AppendUvarint(dst, uint64(len(q.Entries)))
	for _, e := range q.Entries {
		dst = binary.AppendUvarint(dst, e.Index)
		dst = binary.AppendUvarint(dst, e.Term)
		dst = append(dst, byte(e.Type))
		var at uint64
		if !e.AppendedAt.IsZero() {
			at = uint64(e.AppendedAt.UnixNano())
		}
		dst = binary.BigEndian.AppendUint64(dst, at)
		dst = appendBytes(dst, e.Data)
		dst = appendBytes(dst, e.Extensions)
	}
	return end(dst, start)
}

// append appends the encoded frame to dst.
func (a Answer) append(dst []byte) []byte {
	start := len(dst)
	dst = begin(dst, typeAnswer)
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
	return end(dst, start)
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// readFrame reads one frame of a type and returns what follows that. It returns ErrFrame for anything else,
// and the reader's own error where the bytes end. The bytes are the caller's.
func readFrame(r io.Reader, kind byte) ([]byte, error) {
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("read head of a frame: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 2 || n > MaxFrame || head[4] != Version || head[5] != kind {
		return nil, fmt.Errorf("frame of %d bytes, version %d, type %d: %w", n, head[4], head[5], ErrFrame)
	}
	body := make([]byte, n-2)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("read a frame of %d bytes: %w", n, err)
	}
	return body, nil
}

// readAppend reads one append. Its data are parts of one allocation.
func readAppend(r io.Reader) (Append, error) {
	body, err := readFrame(r, typeAppend)
	if err != nil {
		return Append{}, err
	}
	d, q := decoder{rest: body}, &raft.AppendEntriesRequest{}
	a := Append{Seq: d.number(math.MaxUint64), Group: cluster.GroupID(d.number(math.MaxUint16)), Args: q}
	q.ProtocolVersion = raft.ProtocolVersion(d.number(math.MaxInt32))
	q.ID, q.Addr, q.Leader = d.bytes(MaxFrame), d.bytes(MaxFrame), d.bytes(MaxFrame)
	q.Term, q.PrevLogEntry, q.PrevLogTerm = d.number(math.MaxUint64), d.number(math.MaxUint64), d.number(math.MaxUint64)
	q.LeaderCommitIndex = d.number(math.MaxUint64)
	d.entries(q, d.number(uint64(len(d.rest)/minEntry)))
	if d.bad || len(d.rest) > 0 {
		return Append{}, fmt.Errorf("append of %d bytes: %w", len(body), ErrFrame)
	}
	return a, nil
}

// readAnswer reads one answer.
func readAnswer(r io.Reader) (Answer, error) {
	body, err := readFrame(r, typeAnswer)
	if err != nil {
		return Answer{}, err
	}
	d := decoder{rest: body}
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
	if d.bad || len(d.rest) > 0 {
		return Answer{}, fmt.Errorf("answer of %d bytes: %w", len(body), ErrFrame)
	}
	return a, nil
}

// minEntry is how many bytes an entry has at least.
const minEntry = 13

// decoder takes fields off the front of rest. Once it is bad it gives zeros.
type decoder struct {
	rest []byte
	bad  bool
}

// entries reads n entries; n of them may fit into rest.
func (d *decoder) entries(q *raft.AppendEntriesRequest, n uint64) {
	if d.bad || n == 0 {
		return
	}
	logs := make([]raft.Log, n)
	q.Entries = make([]*raft.Log, n)
	for i := range logs {
		e := &logs[i]
		e.Index, e.Term, e.Type = d.number(math.MaxUint64), d.number(math.MaxUint64), raft.LogType(d.byte())
		if at := d.fixed(); at != 0 {
			e.AppendedAt = time.Unix(0, int64(at)).UTC()
		}
		e.Data, e.Extensions = d.bytes(MaxFrame), d.bytes(MaxFrame)
		q.Entries[i] = e
	}
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

func (d *decoder) fixed() uint64 {
	if d.bad || len(d.rest) < 8 {
		d.bad = true
		return 0
	}
	n := binary.BigEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return n
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

// bytes gives nil for none, as raft's own decoder does.
func (d *decoder) bytes(limit uint64) []byte {
	n := d.number(limit)
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return nil
	}
	if n == 0 {
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}
