package mailstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
)

// LargeBody is a body on its way into object storage before its message is committed; a
// packer.Single is one. Add and Close are for one goroutine, the rest for any number of them in between.
type LargeBody interface {
	// Add keeps the next compressed chunk, which is the caller's again when it returns.
	Add(frame []byte) error
	// Frames calls fn with all chunks, in order.
	Frames(fn func(frame []byte) error) error
	// Put makes the body a pack of its own in a partition, and returns once that reads back as it was put.
	// begin notes the pack in the log and returns the id of the body, which m describes. What the
	// store cannot do is blobstore.ErrUnavailable or blobstore.ErrDamaged.
	Put(ctx context.Context, group uint16, m *blobstore.Manifest, begin func(blobstore.Pack) (body uint64, err error)) (blobstore.Entry, int64, error)
	// Close gives up what is held here. It is harmless when repeated.
	Close()
}

// errNoPack says that the pack of a body is not open any more. It is temporary: the message goes another
// way when it is sent again.
var errNoPack = fmt.Errorf("the pack of the message is not open any more: %w", cluster.ErrUnavailable)

// aPack is where a large body lies in a partition.
type aPack struct {
	number uint64
	entry  *indexpb.PackEntry
	size   uint64
}

// goLarge sends what is above the inline limit to object storage, where that is in use and answers.
func (in *Incoming) goLarge() {
	if in.store.c.Large == nil {
		in.stage()
		return
	}
	large, err := in.store.c.Large()
	if err != nil {
		if !errors.Is(err, blobstore.ErrUnavailable) {
			in.store.c.Logger.Warn("a large message goes through the log", "err", err)
		}
		in.stage()
		return
	}
	in.large = large
	for i, f := range in.frames {
		in.frames[i] = nil
		in.send(f)
	}
	in.frames, in.held = nil, 0
}

// send sends a chunk of a message that is above the inline limit on its way.
func (in *Incoming) send(frame []byte) {
	if in.upload == nil {
		err := in.large.Add(frame)
		if err == nil {
			return
		}
		in.store.c.Logger.Warn("a large message goes through the log", "err", err)
		in.throughLog(in.partitions())
		in.large.Close()
		in.large = nil
	}
	in.upload.send(frame)
}

// partitions are those of all accounts that the message may go to.
func (in *Incoming) partitions() map[cluster.GroupID]bool {
	all := make(map[cluster.GroupID]bool)
	for _, g := range in.groups {
		all[g] = true
	}
	return all
}

// throughLog stages in some partitions what was given to in.large.
func (in *Incoming) throughLog(groups map[cluster.GroupID]bool) {
	in.upload = newUpload(in.ctx, in.store, groups)
	err := in.large.Frames(func(frame []byte) error {
		in.upload.send(frame)
		return in.ctx.Err()
	})
	if err != nil {
		for g := range groups {
			in.upload.fail(g, err)
		}
	}
}

// settle brings a large body to where the command for each partition can refer to it: into a pack, or,
// where the store does not take it, through the log. It does nothing for other messages.
func (in *Incoming) settle(ctx context.Context, receivers map[cluster.GroupID][]receiver) {
	if in.large != nil && in.upload == nil {
		if failed := in.placeAll(ctx, receivers); len(failed) > 0 {
			in.throughLog(failed)
		}
	}
	if in.upload != nil {
		in.upload.wait()
	}
}

// placeAll makes the body a pack of its own in each partition where it is none yet, at once, and returns where
// that failed.
func (in *Incoming) placeAll(ctx context.Context, receivers map[cluster.GroupID][]receiver) (failed map[cluster.GroupID]bool) {
	var (
		mu      sync.Mutex // guards failed and placed
		placed  = maps.Clone(in.placed)
		running sync.WaitGroup
	)
	if placed == nil {
		placed = make(map[cluster.GroupID]*aPack)
	}
	failed = make(map[cluster.GroupID]bool)
	store, cancel := in.storeTime(ctx)
	defer cancel()
	for g, to := range receivers {
		if in.placed[g] != nil {
			continue
		}
		running.Go(func() {
			p, err := in.place(store, g, to)
			if err != nil && p != nil {
				in.store.abandon(ctx, g, p.number)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				in.store.c.Logger.Warn("a large message goes through the log", "partition", g, "err", err)
				failed[g] = true
				return
			}
			placed[g] = p
		})
	}
	running.Wait()
	in.placed = placed
	return failed
}

// receiver is where a message goes, for a pack's manifest.
type receiver struct {
	account  index.AccountID
	mailbox  string
	flags    uint32
	keywords []string
}

// storeTime bounds what the store may take: a third of the time that there is, so that the rest is enough
// for the log.
func (in *Incoming) storeTime(ctx context.Context) (context.Context, context.CancelFunc) {
	end, limited := ctx.Deadline()
	if !limited {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/3)
}

