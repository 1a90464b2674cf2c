// Package command is the one numbered table of replicated command kinds and the codec of the
// envelope they travel in. Payloads are protobuf messages of the package that executes them. It is
// not a dispatcher: each state machine knows its own kinds.
package command

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// Kind is the number of a command kind. Numbers are for ever: append to the table, never reuse.
type Kind uint16

// Format is the version of the envelope layout, its first byte.
const Format byte = 1

// HeaderSize is the length of an encoded envelope before its payload, in bytes.
const HeaderSize = 1 + 2 + 16 + 8

// ErrFormat says that bytes are no command envelope of a version that this build understands.
var ErrFormat = errors.New("not a command envelope this version understands")

// ErrKind says that a command in the log is of a kind that this version does not execute.
var ErrKind = errors.New("this version of Rookery does not know the kind of a command in the log")

// Command is one replicated command with everything that is not deterministic in it.
//
// Layout, big endian: format (1 byte), kind (2), id (16), time in Unix milliseconds (8), payload.
type Command struct {
	ID      cluster.CommandID
	Kind    Kind
	Time    time.Time // the proposer's clock, in milliseconds; replicas have no other
	Payload []byte    // a protobuf message, see the table of kinds

	// Index is the position in the log, set when the command is executed; it is not encoded.
	Index cluster.LogIndex
}

// Append appends the encoded command to dst.
func (c Command) Append(dst []byte) []byte {
	dst = append(dst, Format)
	dst = binary.BigEndian.AppendUint16(dst, uint16(c.Kind))
	dst = append(dst, c.ID[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.Time.UnixMilli()))
	return append(dst, c.Payload...)
}

// Decode reads an encoded command. Payload aliases data.
func Decode(data []byte) (Command, error) {
	if len(data) < HeaderSize {
		return Command{}, fmt.Errorf("command of %d bytes: %w", len(data), ErrFormat)
	}
	if data[0] != Format {
		return Command{}, fmt.Errorf("command of format %d: %w", data[0], ErrFormat)
	}
	c := Command{
		Kind:    Kind(binary.BigEndian.Uint16(data[1:3])),
		Time:    time.UnixMilli(int64(binary.BigEndian.Uint64(data[19:27]))).UTC(),
		Payload: data[HeaderSize:],
	}
	copy(c.ID[:], data[3:19])
	return c, nil
}
