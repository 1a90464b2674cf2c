package story

import (
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// Story is what a partition has to tell of a message.
type Story struct {
	Ref    Ref
	Pieces []*queuepb.StoryRecord // in the order in which they happened; the first has the names
	More   bool                   // there are others
}

// MaxPieces is how many pieces of a story are read.
const MaxPieces = 1000

// Find returns the stories with a name, an id, a Message-ID or an address, that began between two days, both
// included: the latest n of them, the latest first.
func Find(r kv.Reader, name string, from, to uint32, n int) (list []Story, err error) {
	name = fold(name)
	first, last, err := days(r)
	if err != nil {
		return nil, err
	}
	from, to = max(from, first), min(to, last)
	for day := to; day >= from && len(list) < n; day-- {
		some, err := candidates(r, hash(name), day)
		if err != nil {
			return nil, fmt.Errorf("look through the stories of day %d: %w", day, err)
		}
		for i := len(some) - 1; i >= 0 && len(list) < n; i-- {
			s, ok, err := read(r, Ref{day, some[i]}, name)
			if err != nil {
				return nil, err
			}
			if ok {
				list = append(list, s)
			}
		}
		if day == 0 {
			break
		}
	}
	return list, nil
}

// days are the first and the last day that there are stories of; without any, the first is behind the last.
func days(r kv.Reader) (first, last uint32, err error) {
	prefix := []byte{tablePiece}
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return 0, 0, err
	}
	defer it.Close()
	if !it.First() {
		return 1, 0, it.Error()
	}
	a, _, err := readPiece(it.Key())
	if err != nil || !it.Last() {
		return 1, 0, err
	}
	b, _, err := readPiece(it.Key())
	return a.Day, b.Day, err
}

// candidates are the stories of a day that may have a name, in their order.
func candidates(r kv.Reader, h uint32, day uint32) (numbers []uint64, err error) {
	it, err := r.Scan(dayKey(tableBlock, day), afterDay(tableBlock, day))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	take := func(number uint64, hashes []byte) {
		if has(hashes, h) {
			numbers = append(numbers, number)
		}
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			return nil, err
		}
		if err := eachRow(value, take); err != nil {
			return nil, fmt.Errorf("%w: %w", err, ErrCorrupt)
		}
	}
	if err := it.Error(); err != nil {
		return nil, err
	}
	from, err := afterBlocks(r, day)
	if err != nil {
		return nil, err
	}
	err = heads(r, from, afterDay(tablePiece, day), func(ref Ref, head *queuepb.StoryRecord) (bool, error) {
		found := false
		names(head, func(s string) { found = found || hash(s) == h })
		if found {
			numbers = append(numbers, ref.Number)
		}
		return true, nil
	})
	return numbers, err
}

// read reads a story, ok false where it has not that name.
func read(r kv.Reader, ref Ref, folded string) (s Story, ok bool, err error) {
	it, err := r.Scan(storyKey(ref), afterStory(ref))
	if err != nil {
		return s, false, err
	}
	defer it.Close()
	s.Ref = ref
	for more := it.First(); more; more = it.Next() {
		_, p, err := piece(it)
		if err != nil {
			return s, false, err
		}
		if len(s.Pieces) == 0 && !matches(p, folded) {
			return s, false, nil
		}
		if s.More = len(s.Pieces) == MaxPieces; s.More {
			break
		}
		s.Pieces = append(s.Pieces, p)
	}
	return s, len(s.Pieces) > 0, it.Error()
}

// Verify checks what KEYS.md says holds between the keys of stories. It reads all of them.
func Verify(r kv.Reader) error {
	first, err := readFirst(r)
	if err != nil {
		return err
	}
	rows, last, err := verifyBlocks(r, first)
	if err != nil {
		return err
	}
	prefix := []byte{tablePiece}
	loose := map[uint32]int{}
	err = heads(r, prefix, keys.After(nil, prefix), func(ref Ref, head *queuepb.StoryRecord) (bool, error) {
		switch want, blocked := rows[ref]; {
		case ref.Day < first:
			return false, fmt.Errorf("story %v is of a day before %d: %w", ref, first, ErrCorrupt)
		case !blocked && ref.Number <= last[ref.Day]:
			return false, fmt.Errorf("story %v is in no block, those behind it are: %w", ref, ErrCorrupt)
		case !blocked:
			loose[ref.Day]++
		case !slices.Equal(appendRow(nil, ref.Number, head)[11:], want):
			return false, fmt.Errorf("story %v has other names in its block: %w", ref, ErrCorrupt)
		}
		delete(rows, ref)
		return true, headFirst(r, ref)
	})
	for day, n := range loose {
		if n >= blockStories && err == nil {
			err = fmt.Errorf("%d stories of day %d are in no block: %w", n, day, ErrCorrupt)
		}
	}
	if err == nil && len(rows) > 0 {
		err = fmt.Errorf("%d stories of blocks are missing: %w", len(rows), ErrCorrupt)
	}
	return err
}

// headFirst checks that the first piece of a story is that of the command that began it.
func headFirst(r kv.Reader, ref Ref) error {
	ok, err := Has(r, ref)
	if err == nil && !ok {
		err = fmt.Errorf("story %v has no beginning: %w", ref, ErrCorrupt)
	}
	return err
}

// verifyBlocks returns the hashes of each story in a block, and the last of each day.
func verifyBlocks(r kv.Reader, first uint32) (rows map[Ref][]byte, last map[uint32]uint64, err error) {
	rows, last = map[Ref][]byte{}, map[uint32]uint64{}
	it, err := r.Scan(dayKey(tableBlock, 0), []byte{tableBlock + 1})
	if err != nil {
		return nil, nil, err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		at, err := readBlock(it.Key())
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", err, ErrCorrupt)
		}
		value, err := it.Value()
		if err != nil {
			return nil, nil, err
		}
		ordered := at.Day >= first
		err = eachRow(value, func(number uint64, hashes []byte) {
			ordered = ordered && number > last[at.Day]
			rows[Ref{at.Day, number}], last[at.Day] = slices.Clone(hashes), number
		})
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", err, ErrCorrupt)
		}
		if !ordered || last[at.Day] != at.Number {
			return nil, nil, fmt.Errorf("block %v is of a day before %d, or has not the stories up to it in order: %w", at, first, ErrCorrupt)
		}
	}
	return rows, last, it.Error()
}

// Stale reports whether Forget(first) has something to do: there are stories of earlier days, or none are kept and they are to
// be, or the other way.
func Stale(r kv.Reader, first uint32) (bool, error) {
	now, err := readFirst(r)
	if err != nil {
		return false, err
	}
	oldest, latest, err := days(r)
	if err != nil {
		return false, err
	}
	return oldest <= latest && oldest < first || (now == Never) != (first == Never), nil
}
