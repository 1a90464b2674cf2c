// Package staging keeps the bodies of messages inside the replicated state: it takes them in, whole
// inside a command or in chunks sent ahead, counts who uses them, and drops them with the last user.
// Where bodies are to be in object storage it knows which pack each is in, and what is live and dead in
// every pack. It does not look inside a body, and what accounts and mailboxes are is not its concern.
package staging

import (
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/blobstore"
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
	pack   *pack    // or in a pack of its own
	size   uint64   // of the pack's object
	id     index.BodyID
}

// Prepare looks at a body on its way in and changes nothing. A code other than CODE_OK says why it
// cannot be kept. The plan aliases in.
func (l *Ledger) Prepare(in *indexpb.BodyInput) (*Plan, indexpb.Code, error) {
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
	if in.Pack != 0 {
		code, err := l.placed(p, in)
		return p, code, err
	}
	if len(in.UploadId) > 0 {
		code, err := p.adopt(l.b, in.UploadId)
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

// placed makes the plan one of a body that is in an open pack of its own.
func (l *Ledger) placed(p *Plan, in *indexpb.BodyInput) (indexpb.Code, error) {
	e, rec := in.Entry, &p.record
	if e == nil || len(in.Chunks) > 0 || len(in.UploadId) > 0 || rec.Chunks == 0 || !ascending([]*indexpb.PackEntry{e}) {
		return indexpb.Code_CODE_INVALID, nil
	}
	own, err := l.open(in.Pack)
	if err != nil || own == nil || own.rec.Body == 0 || own.rec.Covered > 0 {
		return indexpb.Code_CODE_NO_PACK, err
	}
	if !own.fits(rec.Chunks, e.Lengths) {
		return indexpb.Code_CODE_INVALID, nil
	}
	rec.Pack, rec.Offset, rec.Lengths = own.number, e.Offset, e.Lengths
	rec.Stored = octets(e.Lengths) - own.overhead()*uint64(rec.Chunks)
	p.pack, p.size, p.id = own, in.PackSize, index.BodyID(own.rec.Body)
	return indexpb.Code_CODE_OK, nil
}

// Assign gives the body its id, the same one each time. A body that was assigned an id must be
// kept with Commit.
func (p *Plan) Assign(l *Ledger) (index.BodyID, error) {
	if p.id != 0 {
		return p.id, nil
	}
	id, err := nextBody(l.b)
	p.id = id
	return id, err
}

// Commit keeps the body, used by refs messages, which is not 0. Its users are noted before.
func (p *Plan) Commit(l *Ledger, refs uint64) error {
	p.record.Refs = refs
	if err := writeBody(l.b, p.id, &p.record); err != nil {
		return err
	}
	if p.pack != nil {
		own := p.pack
		own.enter(octets(p.record.Lengths))
		own.rec.Covered, own.rec.Size = p.record.Offset+octets(p.record.Lengths), p.size
		own.become(blobstore.PackWhole, l.now)
		return nil
	}
	blobs, err := l.active()
	if err != nil {
		return err
	}
	if p.upload != nil {
		if blobs != nil {
			l.stage(0, 1) // its octets are counted
		}
		return l.b.Delete(keys.Upload(nil, p.upload))
	}
	if blobs != nil && len(p.chunks) > 0 {
		l.stage(p.record.Stored, 1)
	}
	for i, c := range p.chunks {
		if err := l.b.Set(keys.Chunk(l.key[:0], p.id, uint32(i)), c); err != nil {
			return err
		}
	}
	return nil
}

// AddRefs counts n more users of a body.
func (l *Ledger) AddRefs(id index.BodyID, n uint64) error {
	rec, err := Record(l.b, id)
	if err != nil {
		return err
	}
	rec.Refs += n
	return writeBody(l.b, id, rec)
}

// Release counts one user of a body less, and drops it where that was the last.
func (l *Ledger) Release(id index.BodyID) error {
	rec, ok, err := readBody(l.b, id)
	if err == nil && !ok {
		err = missing(id)
	}
	if err != nil {
		return err
	}
	if rec.Refs == 0 {
		return fmt.Errorf("release body %d that nobody uses: %w", id, ErrCorrupt)
	}
	if rec.Refs--; rec.Refs > 0 {
		return writeBody(l.b, id, &rec.BodyRecord)
	}
	if err := l.takeOut(id, rec); err != nil {
		return err
	}
	if err := l.b.Delete(keys.Body(l.key[:0], id)); err != nil {
		return err
	}
	return dropChunks(l.b, id, rec.inState())
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

// body is a BodyRecord with what follows from it.
type body struct{ indexpb.BodyRecord }

// staged reports whether the body's chunks are in the state, and there are any.
func (rec *body) staged() bool { return rec.Pack == 0 && rec.Chunks > 0 }

// inState is how many of the body's chunks, from the first on, are in the state.
func (rec *body) inState() uint32 {
	if rec.Pack != 0 {
		return rec.Home
	}
	return rec.Chunks
}

// readBody reads the record of a body, or ok false where no message uses such a body.
func readBody(r kv.Reader, id index.BodyID) (rec *body, ok bool, err error) {
	var buf [16]byte
	value, ok, err := r.Get(keys.Body(buf[:0], id))
	if err != nil {
		return nil, false, fmt.Errorf("read body %d: %w", id, err)
	}
	if !ok {
		return nil, false, nil
	}
	rec = new(body)
	if err := rec.UnmarshalVT(value); err != nil {
		return nil, false, fmt.Errorf("record of body %d: %w: %w", id, err, ErrCorrupt)
	}
	return rec, true, nil
}

// Record returns what is known of a body that messages use.
func Record(r kv.Reader, id index.BodyID) (*indexpb.BodyRecord, error) {
	rec, ok, err := readBody(r, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, missing(id)
	}
	return &rec.BodyRecord, nil
}

// Lookup is Record, with ok false where no message uses such a body.
func Lookup(r kv.Reader, id index.BodyID) (rec *indexpb.BodyRecord, ok bool, err error) {
	b, ok, err := readBody(r, id)
	if err != nil || !ok {
		return nil, false, err
	}
	return &b.BodyRecord, true, nil
}

func missing(id index.BodyID) error { return fmt.Errorf("body %d is missing: %w", id, ErrCorrupt) }

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
