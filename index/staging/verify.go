package staging

import (
	"fmt"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// Verifier holds the keys of bodies against the invariants of KEYS.md, by counting everything anew. What
// does not fit is ErrCorrupt. It reads all keys of bodies, and keeps the ids in memory.
type Verifier struct {
	r     kv.Reader
	blobs *indexpb.BlobRecord // nil in mode EMBEDDED

	refs    map[index.BodyID]uint64 // users of each body
	noted   uint64                  // users that are noted
	chunks  map[index.BodyID]uint32 // chunks that there ought to be in the state
	packs   map[uint64]live
	staged  live
	uploads int
}

// live is what bodies come to.
type live struct{ bytes, bodies uint64 }

// NewVerifier begins to verify the bodies of a partition.
func NewVerifier(r kv.Reader) (*Verifier, error) {
	blobs, err := Blobs(r)
	if err != nil {
		return nil, err
	}
	if blobs != nil && blobs.Mode == indexpb.BlobMode_BLOB_MODE_EMBEDDED {
		if blobs.StagedBytes != 0 || blobs.StagedBodies != 0 || cursor(blobs) != (User{}) {
			return nil, fmt.Errorf("bodies are counted at home: %v: %w", blobs, ErrCorrupt)
		}
		blobs = nil
	}
	return &Verifier{
		r: r, blobs: blobs, refs: make(map[index.BodyID]uint64), chunks: make(map[index.BodyID]uint32), packs: make(map[uint64]live),
	}, nil
}

// User takes in that a message has a body. It is called for every message.
func (v *Verifier) User(id index.BodyID, u User) error {
	v.refs[id]++
	if v.blobs == nil {
		return nil
	}
	_, noted, err := v.r.Get(keys.User(nil, id, u.Account, u.Mailbox, u.UID))
	if err != nil {
		return err
	}
	if noted {
		v.noted++
	} else if !before(cursor(v.blobs), u) {
		return fmt.Errorf("%+v is not noted as a user of body %d: %w", u, id, ErrCorrupt)
	}
	return nil
}

// before reports whether a is before b in the order of keys.
func before(a, b User) bool {
	if a.Account != b.Account {
		return a.Account < b.Account
	}
	if a.Mailbox != b.Mailbox {
		return a.Mailbox < b.Mailbox
	}
	return a.UID < b.UID
}

// Finish holds everything against the users that were taken in.
func (v *Verifier) Finish() error {
	for _, step := range []func() error{v.users, v.bodies, v.uploaded, v.inState, v.packed} {
		if err := step(); err != nil {
			return fmt.Errorf("bodies (%d uploads): %w", v.uploads, err)
		}
	}
	if v.blobs != nil && (v.blobs.StagedBytes != v.staged.bytes || v.blobs.StagedBodies != v.staged.bodies) {
		return fmt.Errorf("%d octets of %d bodies are staged, %d of %d by the record: %w",
			v.staged.bytes, v.staged.bodies, v.blobs.StagedBytes, v.blobs.StagedBodies, ErrCorrupt)
	}
	return nil
}

// users counts what is noted of users: what was not found from a message is of none.
func (v *Verifier) users() error {
	noted := uint64(0)
	err := each(v.r, keys.TableUser, func(_, _ []byte) error { noted++; return nil })
	if err == nil && noted != v.noted {
		err = fmt.Errorf("%d users of bodies are noted, %d are there: %w", noted, v.noted, ErrCorrupt)
	}
	return err
}

func (v *Verifier) bodies() error {
	found := 0
	err := each(v.r, keys.TableBody, func(key, value []byte) error {
		id, err := keys.ReadBody(key)
		if err != nil {
			return err
		}
		rec := new(body)
		if err := rec.UnmarshalVT(value); err != nil {
			return fmt.Errorf("record of body %d: %w: %w", id, err, ErrCorrupt)
		}
		found++
		v.chunks[id] = rec.inState()
		if rec.Refs == 0 || rec.Refs != v.refs[id] {
			return fmt.Errorf("body %d has %d users by its record, %d in mailboxes: %w", id, rec.Refs, v.refs[id], ErrCorrupt)
		}
		return v.body(id, rec)
	})
	if err == nil && found != len(v.refs) {
		err = fmt.Errorf("%d bodies, %d are used: %w", found, len(v.refs), ErrCorrupt)
	}
	return err
}

// body counts a body where it is.
func (v *Verifier) body(id index.BodyID, rec *body) error {
	if rec.Pack == 0 {
		if rec.Offset != 0 || len(rec.Lengths) != 0 || rec.Home != 0 {
			return fmt.Errorf("body %d is staged, with a place in a pack: %w", id, ErrCorrupt)
		}
		counted := v.blobs != nil && rec.staged()
		if counted && !listed(v.blobs) {
			var err error
			if counted, err = isUsed(v.r, id); err != nil {
				return err
			}
		}
		if counted {
			v.staged.bytes += rec.Stored
			v.staged.bodies++
		}
		return nil
	}
	if rec.Chunks == 0 || rec.Home >= rec.Chunks || uint32(len(rec.Lengths)) != rec.Chunks || octets(rec.Lengths) <= rec.Stored {
		return fmt.Errorf("body %d of %d chunks has %d of %d octets in pack %d, %d at home: %w",
			id, rec.Chunks, len(rec.Lengths), octets(rec.Lengths), rec.Pack, rec.Home, ErrCorrupt)
	}
	p := v.packs[rec.Pack]
	p.bytes += octets(rec.Lengths)
	p.bodies++
	v.packs[rec.Pack] = p
	return nil
}

func (v *Verifier) uploaded() error {
	return each(v.r, keys.TableUpload, func(_, value []byte) error {
		var rec indexpb.UploadRecord
		if err := rec.UnmarshalVT(value); err != nil {
			return fmt.Errorf("upload record: %w: %w", err, ErrCorrupt)
		}
		v.uploads++
		if v.blobs != nil {
			v.staged.bytes += rec.Stored
		}
		if _, used := v.chunks[index.BodyID(rec.BodyId)]; used {
			return fmt.Errorf("body %d is an upload too: %w", rec.BodyId, ErrCorrupt)
		}
		v.chunks[index.BodyID(rec.BodyId)] = rec.Chunks
		return nil
	})
}

// inState counts chunks down; what is left is missing, what is not there belongs to nothing.
func (v *Verifier) inState() error {
	err := each(v.r, keys.TableChunk, func(key, _ []byte) error {
		id, err := keys.ReadBody(key)
		if err != nil {
			return err
		}
		if v.chunks[id] == 0 {
			return fmt.Errorf("chunk %x belongs to no body: %w", key, ErrCorrupt)
		}
		v.chunks[id]--
		return nil
	})
	if err != nil {
		return err
	}
	for id, left := range v.chunks {
		if left > 0 {
			return fmt.Errorf("body %d lacks %d chunks: %w", id, left, ErrCorrupt)
		}
	}
	return nil
}

// packed holds the records of packs against the bodies in them.
func (v *Verifier) packed() error {
	err := Packs(v.r, func(n uint64, rec *indexpb.PackRecord) error {
		p, state := v.packs[n], blobstore.PackState(rec.State)
		delete(v.packs, n)
		if p.bytes != rec.LiveBytes || p.bodies != rec.LiveBodies || state < blobstore.PackOpen || state > blobstore.PackDoomed ||
			state == blobstore.PackWhole && p.bodies == 0 || state == blobstore.PackDoomed && p.bodies > 0 {
			return fmt.Errorf("pack %d has %d octets of %d bodies, by its record %v: %w", n, p.bytes, p.bodies, rec, ErrCorrupt)
		}
		return nil
	})
	if err == nil && len(v.packs) > 0 {
		err = fmt.Errorf("bodies are in %d packs that are not there: %w", len(v.packs), ErrCorrupt)
	}
	return err
}

// each calls fn with all keys of a table.
func each(r kv.Reader, t keys.Table, fn func(key, value []byte) error) error {
	prefix := keys.Whole(nil, t)
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			return err
		}
		if err := fn(it.Key(), value); err != nil {
			return err
		}
	}
	return it.Error()
}
