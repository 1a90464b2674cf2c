package engine

import (
	"context"
	"io"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/uidset"
)

// transfer copies or moves messages to a place. Within an account, where all flags may go along, that is
// one step of the store; else the messages are read and filed anew, and a move then expunges them.
func (s *Session) transfer(ctx context.Context, uids *uidset.Set, to place, move bool) (access.CopyResult, error) {
	whole := !to.shared || flagsOf(to.rights) == flagsOf(index.AllRights)
	switch {
	case to.owner == s.at.owner && whole && move:
		return s.box.Move(ctx, uids, to.name)
	case to.owner == s.at.owner && whole:
		return s.box.Copy(ctx, uids, to.name)
	}
	out, err := s.copyAcross(ctx, uids, to)
	if err != nil || !move {
		return out, err
	}
	moved := uidset.New()
	for _, r := range out.From {
		moved.AddRange(r.Lo, r.Hi)
	}
	if _, _, err := s.storeFlags(ctx, moved, access.StoreRequest{Op: access.Add, Flags: index.FlagDeleted}); err != nil {
		return out, err
	}
	_, err = s.box.Expunge(ctx, moved)
	return out, err
}

// acrossBatch is how many messages are filed in another account at a time, all or none.
const acrossBatch = 100

// copyAcross files messages of the selected mailbox in another account.
func (s *Session) copyAcross(ctx context.Context, uids *uidset.Set, to place) (out access.CopyResult, err error) {
	for batch := range uids.Batches(acrossBatch) {
		if err := s.copyBatch(ctx, batch, to, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (s *Session) copyBatch(ctx context.Context, uids *uidset.Set, to place, out *access.CopyResult) error {
	var messages []Incoming
	var options []access.AppendOptions
	var from []index.UIDRange
	defer func() {
		for _, in := range messages {
			in.Discard()
		}
	}()
	room := heldAppends
	err := s.box.Bodies(ctx, uids, func(m access.Message, body access.Body) error {
		in := to.account.NewIncoming(ctx)
		messages = append(messages, in)
		options = append(options, to.keepFlags(access.AppendOptions{Flags: m.State.System, Keywords: m.State.Keywords, InternalDate: m.InternalDate}))
		from = append(from, index.UIDRange{Lo: m.UID, Hi: m.UID})
		if _, err := io.Copy(in, io.NewSectionReader(body, 0, body.Size())); err != nil {
			return err
		}
		held, err := in.Park(room)
		room -= held
		return err
	})
	if err != nil || len(messages) == 0 {
		return err
	}
	res, err := to.account.AppendAll(ctx, to.name, messages, options)
	if err != nil {
		return err
	}
	out.UIDValidity = res.UIDValidity
	out.From, out.To = append(out.From, from...), append(out.To, res.To...)
	return nil
}
