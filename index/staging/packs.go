package staging

import (
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// MaxEntries bounds the bodies of one PackBodies, and the packs of one ForgetPacks.
const MaxEntries = 4096

const maxSealedKey = 1 << 10

// BeginPack gives a number to a pack that is about to be made. One for a body that comes with its message
// gets the body's id too, so that the manifest can name it.
func (l *Ledger) BeginPack(cmd *indexpb.BeginPackCommand) (*indexpb.Result, error) {
	if n := len(cmd.Key); len(cmd.Id) != len(blobstore.PackID{}) || n != 0 && n != len(blobstore.KeyID{}) || len(cmd.SealedKey) > maxSealedKey {
		return refuse(indexpb.Code_CODE_INVALID, "not the id or key of a pack"), nil
	}
	if ok, err := l.packing(); err != nil || !ok {
		return refuse(indexpb.Code_CODE_NO_PACK, "bodies are to stay in the state"), err
	}
	l.blobs.LastPack++
	l.dirty = true
	p := &pack{number: l.blobs.LastPack, rec: indexpb.PackRecord{Id: cmd.Id, Created: l.now, Key: cmd.Key, SealedKey: cmd.SealedKey}}
	p.become(blobstore.PackOpen, l.now)
	l.packs = append(l.packs, p)
	if cmd.Own {
		id, err := nextBody(l.b)
		if err != nil {
			return nil, err
		}
		p.rec.Body = uint64(id)
	}
	return &indexpb.Result{Pack: p.number, Body: p.rec.Body}, nil
}

// PackBodies enters bodies in an open pack whose object was verified, and drops their staged copies. A
// body that is not where it is said to come from, or does not fit its entry, counts as dead. Entries that
// were counted before are passed over: a later leader may repeat those of an earlier one.
func (l *Ledger) PackBodies(cmd *indexpb.PackBodiesCommand) (*indexpb.Result, error) {
	p, err := l.open(cmd.Pack)
	if err != nil || p == nil {
		return refuse(indexpb.Code_CODE_NO_PACK, "the pack is not open"), err
	}
	if cmd.From == cmd.Pack || len(cmd.Entries) > MaxEntries || !ascending(cmd.Entries) {
		return refuse(indexpb.Code_CODE_INVALID, "not the entries of a pack"), nil
	}
	var moved []movedBody
	for _, e := range cmd.Entries {
		if e.Offset < p.rec.Covered {
			continue
		}
		p.rec.Covered, p.dirty = e.Offset+octets(e.Lengths), true
		was, err := l.packBody(p, e, cmd.From)
		if err != nil {
			return nil, fmt.Errorf("pack body %d: %w", e.Body, err)
		}
		if was > 0 {
			moved = append(moved, movedBody{index.BodyID(e.Body), was})
		}
	}
	if cmd.Whole {
		p.rec.Size = cmd.Size
		p.become(blobstore.PackWhole, l.now)
	}
	return &indexpb.Result{}, l.dropMoved(moved)
}

// ascending reports whether entries lie one behind the other.
func ascending(entries []*indexpb.PackEntry) bool {
	at := uint64(0)
	for _, e := range entries {
		if e == nil || e.Offset < at || e.Offset > 1<<48 || len(e.Lengths) > MaxChunks {
			return false
		}
		at = e.Offset + octets(e.Lengths)
	}
	return true
}

// packBody enters one body, and returns how many chunks of it were in the state and are to be dropped.
func (l *Ledger) packBody(p *pack, e *indexpb.PackEntry, from uint64) (chunks uint32, err error) {
	id := index.BodyID(e.Body)
	rec, ok, err := readBody(l.b, id)
	if err != nil {
		return 0, err
	}
	if !ok || rec.Pack != from || !p.takes(&rec.BodyRecord, e) {
		p.rec.DeadBytes += octets(e.Lengths)
		return 0, nil
	}
	if err := l.takeOut(id, rec); err != nil {
		return 0, err
	}
	chunks = rec.inState()
	rec.Pack, rec.Offset, rec.Lengths, rec.Home = p.number, e.Offset, e.Lengths, 0
	p.enter(octets(e.Lengths))
	return chunks, writeBody(l.b, id, &rec.BodyRecord)
}

// takeOut counts a body as no longer where it is, in the state or in a pack.
func (l *Ledger) takeOut(id index.BodyID, rec *body) error {
	if rec.Pack != 0 {
		old, err := l.pack(rec.Pack)
		if err != nil {
			return err
		}
		if old == nil {
			return fmt.Errorf("body %d is in pack %d, which is missing: %w", id, rec.Pack, ErrCorrupt)
		}
		return old.leave(octets(rec.Lengths))
	}
	if counted, err := l.counted(id); err != nil || !counted || !rec.staged() {
		return err
	}
	return l.unstage(rec.Stored, 1)
}

// takes reports whether an entry of p may be that of a body.
func (p *pack) takes(rec *indexpb.BodyRecord, e *indexpb.PackEntry) bool {
	return rec.Chunks > 0 && p.fits(rec.Chunks, e.Lengths) && octets(e.Lengths)-p.overhead()*uint64(rec.Chunks) == rec.Stored
}

// fits reports whether lengths may be those of so many chunks in p.
func (p *pack) fits(chunks uint32, lengths []uint32) bool {
	if uint32(len(lengths)) != chunks {
		return false
	}
	for _, n := range lengths {
		if uint64(n) <= p.overhead() {
			return false
		}
	}
	return true
}

// AbandonPack ends a pack that stayed open.
func (l *Ledger) AbandonPack(cmd *indexpb.AbandonPackCommand) (*indexpb.Result, error) {
	p, err := l.anyPack(cmd.Pack)
	if err != nil || p == nil || p.state() != blobstore.PackOpen {
		return refuse(indexpb.Code_CODE_NO_PACK, "the pack is not open"), err
	}
	p.become(blobstore.PackWhole, l.now) // Finish dooms it where nothing is in it
	return &indexpb.Result{}, nil
}

// ForgetPacks drops the records of doomed packs. Others are passed over.
func (l *Ledger) ForgetPacks(cmd *indexpb.ForgetPacksCommand) (*indexpb.Result, error) {
	if len(cmd.Packs) > MaxEntries {
		return refuse(indexpb.Code_CODE_INVALID, "too many packs"), nil
	}
	for _, n := range cmd.Packs {
		p, err := l.anyPack(n)
		if err != nil {
			return nil, err
		}
		if p != nil && p.state() == blobstore.PackDoomed {
			p.gone = true
		}
	}
	return &indexpb.Result{}, nil
}

// anyPack is pack in any mode.
func (l *Ledger) anyPack(number uint64) (*pack, error) {
	if _, err := l.active(); err != nil {
		return nil, err
	}
	return l.pack(number)
}

// Pack reads the record of a pack, or ok false.
func Pack(r kv.Reader, number uint64) (rec *indexpb.PackRecord, ok bool, err error) {
	value, ok, err := r.Get(keys.Pack(nil, number))
	if err != nil || !ok {
		return nil, false, err
	}
	rec = new(indexpb.PackRecord)
	if err := rec.UnmarshalVT(value); err != nil {
		return nil, false, fmt.Errorf("record of pack %d: %w: %w", number, err, ErrCorrupt)
	}
	return rec, true, nil
}

// Packs calls fn with all packs of a partition, by number. The record is fn's.
func Packs(r kv.Reader, fn func(number uint64, rec *indexpb.PackRecord) error) error {
	return each(r, keys.TablePack, func(key, value []byte) error {
		n, err := keys.ReadPack(key)
		if err != nil {
			return err
		}
		rec := new(indexpb.PackRecord)
		if err := rec.UnmarshalVT(value); err != nil {
			return fmt.Errorf("record of pack %d: %w: %w", n, err, ErrCorrupt)
		}
		return fn(n, rec)
	})
}

// movedBody is a body whose chunks are not needed in the state any more.
type movedBody struct {
	id     index.BodyID
	chunks uint32
}

// manyBodies is from how many neighbours on bodies are dropped by one range: below, a range costs later reads
// more than deletions do.
const manyBodies = 64

// dropMoved deletes the chunks of bodies, those of neighbours together.
func (l *Ledger) dropMoved(moved []movedBody) error {
	slices.SortFunc(moved, func(a, b movedBody) int { return int(int64(a.id) - int64(b.id)) })
	for len(moved) > 0 {
		n := 1
		for n < len(moved) && moved[n].id == moved[n-1].id+1 {
			n++
		}
		if err := l.dropRun(moved[:n]); err != nil {
			return err
		}
		moved = moved[n:]
	}
	return nil
}

// dropRun deletes the chunks of bodies whose ids have no gap.
func (l *Ledger) dropRun(run []movedBody) error {
	if len(run) >= manyBodies {
		return l.b.DeleteRange(keys.Chunks(nil, run[0].id), keys.Chunks(nil, run[len(run)-1].id+1))
	}
	for _, m := range run {
		if err := dropChunks(l.b, m.id, m.chunks); err != nil {
			return err
		}
	}
	return nil
}
