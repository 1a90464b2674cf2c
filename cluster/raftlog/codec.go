package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// Keys, all numbers big endian:
//
//	group (2)  0x01  index (8)   an entry
//	group (2)  0x02  name        a stable value, as Raft wrote it
//	group (2)  0x03              the snapshot record
const (
	entryKind    byte = 0x01
	stableKind   byte = 0x02
	snapshotKind byte = 0x03
)

const entryKeySize = 2 + 1 + 8

// entryFormat is the version of an entry's value, its first byte:
//
//	format (1), type (1), term (uvarint), time of the leader's append in Unix nanoseconds
//	(varint, 0 is none), length of the extensions (uvarint), extensions, data
const entryFormat byte = 1

var errEntry = errors.New("not a log entry this version understands")

func groupBounds(g cluster.GroupID) (lower, upper []byte) {
	lower = binary.BigEndian.AppendUint16(nil, uint16(g))
	return lower, binary.BigEndian.AppendUint16(nil, uint16(g)+1)
}

func key(g cluster.GroupID, kind byte, rest ...byte) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, entryKeySize), uint16(g))
	return append(append(b, kind), rest...)
}

func entryKey(g cluster.GroupID, index uint64) []byte {
	return binary.BigEndian.AppendUint64(key(g, entryKind), index)
}

// entryHead encodes everything of an entry's value but the extensions and the data themselves.
func entryHead(dst []byte, l *raft.Log) []byte {
	var at int64
	if !l.AppendedAt.IsZero() {
		at = l.AppendedAt.UnixNano()
	}
	dst = append(dst, entryFormat, byte(l.Type))
	dst = binary.AppendUvarint(dst, l.Term)
	dst = binary.AppendVarint(dst, at)
	return binary.AppendUvarint(dst, uint64(len(l.Extensions)))
}

// maxEntryHead bounds the length of entryHead's result.
const maxEntryHead = 2 + 3*binary.MaxVarintLen64

// decodeEntry fills l but for its index. Data and Extensions alias value.
func decodeEntry(value []byte, l *raft.Log) error {
	if len(value) < 2 || value[0] != entryFormat {
		return errEntry
	}
	l.Type = raft.LogType(value[1])
	value = value[2:]
	var n int
	if l.Term, n = binary.Uvarint(value); n <= 0 {
		return fmt.Errorf("term: %w", errEntry)
	}
	value = value[n:]
	at, n := binary.Varint(value)
	if n <= 0 {
		return fmt.Errorf("time: %w", errEntry)
	}
	value = value[n:]
	extensions, n := binary.Uvarint(value)
	if n <= 0 || extensions > uint64(len(value)-n) {
		return fmt.Errorf("extensions: %w", errEntry)
	}
	value = value[n:]
	l.AppendedAt = time.Time{}
	if at != 0 {
		l.AppendedAt = time.Unix(0, at).UTC()
	}
	l.Extensions, l.Data = nil, nil
	if extensions > 0 {
		l.Extensions = value[:extensions:extensions]
	}
	if value = value[extensions:]; len(value) > 0 {
		l.Data = value
	}
	return nil
}
