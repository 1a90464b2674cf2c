package staging

import (
	"fmt"

	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// SetMode says where bodies are to be: in packs (BLOB_MODE_LISTING), or at home (BLOB_MODE_HOMING).
// Whoever is on the way turns round; homing ends when it is said again and no body is in a pack, or by
// BLOB_MODE_EMBEDDED, which turns nobody round: who brings bodies home may be told otherwise meanwhile.
func (l *Ledger) SetMode(cmd *indexpb.SetBlobModeCommand) (*indexpb.Result, error) {
	rec, err := l.active()
	if err != nil {
		return nil, err
	}
	switch cmd.Mode {
	case indexpb.BlobMode_BLOB_MODE_LISTING:
		if rec == nil {
			return &indexpb.Result{}, l.leaveHome()
		}
		if rec.Mode == indexpb.BlobMode_BLOB_MODE_HOMING {
			rec.Mode, l.dirty = indexpb.BlobMode_BLOB_MODE_LISTING, true
			if listed(rec) {
				rec.Mode = indexpb.BlobMode_BLOB_MODE_PACKED
			}
		}
		return &indexpb.Result{}, nil
	case indexpb.BlobMode_BLOB_MODE_HOMING:
		if rec == nil {
			return &indexpb.Result{}, nil
		}
		rec.Mode, l.dirty = indexpb.BlobMode_BLOB_MODE_HOMING, true
		away, err := l.away()
		if err != nil || away {
			return &indexpb.Result{More: away}, err
		}
		return &indexpb.Result{}, l.arrive()
	case indexpb.BlobMode_BLOB_MODE_EMBEDDED:
		if rec == nil || rec.Mode != indexpb.BlobMode_BLOB_MODE_HOMING {
			return &indexpb.Result{}, nil
		}
		away, err := l.away()
		if err != nil || away {
			return &indexpb.Result{More: away}, err
		}
		return &indexpb.Result{}, l.arrive()
	}
	return refuse(indexpb.Code_CODE_INVALID, "bodies are to be in packs or at home"), nil
}

// leaveHome begins to list the users of bodies.
func (l *Ledger) leaveHome() error {
	if l.blobs == nil {
		l.blobs = new(indexpb.BlobRecord)
	}
	l.blobs.Mode, l.dirty = indexpb.BlobMode_BLOB_MODE_LISTING, true
	return each(l.b, keys.TableUpload, func(_, value []byte) error {
		var rec indexpb.UploadRecord
		if err := rec.UnmarshalVT(value); err != nil {
			return fmt.Errorf("upload record: %w: %w", err, ErrCorrupt)
		}
		l.stage(rec.Stored, 0)
		return nil
	})
}

// away reports whether any body is in a pack.
func (l *Ledger) away() (bool, error) {
	prefix := keys.Whole(nil, keys.TablePack)
	it, err := l.b.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return false, fmt.Errorf("scan packs: %w", err)
	}
	defer it.Close()
	var rec indexpb.PackRecord
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			return false, fmt.Errorf("read pack: %w", err)
		}
		rec.Reset()
		if err := rec.UnmarshalVT(value); err != nil {
			return false, fmt.Errorf("record of a pack: %w: %w", err, ErrCorrupt)
		}
		if rec.LiveBodies > 0 {
			return true, nil
		}
	}
	return false, it.Error()
}

// arrive ends homing. What is left is the record, for the numbers of packs, and packs whose objects are
// yet to be deleted.
func (l *Ledger) arrive() error {
	*l.blobs, l.dirty = indexpb.BlobRecord{LastPack: l.blobs.LastPack}, true
	prefix := keys.Whole(nil, keys.TableUser)
	return l.b.DeleteRange(prefix, keys.After(nil, prefix))
}
