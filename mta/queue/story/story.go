// Package story keeps what became of each message that came by: where it came from, where it was put, what was said at each
// attempt to pass it on. It keeps it by day, so that what is old goes in one step, and finds it by the id of the
// mail transaction, by Message-ID, and by the addresses of sender and recipients. What there is to tell is decided by
// mta/queue; this package reads no clock and tells nobody.
//
// A story is written in pieces, one for each command that did something to the message, and never read for that. Names
// are found by blocks of hashes, one written with each 256th story of a day; the stories since the last block are looked through.
package story

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// ErrCorrupt says that the keys break an invariant of KEYS.md.
var ErrCorrupt = errors.New("stories are corrupt")

// Book writes the stories of a partition. It is for the goroutine that applies the log.
//
// Invariant: all that it remembers follows from the keys, so that a Book that was just made writes the same.
type Book struct {
	known bool
	first uint32 // day

	// The block that is being filled, of one day: the stories behind its last block.
	open  bool
	day   uint32
	rows  int
	block []byte
}

// Forgotten forgets what is remembered of the keys, which are others now.
func (b *Book) Forgotten() { *b = Book{} }

// Keeps reports whether stories of a day are kept.
func (b *Book) Keeps(r kv.Reader, day uint32) (bool, error) {
	if !b.known {
		first, err := readFirst(r)
		if err != nil {
			return false, err
		}
		b.first, b.known = first, true
	}
	return day >= b.first && day != Never, nil
}

// Begin writes the first piece of a story, which has its names. Stories of a day begin in the order of their numbers.
func (b *Book) Begin(w kv.Batch, ref Ref, head *queuepb.StoryRecord) error {
	if !b.open || b.day != ref.Day {
		if err := b.openDay(w, ref.Day); err != nil {
			return fmt.Errorf("open the block of day %d: %w", ref.Day, err)
		}
	}
	if err := b.Add(w, ref, ref.Number>>16, head); err != nil {
		return err
	}
	b.block = appendRow(b.block, ref.Number, head)
	b.rows++
	if b.rows < blockStories && len(b.block) < blockOctets {
		return nil
	}
	if err := w.Set(blockKey(ref), b.block); err != nil {
		return err
	}
	b.rows, b.block = 0, b.block[:0]
	return nil
}

// Add writes a piece of a story that has begun, of the command at a place in the log.
func (b *Book) Add(w kv.Batch, ref Ref, index uint64, piece *queuepb.StoryRecord) error {
	value, err := piece.MarshalVT()
	if err != nil {
		return fmt.Errorf("encode a story: %w", err)
	}
	return w.Set(pieceKey(ref, index), value)
}

// Forget drops the stories of days before one, and has none of them be kept from now on.
func (b *Book) Forget(w kv.Batch, first uint32) error {
	b.Forgotten()
	for _, table := range []byte{tablePiece, tableBlock} {
		if first == 0 {
			break
		}
		if err := w.DeleteRange(dayKey(table, 0), afterDay(table, first-1)); err != nil {
			return err
		}
	}
	return w.Set(firstKey(), binary.BigEndian.AppendUint32(nil, first))
}

// openDay reads which stories of a day are in no block.
func (b *Book) openDay(r kv.Reader, day uint32) error {
	b.open, b.day, b.rows, b.block = false, day, 0, b.block[:0]
	from, err := afterBlocks(r, day)
	if err != nil {
		return err
	}
	err = heads(r, from, afterDay(tablePiece, day), func(ref Ref, head *queuepb.StoryRecord) (bool, error) {
		b.block = appendRow(b.block, ref.Number, head)
		b.rows++
		return true, nil
	})
	b.open = err == nil
	return err
}

// Has reports whether a story is kept.
func Has(r kv.Reader, ref Ref) (bool, error) {
	_, ok, err := r.Get(pieceKey(ref, ref.Number>>16))
	return ok, err
}

func readFirst(r kv.Reader) (uint32, error) {
	value, ok, err := r.Get(firstKey())
	if err != nil || !ok {
		return 0, err
	}
	if len(value) != 4 {
		return 0, fmt.Errorf("the first day of stories in %d octets: %w", len(value), ErrCorrupt)
	}
	return binary.BigEndian.Uint32(value), nil
}

// afterBlocks is the key from which on stories of a day are in no block.
func afterBlocks(r kv.Reader, day uint32) ([]byte, error) {
	it, err := r.Scan(dayKey(tableBlock, day), afterDay(tableBlock, day))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	if !it.Last() {
		return dayKey(tablePiece, day), it.Error()
	}
	last, err := readBlock(it.Key())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrCorrupt)
	}
	return afterStory(last), nil
}

// heads calls fn with the first piece of each story between two keys.
func heads(r kv.Reader, from, to []byte, fn func(Ref, *queuepb.StoryRecord) (bool, error)) error {
	it, err := r.Scan(from, to)
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; {
		ref, head, err := piece(it)
		if err != nil {
			return err
		}
		if more, err := fn(ref, head); err != nil || !more {
			return err
		}
		ok = it.SeekGE(afterStory(ref))
	}
	return it.Error()
}

// piece reads the piece that an iterator is at.
func piece(it kv.Iterator) (Ref, *queuepb.StoryRecord, error) {
	ref, _, err := readPiece(it.Key())
	if err != nil {
		return ref, nil, fmt.Errorf("%w: %w", err, ErrCorrupt)
	}
	value, err := it.Value()
	if err != nil {
		return ref, nil, err
	}
	rec := new(queuepb.StoryRecord)
	if err := rec.UnmarshalVT(value); err != nil {
		return ref, nil, fmt.Errorf("story %x: %w: %w", it.Key(), err, ErrCorrupt)
	}
	return ref, rec, nil
}
