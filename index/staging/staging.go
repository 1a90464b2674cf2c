// Package staging keeps the bodies of messages inside the replicated state: it takes them in, whole
// inside a command or in chunks sent ahead, counts who uses them, and drops them with the last user.
// It knows neither accounts nor mailboxes, and does not look inside a body.
package staging

import (
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// ErrCorrupt says that the keys break an invariant of KEYS.md. A group that finds it stops.
var ErrCorrupt = errors.New("state of bodies is corrupt")

// MaxChunks bounds the chunks of one body.
const MaxChunks = 1 << 20

// Plan is a body that was found fit to be kept and was not kept yet.
type Plan struct {
	record indexpb.BodyRecord
	chunks [][]byte // inline
	upload []byte   // or staged before
	id     index.BodyID
}

// Prepare looks at a body on its way in and changes nothing. A code other than CODE_OK says why it
// cannot be kept. The plan aliases in.
func Prepare(r kv.Reader, in *indexpb.BodyInput) (*Plan, indexpb.Code, error) {
	if in == nil || in.ChunkSize == 0 {
		return nil, indexpb.Code_CODE_INVALID, nil
	}
	want := in.Size / uint64(in.ChunkSize)
	if in.Size%uint64(in.ChunkSize) != 0 {
		want++
	}
	if want > MaxChunks {
		return nil, indexpb.Code_CODE_INVALID, nil
	}
	p := &Plan{record: indexpb.BodyRecord{Size: in.Size, ChunkSize: in.ChunkSize, Chunks: uint32(want)}}
	if len(in.UploadId) > 0 {
		code, err := p.adopt(r, in.UploadId)
		return p, code, err
	}
	if uint64(len(in.Chunks)) != want {
		return nil, indexpb.Code_CODE_INVALID, nil
	}
	p.chunks = in.Chunks
	for _, c := range in.Chunks {
		p.record.Stored += uint64(len(c))
	}
	return p, indexpb.Code_CODE_OK, nil
}

// adopt makes the plan one of a staged upload, which must be whole.
func (p *Plan) adopt(r kv.Reader, upload []byte) (indexpb.Code, error) {
	if len(upload) != keys.UploadIDSize {
		return indexpb.Code_CODE_INVALID, nil
	}
	rec, ok, err := readUpload(r, upload)
	if err != nil {
		return 0, err
	}
	if !ok || rec.Chunks != p.record.Chunks || rec.Chunks != rec.Last+1 {
		return indexpb.Code_CODE_NO_UPLOAD, nil
	}
	p.upload, p.id, p.record.Stored = upload, index.BodyID(rec.BodyId), rec.Stored
	return indexpb.Code_CODE_OK, nil
}

// Assign gives the body its id, the same one each time. A body that was assigned an id must be
// kept with Commit.
func (p *Plan) Assign(b kv.Batch) (index.BodyID, error) {
	if p.id != 0 {
		return p.id, nil
	}
	id, err := nextBody(b)
	p.id = id
	return id, err
}

// Commit keeps the body, used by refs messages, which is not 0.
func (p *Plan) Commit(b kv.Batch, refs uint64) error {
	p.record.Refs = refs
	if err := writeBody(b, p.id, &p.record); err != nil {
		return err
	}
	if p.upload != nil {
		return b.Delete(keys.Upload(nil, p.upload))
	}
	var buf [16]byte
	for i, c := range p.chunks {
		if err := b.Set(keys.Chunk(buf[:0], p.id, uint32(i)), c); err != nil {
			return err
		}
	}
	return nil
}

// AddRefs counts n more users of a body.
func AddRefs(b kv.Batch, id index.BodyID, n uint64) error {
	rec, err := Record(b, id)
	if err != nil {
		return err
	}
	rec.Refs += n
	return writeBody(b, id, rec)
}

// Release counts one user of a body less, and drops it where that was the last.
func Release(b kv.Batch, id index.BodyID) error {
	rec, err := Record(b, id)
	if err != nil {
		return err
	}
	if rec.Refs == 0 {
		return fmt.Errorf("release body %d that nobody uses: %w", id, ErrCorrupt)
	}
	if rec.Refs--; rec.Refs > 0 {
		return writeBody(b, id, rec)
	}
	if err := b.Delete(keys.Body(nil, id)); err != nil {
		return err
	}
	return dropChunks(b, id, rec.Chunks)
}

// dropChunks deletes chunks one by one where they are few: a range deletion costs every later read
// near it.
func dropChunks(b kv.Batch, id index.BodyID, chunks uint32) error {
	if chunks > 16 {
		prefix := keys.Chunks(nil, id)
		return b.DeleteRange(prefix, keys.After(nil, prefix))
	}
	var buf [16]byte
	for n := range chunks {
		if err := b.Delete(keys.Chunk(buf[:0], id, n)); err != nil {
			return err
		}
	}
	return nil
}

// Record returns what is known of a body that messages use.
func Record(r kv.Reader, id index.BodyID) (*indexpb.BodyRecord, error) {
	var buf [16]byte
	value, ok, err := r.Get(keys.Body(buf[:0], id))
	if err != nil {
		return nil, fmt.Errorf("read body %d: %w", id, err)
	}
	if !ok {
		return nil, fmt.Errorf("body %d is missing: %w", id, ErrCorrupt)
	}
	rec := new(indexpb.BodyRecord)
	if err := rec.UnmarshalVT(value); err != nil {
		return nil, fmt.Errorf("record of body %d: %w: %w", id, err, ErrCorrupt)
	}
	return rec, nil
}

// Chunk returns one compressed chunk of a body.
func Chunk(r kv.Reader, id index.BodyID, number uint32) ([]byte, error) {
	var buf [16]byte
	value, ok, err := r.Get(keys.Chunk(buf[:0], id, number))
	if err != nil {
		return nil, fmt.Errorf("read chunk %d of body %d: %w", number, id, err)
	}
	if !ok {
		return nil, fmt.Errorf("chunk %d of body %d is missing: %w", number, id, ErrCorrupt)
	}
	return value, nil
}

func writeBody(b kv.Batch, id index.BodyID, rec *indexpb.BodyRecord) error {
	value, err := rec.MarshalVT()
	if err != nil {
		return fmt.Errorf("encode record of body %d: %w", id, err)
	}
	var buf [16]byte
	return b.Set(keys.Body(buf[:0], id), value)
}

// nextBody gives out an id. Ids ascend, so that bodies order by arrival.
func nextBody(b kv.Batch) (index.BodyID, error) {
	key := keys.CounterKey(nil, keys.NextBody)
	value, ok, err := b.Get(key)
	if err != nil {
		return 0, fmt.Errorf("read body counter: %w", err)
	}
	last := uint64(0)
	if ok {
		if last, err = keys.DecodeUint64(value); err != nil {
			return 0, fmt.Errorf("read body counter: %w", err)
		}
	}
	return index.BodyID(last + 1), b.Set(key, keys.EncodeUint64(nil, last+1))
}
