package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/cluster"
)

// Kind tells what a stream carries. Numbers are for ever.
type Kind uint8

// The kinds of streams.
const (
	KindRaft   Kind = 1 // hashicorp/raft's own protocol, for the group in the header
	KindRPC    Kind = 2 // requests and responses (cluster/rpc)
	KindStream Kind = 3 // a raw connection to a named service (cluster/rpc)
	KindJoin   Kind = 4 // the only kind that a peer without a certificate may open
	// KindHeartbeat carries the heartbeats of all groups (cluster/transport/heartbeat).
	KindHeartbeat Kind = 5
	// KindEntries carries the appends of all groups (cluster/transport/entries).
	KindEntries Kind = 6
)

// String gives the kind's name for log lines.
func (k Kind) String() string {
	switch k {
	case KindRaft:
		return "raft"
	case KindRPC:
		return "rpc"
	case KindStream:
		return "stream"
	case KindJoin:
		return "join"
	case KindHeartbeat:
		return "heartbeat"
	case KindEntries:
		return "entries"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// ErrHeader says that a connection did not start with a stream header this version understands.
var ErrHeader = errors.New("not a stream header this version understands")

// Header is what the dialling side sends first on each stream.
//
// Layout, big endian: magic "RKRY" (4 bytes), version 1 (1), kind (1), group (2; 0 unless raft).
type Header struct {
	Kind  Kind
	Group cluster.GroupID
}

const (
	magic         = "RKRY"
	headerVersion = 1
	headerSize    = 8
)

// Append appends the encoded header to dst.
func (h Header) Append(dst []byte) []byte {
	dst = append(dst, magic...)
	dst = append(dst, headerVersion, byte(h.Kind))
	return binary.BigEndian.AppendUint16(dst, uint16(h.Group))
}

// ReadHeader reads a header and nothing after it.
func ReadHeader(r io.Reader) (Header, error) {
	var raw [headerSize]byte
	if _, err := io.ReadFull(r, raw[:]); err != nil {
		return Header{}, fmt.Errorf("read stream header: %w", err)
	}
	if string(raw[:4]) != magic || raw[4] != headerVersion {
		return Header{}, fmt.Errorf("bytes % x: %w", raw, ErrHeader)
	}
	return Header{Kind: Kind(raw[5]), Group: cluster.GroupID(binary.BigEndian.Uint16(raw[6:]))}, nil
}
