package staging

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// Walker reads many bodies of one moment. It is quickest in the order of their ids, which is that of
// arrival, but takes them in any. It is for one goroutine.
type Walker struct {
	records, chunks stepper
	rec             indexpb.BodyRecord
}

// NewWalker opens a Walker over r, which it reads nothing more of afterwards: it stays whole where r's
// state is replaced. The caller closes it.
func NewWalker(r kv.Reader) (*Walker, error) {
	w := &Walker{}
	for _, s := range []struct {
		step  *stepper
		table keys.Table
	}{{&w.records, keys.TableBody}, {&w.chunks, keys.TableChunk}} {
		prefix := keys.Whole(nil, s.table)
		it, err := r.Scan(prefix, keys.After(nil, prefix))
		if err != nil {
			w.Close()
			return nil, fmt.Errorf("walk bodies: %w", err)
		}
		s.step.it = it
	}
	return w, nil
}

// Close releases the Walker.
func (w *Walker) Close() {
	for _, s := range []*stepper{&w.records, &w.chunks} {
		if s.it != nil {
			_ = s.it.Close() // what was read was read whole
		}
	}
}

// Record returns what is known of a body that messages use, until the next call.
func (w *Walker) Record(id index.BodyID) (*indexpb.BodyRecord, error) {
	w.records.key = keys.Body(w.records.key[:0], id)
	value, err := w.records.value()
	if err != nil {
		return nil, fmt.Errorf("record of body %d: %w", id, err)
	}
	w.rec = indexpb.BodyRecord{}
	if err := w.rec.UnmarshalVT(value); err != nil {
		return nil, fmt.Errorf("record of body %d: %w: %w", id, err, ErrCorrupt)
	}
	return &w.rec, nil
}

// Chunk returns one compressed chunk of a body, until the next call.
func (w *Walker) Chunk(id index.BodyID, number uint32) ([]byte, error) {
	w.chunks.key = keys.Chunk(w.chunks.key[:0], id, number)
	value, err := w.chunks.value()
	if err != nil {
		return nil, fmt.Errorf("chunk %d of body %d: %w", number, id, err)
	}
	return value, nil
}

// stepper reads keys, by stepping where the one wanted is the next and seeking otherwise.
type stepper struct {
	it  kv.Iterator
	key []byte // wanted
	at  bool   // it stands at a key
}

func (s *stepper) value() ([]byte, error) {
	if s.at {
		s.at = s.it.Next()
	}
	if !s.at || string(s.it.Key()) != string(s.key) {
		s.at = s.it.SeekGE(s.key)
	}
	if s.at && string(s.it.Key()) == string(s.key) {
		return s.it.Value()
	}
	if err := s.it.Error(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("no such key: %w", ErrCorrupt)
}
