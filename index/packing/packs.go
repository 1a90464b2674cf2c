package packing

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/staging"
)

// OwnFor is how long a pack that was begun for one large body is left to whoever brings the message.
const OwnFor = time.Hour

// maxEntries is how many octets of entries one command has.
const maxEntries = 400 << 10

// SetMode says where bodies are to be: in object storage, or at home.
func (p *Partition) SetMode(ctx context.Context, object bool) error {
	cmd := &indexpb.SetBlobModeCommand{Mode: indexpb.BlobMode_BLOB_MODE_HOMING}
	if object {
		cmd.Mode = indexpb.BlobMode_BLOB_MODE_LISTING
	}
	_, err := p.propose(ctx, command.SetBlobMode, cmd)
	return err
}

// Arrive ends homing when no body is in a pack any more, and does nothing before, or in another mode: bodies
// may be to go back into packs meanwhile.
func (p *Partition) Arrive(ctx context.Context) error {
	cmd := &indexpb.SetBlobModeCommand{Mode: indexpb.BlobMode_BLOB_MODE_EMBEDDED}
	_, err := p.propose(ctx, command.SetBlobMode, cmd)
	return err
}

// ListUsers notes the users of a bounded number of bodies (blobstore.Listing), and says whether there
// are more.
func (p *Partition) ListUsers(ctx context.Context) (more bool, err error) {
	res, err := p.propose(ctx, command.ListUsers, new(indexpb.ListUsersCommand))
	if err != nil {
		return false, err
	}
	return res.More, nil
}

// Packs tells of all packs, by number. One that was begun for a large body is left out while it is open
// and younger than OwnFor: its object is being made elsewhere.
func (p *Partition) Packs(context.Context) (all []blobstore.PackInfo, err error) {
	now := p.c.Clock()
	err = p.read(func(r kv.Reader) error {
		all = nil
		return staging.Packs(r, func(number uint64, rec *indexpb.PackRecord) error {
			info, err := p.info(number, rec)
			if err != nil {
				return err
			}
			if rec.Body == 0 || info.State != blobstore.PackOpen || now.Sub(info.Created) >= OwnFor {
				all = append(all, info)
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("packs of %v: %w", p.c.Group, err)
	}
	return all, nil
}

// Begin notes that a pack's object is about to be made, and returns the pack's number.
func (p *Partition) Begin(ctx context.Context, ref blobstore.Pack) (number uint64, err error) {
	res, err := p.propose(ctx, command.BeginPack, beginCommand(ref))
	if err != nil {
		return 0, err
	}
	return res.Pack, nil
}

// BeginOwn is Begin of a pack for one body that comes with its message, and returns the id that the body
// will have too.
func (p *Partition) BeginOwn(ctx context.Context, ref blobstore.Pack) (number, body uint64, err error) {
	cmd := beginCommand(ref)
	cmd.Own = true
	res, err := p.propose(ctx, command.BeginPack, cmd)
	if err != nil {
		return 0, 0, err
	}
	return res.Pack, res.Body, nil
}

func beginCommand(ref blobstore.Pack) *indexpb.BeginPackCommand {
	cmd := &indexpb.BeginPackCommand{Id: ref.ID[:], SealedKey: ref.SealedKey}
	if ref.Key != (blobstore.KeyID{}) {
		cmd.Key = ref.Key[:]
	}
	return cmd
}

// Packed says that bodies lie in a pack. Entries come by offset, from one call for a pack to the next; those
// that were said before are passed over. Bodies that are not in the pack from (0: staged) any more count
// as dead. whole: these were the last, the object has size octets. ErrNoPack where the pack is not open.
func (p *Partition) Packed(ctx context.Context, number uint64, entries []blobstore.Entry, from uint64, whole bool, size uint64) error {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b blobstore.Entry) int { return cmp.Compare(a.Offset, b.Offset) })
	if len(entries) == 0 && !whole {
		return nil
	}
	for {
		cmd := &indexpb.PackBodiesCommand{Pack: number, From: from}
		n := 0
		for octets := 0; n < len(entries) && n < staging.MaxEntries; n++ {
			e := &indexpb.PackEntry{Body: entries[n].Body, Offset: entries[n].Offset, Lengths: entries[n].Lengths}
			if octets += e.SizeVT() + 4; octets > maxEntries && n > 0 {
				break
			}
			cmd.Entries = append(cmd.Entries, e)
		}
		entries = entries[n:]
		if len(entries) == 0 {
			cmd.Whole, cmd.Size = whole, size
		}
		if _, err := p.propose(ctx, command.PackBodies, cmd); err != nil {
			return err
		}
		if len(entries) == 0 {
			return nil
		}
	}
}

// Abandon ends a pack that stayed open, or returns ErrNoPack.
func (p *Partition) Abandon(ctx context.Context, number uint64) error {
	_, err := p.propose(ctx, command.AbandonPack, &indexpb.AbandonPackCommand{Pack: number})
	return err
}

// Forget drops the records of doomed packs whose objects are deleted. Others are passed over.
func (p *Partition) Forget(ctx context.Context, numbers []uint64) error {
	for batch := range slices.Chunk(numbers, staging.MaxEntries) {
		if _, err := p.propose(ctx, command.ForgetPacks, &indexpb.ForgetPacksCommand{Packs: batch}); err != nil {
			return err
		}
	}
	return nil
}

// Unpack brings frames of a packed body home, from chunk first on; all before are home already. Those that are
// home are passed over, and with the last of them the body is staged.
func (p *Partition) Unpack(ctx context.Context, pack, body uint64, first uint32, frames [][]byte) error {
	cmd := &indexpb.UnpackBodyCommand{Body: body, Pack: pack, First: first, Chunks: frames}
	_, err := p.propose(ctx, command.UnpackBody, cmd)
	return err
}
