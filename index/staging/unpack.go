package staging

import (
	"fmt"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// UnpackBody brings chunks of a packed body back into the state, in order; those that are there already
// are passed over. With the last one the body is staged again, and dead in its pack. A body that is
// not in the pack any more is left as it is.
func (l *Ledger) UnpackBody(cmd *indexpb.UnpackBodyCommand) (*indexpb.Result, error) {
	blobs, err := l.active()
	if err != nil {
		return nil, err
	}
	if blobs == nil || blobs.Mode != indexpb.BlobMode_BLOB_MODE_HOMING {
		return refuse(indexpb.Code_CODE_INVALID, "bodies are not on their way home"), nil
	}
	id := index.BodyID(cmd.Body)
	rec, ok, err := readBody(l.b, id)
	if err != nil {
		return nil, err
	}
	if !ok || rec.Pack == 0 || rec.Pack != cmd.Pack {
		return &indexpb.Result{}, nil
	}
	if text := rec.refusesHome(cmd); text != "" {
		return refuse(indexpb.Code_CODE_INVALID, text), nil
	}
	for i, c := range cmd.Chunks {
		if n := cmd.First + uint32(i); n == rec.Home {
			if err := l.b.Set(keys.Chunk(l.key[:0], id, n), c); err != nil {
				return nil, err
			}
			rec.Home++
		}
	}
	if rec.Home == rec.Chunks {
		if err := l.comeHome(id, rec); err != nil {
			return nil, fmt.Errorf("bring body %d home: %w", id, err)
		}
	}
	return &indexpb.Result{}, writeBody(l.b, id, &rec.BodyRecord)
}

// refusesHome says why chunks cannot be the next of a packed body, or nothing. In the pack each has the same
// number of octets more.
func (rec *body) refusesHome(cmd *indexpb.UnpackBodyCommand) string {
	if cmd.First > rec.Home || uint64(cmd.First)+uint64(len(cmd.Chunks)) > uint64(rec.Chunks) {
		return "chunks out of order"
	}
	more := (octets(rec.Lengths) - rec.Stored) / uint64(rec.Chunks)
	for i, c := range cmd.Chunks {
		if uint64(len(c))+more != uint64(rec.Lengths[int(cmd.First)+i]) {
			return "a chunk of another length than in the pack"
		}
	}
	return ""
}

// comeHome makes a body staged again.
func (l *Ledger) comeHome(id index.BodyID, rec *body) error {
	if err := l.takeOut(id, rec); err != nil {
		return err
	}
	rec.Pack, rec.Offset, rec.Lengths, rec.Home = 0, 0, nil, 0
	counted, err := l.counted(id)
	if err == nil && counted {
		l.stage(rec.Stored, 1)
	}
	return err
}
