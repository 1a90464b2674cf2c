package staging

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// maxDropped bounds the uploads that one DropUploads removes.
const maxDropped = 256

// Stage keeps one chunk of an upload. Chunks come in any order; one that is there already is left as
// it is, so that a sender may repeat itself.
func (l *Ledger) Stage(cmd *indexpb.StageChunkCommand) (*indexpb.Result, error) {
	b := l.b
	if len(cmd.UploadId) != keys.UploadIDSize || len(cmd.Chunk) == 0 || cmd.Seq >= MaxChunks {
		return &indexpb.Result{Code: indexpb.Code_CODE_INVALID, Text: "not a chunk of an upload"}, nil
	}
	rec, ok, err := readUpload(b, cmd.UploadId)
	if err != nil {
		return nil, err
	}
	if !ok {
		id, err := nextBody(b)
		if err != nil {
			return nil, err
		}
		rec = &indexpb.UploadRecord{BodyId: uint64(id)}
	}
	rec.Touched = l.now
	key := keys.Chunk(nil, index.BodyID(rec.BodyId), cmd.Seq)
	if _, there, err := b.Get(key); err != nil {
		return nil, fmt.Errorf("read staged chunk: %w", err)
	} else if !there {
		rec.Chunks++
		rec.Last = max(rec.Last, cmd.Seq)
		rec.Stored += uint64(len(cmd.Chunk))
		if err := b.Set(key, cmd.Chunk); err != nil {
			return nil, err
		}
		if blobs, err := l.active(); err != nil {
			return nil, err
		} else if blobs != nil {
			l.stage(uint64(len(cmd.Chunk)), 0)
		}
	}
	value, err := rec.MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("encode upload: %w", err)
	}
	return &indexpb.Result{}, b.Set(keys.Upload(nil, cmd.UploadId), value)
}

// DropUploads removes uploads that nothing was added to since the command's time, as those of a
// sender that is gone. It removes a bounded number and says in the result whether more are left.
func (l *Ledger) DropUploads(cmd *indexpb.DropUploadsCommand) (*indexpb.Result, error) {
	b := l.b
	stale, err := staleUploads(b, cmd.UntouchedSince)
	if err != nil {
		return nil, err
	}
	blobs, err := l.active()
	if err != nil {
		return nil, err
	}
	res := &indexpb.Result{More: len(stale) > maxDropped}
	for _, u := range stale[:min(len(stale), maxDropped)] {
		if err := b.Delete(u.key); err != nil {
			return nil, err
		}
		if blobs != nil {
			if err := l.unstage(u.stored, 0); err != nil {
				return nil, err
			}
		}
		prefix := keys.Chunks(nil, u.body)
		if err := b.DeleteRange(prefix, keys.After(nil, prefix)); err != nil {
			return nil, err
		}
	}
	return res, nil
}

type stale struct {
	key    []byte
	body   index.BodyID
	stored uint64
}

// staleUploads returns up to maxDropped+1 uploads that were last touched before since.
func staleUploads(r kv.Reader, since int64) (found []stale, err error) {
	prefix := keys.Whole(nil, keys.TableUpload)
	it, err := r.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return nil, fmt.Errorf("scan uploads: %w", err)
	}
	defer it.Close()
	for ok := it.First(); ok && len(found) <= maxDropped; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			return nil, fmt.Errorf("read upload: %w", err)
		}
		var rec indexpb.UploadRecord
		if err := rec.UnmarshalVT(value); err != nil {
			return nil, fmt.Errorf("upload record: %w: %w", err, ErrCorrupt)
		}
		if rec.Touched < since {
			found = append(found, stale{append([]byte(nil), it.Key()...), index.BodyID(rec.BodyId), rec.Stored})
		}
	}
	return found, it.Error()
}

func readUpload(r kv.Reader, id []byte) (*indexpb.UploadRecord, bool, error) {
	value, ok, err := r.Get(keys.Upload(nil, id))
	if err != nil || !ok {
		return nil, false, err
	}
	rec := new(indexpb.UploadRecord)
	if err := rec.UnmarshalVT(value); err != nil {
		return nil, false, fmt.Errorf("upload record: %w: %w", err, ErrCorrupt)
	}
	return rec, true, nil
}
