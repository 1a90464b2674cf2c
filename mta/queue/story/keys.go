package story

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Ref names a story: the day on which it began, in days since 1970 (UTC), and a number that is its own on it. The zero Ref
// is none.
type Ref struct {
	Day    uint32
	Number uint64 // place in the log of the command that began it, 48 bits, and which of the command's it is
}

// NewRef gives the ref of the n-th story, from 0, that the command at a place in the log begins.
func NewRef(day uint32, index uint64, n uint16) Ref { return Ref{day, index<<16 | uint64(n)} }

// DayOf is the day of a time in Unix milliseconds.
func DayOf(ms int64) uint32 { return uint32(max(ms, 0) / 86_400_000) }

// Never is a day that does not come: nothing is kept before it.
const Never = ^uint32(0)

// The tables of stories in a partition's keys (mta/queue/KEYS.md).
const (
	tablePiece = 0x3a
	tableBlock = 0x3b
)

// errKey says that a stored key or value is not what KEYS.md says.
var errKey = errors.New("not a key of stories")

// firstKey is the key that says from which day on stories are kept.
func firstKey() []byte { return []byte{tableBlock} }

// dayKey begins all keys of a day.
func dayKey(table byte, day uint32) []byte {
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, 24), table), day)
}

// afterDay is behind all keys of a day.
func afterDay(table byte, day uint32) []byte {
	if day == Never {
		return []byte{table + 1}
	}
	return dayKey(table, day+1)
}

func storyKey(r Ref) []byte {
	return binary.BigEndian.AppendUint64(dayKey(tablePiece, r.Day), r.Number)
}

// afterStory is behind all pieces of a story.
func afterStory(r Ref) []byte {
	if r.Number == ^uint64(0) {
		return afterDay(tablePiece, r.Day)
	}
	return storyKey(Ref{r.Day, r.Number + 1})
}

// pieceKey is where the command at a place in the log keeps what it did.
func pieceKey(r Ref, index uint64) []byte {
	return binary.BigEndian.AppendUint64(storyKey(r), index)
}

func readPiece(key []byte) (r Ref, index uint64, err error) {
	if len(key) != 21 || key[0] != tablePiece {
		return r, 0, fmt.Errorf("key %x: %w", key, errKey)
	}
	return Ref{binary.BigEndian.Uint32(key[1:]), binary.BigEndian.Uint64(key[5:])}, binary.BigEndian.Uint64(key[13:]), nil
}

// blockKey is where the block is kept whose last story is r.
func blockKey(r Ref) []byte {
	return binary.BigEndian.AppendUint64(dayKey(tableBlock, r.Day), r.Number)
}

func readBlock(key []byte) (r Ref, err error) {
	if len(key) != 13 || key[0] != tableBlock {
		return r, fmt.Errorf("key %x: %w", key, errKey)
	}
	return Ref{binary.BigEndian.Uint32(key[1:]), binary.BigEndian.Uint64(key[5:])}, nil
}