// place makes the body a pack of its own in a partition. With an error the pack may have been begun.
func (in *Incoming) place(ctx context.Context, g cluster.GroupID, to []receiver) (*aPack, error) {
	p := new(aPack)
	begin := func(ref blobstore.Pack) (uint64, error) {
		cmd := &indexpb.BeginPackCommand{Id: ref.ID[:], SealedKey: ref.SealedKey, Own: true}
		if ref.Key != (blobstore.KeyID{}) {
			cmd.Key = ref.Key[:]
		}
		res, _, err := in.store.propose(ctx, g, command.BeginPack, cmd)
		if err == nil {
			err = codeError(res.Code, res.Text)
		}
		if err != nil {
			return 0, err
		}
		p.number = res.Pack
		return res.Body, nil
	}
	entry, size, err := in.large.Put(ctx, uint16(g), in.manifest(g, to), begin)
	if err != nil {
		return p, err
	}
	p.entry = &indexpb.PackEntry{Body: entry.Body, Offset: entry.Offset, Lengths: entry.Lengths}
	p.size = uint64(size)
	return p, nil
}

// abandon ends a pack that nothing will refer to, if there is one. Where that fails it is found by its age.
func (s *Store) abandon(ctx context.Context, g cluster.GroupID, number uint64) {
	if number == 0 {
		return
	}
	if _, _, err := s.propose(ctx, g, command.AbandonPack, &indexpb.AbandonPackCommand{Pack: number}); err != nil {
		s.c.Logger.Info("the pack of a large message stays open for now", "partition", g, "pack", number, "err", err)
	}
}

// manifest says whose the body is. UIDs are given out with the message, and stay 0.
func (in *Incoming) manifest(g cluster.GroupID, to []receiver) *blobstore.Manifest {
	m := &blobstore.Manifest{Group: uint16(g)}
	body := blobstore.Body{Size: uint64(in.size + in.trace), ChunkSize: uint32(in.store.c.ChunkSize)}
	accounts := make(map[index.AccountID]int)
	for _, r := range to {
		a, known := accounts[r.account]
		if !known {
			a = len(m.Accounts)
			accounts[r.account] = a
			m.Accounts = append(m.Accounts, blobstore.Account{ID: uint64(r.account), Address: in.store.c.Address(r.account)})
		}
		box := in.store.describe(g, r)
		box.Account = a
		user := blobstore.User{
			Mailbox: len(m.Mailboxes), Flags: r.flags,
			InternalDate: time.UnixMilli(in.summary.InternalDate).UTC(), SaveDate: in.store.c.Clock().UTC().Truncate(time.Millisecond),
		}
		for i := range r.keywords {
			user.Keywords = append(user.Keywords, uint32(i))
		}
		m.Mailboxes = append(m.Mailboxes, box)
		body.Users = append(body.Users, user)
	}
	m.Bodies = []blobstore.Body{body}
	return m
}

// describe says what is known of the mailbox of a receiver: perhaps it is yet to be made.
func (s *Store) describe(g cluster.GroupID, r receiver) blobstore.Mailbox {
	out := blobstore.Mailbox{Name: r.mailbox, Keywords: r.keywords}
	err := s.moment(g, func(k kv.Reader) error {
		id, ok, err := mailbox.Find(k, r.account, r.mailbox)
		if err != nil || !ok {
			return err
		}
		m, ok, err := mailbox.Load(k, r.account, id)
		if err == nil && ok {
			out.ID, out.UIDValidity, out.SpecialUse, out.Subscribed = uint32(id), m.UIDValidity, uint32(m.SpecialUse), m.Subscribed
		}
		return err
	})
	if err != nil && !errors.Is(err, cluster.ErrNoReplica) {
		s.c.Logger.Info("a manifest has a mailbox by its name alone", "account", r.account, "err", err)
	}
	return out
}

// settleAppend settles message n of a command that files messages, and has the command refer to it.
func (in *Incoming) settleAppend(ctx context.Context, g cluster.GroupID, cmd *indexpb.AppendCommand, n int) error {
	m := cmd.Messages[n]
	in.settle(ctx, map[cluster.GroupID][]receiver{g: {{index.AccountID(cmd.Account), cmd.Mailbox, m.SystemFlags, m.Keywords}}})
	m.Body = in.body(g)
	return in.ready(g)
}

// unplace abandons the pack of a message that was refused: one of which it is not known whether it was
// committed is found by its age.
func (in *Incoming) unplace(ctx context.Context, g cluster.GroupID, err error) {
	if p := in.placed[g]; p != nil && !errors.Is(err, cluster.ErrUnavailable) && ctx.Err() == nil {
		in.store.abandon(ctx, g, p.number)
	}
}

// receivers are the targets of parts.
func receivers(parts map[cluster.GroupID]*part) map[cluster.GroupID][]receiver {
	all := make(map[cluster.GroupID][]receiver, len(parts))
	for g, p := range parts {
		all[g] = nil // there may be none: see Also
		for _, t := range p.targets {
			all[g] = append(all[g], receiver{index.AccountID(t.Account), t.Mailbox, t.SystemFlags, t.Keywords})
		}
	}
	return all
}
