package engine

import (
	"context"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/uidset"
)

// storeBatch is how many messages one change of flags takes at a time, so that each has one
// modification sequence.
const storeBatch = 1000

// store is STORE (RFC 9051, section 6.4.6; RFC 7162, section 3.1.3).
func (s *Session) store(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Store)
	uids, err := s.view.Resolve(a.Set, cmd.UID)
	if err != nil {
		return reply{}, err
	}
	if s.readOnly {
		return reply{}, errReadOnly
	}
	uids, part := s.highest(uids)
	req := access.StoreRequest{Op: storeOp(a.Op)}
	if req.Flags, req.Keywords, err = parseFlags(a.Flags); err != nil {
		return reply{}, err
	}
	if a.UnchangedSince != nil {
		s.useCondStore()
		since := index.ModSeq(*a.UnchangedSince)
		req.UnchangedSince = &since
	}
	if a.Silent {
		// Else what others did just before would go unsaid together with what we do.
		if err := s.sync(ctx, cmd.UID, cmd.UID); err != nil {
			return reply{}, err
		}
	}
	own, modified, err := s.storePermitted(ctx, uids, req)
	if err != nil {
		return reply{}, err
	}
	if !a.Silent && uids.Len() >= bulkFrom {
		s.w.Bulk()
	}
	if err := s.echo(ctx, cmd.UID, a.Silent, uids, modified, own); err != nil {
		return reply{}, err
	}
	switch {
	case modified.Len() > 0:
		return s.partial(part, s.modified(modified, cmd.UID), nil)
	case !cmd.UID && s.view.Gone(uids):
		return s.partial(part, reply{}, errExpunged)
	}
	return s.partial(part, reply{}, nil)
}

func storeOp(op wire.StoreOp) access.FlagOp {
	switch op {
	case wire.StoreAdd:
		return access.Add
	case wire.StoreRemove:
		return access.Remove
	}
	return access.Set
}

// storeFlags changes the flags of uids, some at a time, those of the highest UIDs first (RFC 9738, section 3.1).
func (s *Session) storeFlags(ctx context.Context, uids *uidset.Set, req access.StoreRequest) (own []told, modified *uidset.Set, err error) {
	modified = uidset.New()
	for batch := range downward(uids, storeBatch) {
		s.dirty = true
		req.UIDs = batch
		res, err := s.box.Store(ctx, req)
		if err != nil {
			return nil, nil, err
		}
		if res.Modified != nil {
			modified.Union(res.Modified)
		}
		if res.Changed != nil && res.Changed.Len() > 0 {
			own = append(own, told{uids: res.Changed, modSeq: res.ModSeq})
		}
	}
	return own, modified, nil
}

// echo tells the flags after a STORE. Without .SILENT all messages of the set are told, changed or not.
// With it only what others did, except that with CONDSTORE the new modification sequences are told.
func (s *Session) echo(ctx context.Context, uid, silent bool, uids, modified *uidset.Set, own []told) error {
	if silent && !s.enabled.condStore {
		return s.sync(ctx, uid, uid, own...)
	}
	done, err := s.syncKnown(ctx, uid, uid, nil)
	if err != nil || silent {
		return err
	}
	rest := uids.Clone()
	rest.Subtract(done)
	rest.Subtract(modified)
	return s.box.Flags(ctx, rest, func(u index.UID, st index.FlagState) error {
		if n := s.view.Seq(u); n != 0 {
			s.tellFlags(n, u, st, uid)
		}
		return s.w.Err()
	})
}

// modified is the reply to a STORE that UNCHANGEDSINCE refused for some messages.
func (s *Session) modified(set *uidset.Set, uid bool) reply {
	b := []byte("MODIFIED ")
	if uid {
		b = appendRanges(b, set.Ranges())
		return ok(string(b), "conditional STORE failed for some")
	}
	seqs := func(yield func(index.UIDRange) bool) {
		for lo, hi := range s.view.Seqs(set) {
			if !yield(index.UIDRange{Lo: index.UID(lo), Hi: index.UID(hi)}) {
				return
			}
		}
	}
	return ok(string(appendRanges(b, seqs)), "conditional STORE failed for some")
}
