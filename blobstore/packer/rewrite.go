package packer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/blobstore/shelf"
)

// Rewrite puts the bodies of packs that messages still use into one new pack, of so many octets: 0 where
// there were none. Bodies that are damaged stay where they are, and so do those of packs that cannot be
// read: the error tells of them, the others are moved all the same. Bodies of one old pack stay
// together, since the log is told of an old pack at a time.
func (w *Worker) Rewrite(ctx context.Context, packs []blobstore.PackInfo) (octets int64, err error) {
	if err := w.begin(ctx); err != nil {
		return 0, err
	}
	defer w.end()
	back, err := w.p.slot(ctx)
	if err != nil {
		return 0, err
	}
	defer back()
	// The last leader may have been about the same packs.
	if err := w.resume(ctx, blobstore.Packed); err != nil {
		return 0, err
	}
	l := load{manifest: &blobstore.Manifest{}}
	var damaged []error
	for _, info := range packs {
		file, err := w.p.temporary()
		if err != nil {
			return 0, err
		}
		defer dropFile(file)
		manifest, src, err := w.old(ctx, info, file)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err != nil {
			damaged = append(damaged, err)
		}
		if manifest != nil && len(manifest.Bodies) > 0 {
			join(l.manifest, manifest)
			l.sources = append(l.sources, src)
		}
	}
	if len(l.sources) > 0 {
		if octets, err = w.make(ctx, l); err != nil {
			damaged = append(damaged, err)
		}
	}
	err = errors.Join(damaged...)
	w.note(err)
	return octets, err
}

// old copies what is live of a pack into file, at the same places, and describes it. Both an error and a
// manifest may be given: of what is damaged, and of what is not.
func (w *Worker) old(ctx context.Context, info blobstore.PackInfo, file *os.File) (*blobstore.Manifest, source, error) {
	c, err := w.p.shelf.Contents(ctx, info.Pack)
	if err != nil {
		return nil, source{}, err
	}
	manifest, err := w.part.Describe(ctx, info.Number, shelf.Bodies(c))
	if err != nil {
		return nil, source{}, fmt.Errorf("describe pack %d: %w", info.Number, err)
	}
	bodies, missing := lying(c, manifest)
	if missing > 0 {
		err = fmt.Errorf("pack %d has not %d of its bodies: %w", info.Number, missing, blobstore.ErrDamaged)
	}
	damaged := map[uint64]bool{}
	copying := w.p.chunks(ctx, c, slices.Clone(bodies), func(chunk chunkOf) error {
		if _, err := file.WriteAt(chunk.octets, chunk.offset); err != nil {
			return fmt.Errorf("spool pack %d: %w", info.Number, err)
		}
		return nil
	}, func(b *blobstore.Body, problem error) {
		damaged[b.Entry.Body] = true
		err = errors.Join(err, fmt.Errorf("body %d: %w", b.Entry.Body, problem))
	})
	if copying != nil {
		return nil, source{}, errors.Join(err, copying)
	}
	manifest.Bodies = slices.DeleteFunc(bodies, func(b blobstore.Body) bool { return damaged[b.Entry.Body] })
	return manifest, copied(info.Number, c, file, len(manifest.Bodies)), err
}

// copied is the source of bodies of the pack c whose chunks are in file.
func copied(number uint64, c *pack.Contents, file *os.File, bodies int) source {
	var room []byte
	return source{from: number, bodies: bodies, frame: func(_ context.Context, b *blobstore.Body, chunk int) ([]byte, error) {
		ref := blobstore.Ref{Pack: &c.Pack, Offset: int64(b.Offset), Length: int(b.Lengths[chunk])}
		for _, n := range b.Lengths[:chunk] {
			ref.Offset += int64(n)
		}
		room = slices.Grow(room[:0], ref.Length)[:ref.Length]
		if _, err := file.ReadAt(room, ref.Offset); err != nil {
			return nil, fmt.Errorf("read the spooled pack %d: %w", number, err)
		}
		return pack.Open(room, ref, c.Key)
	}}
}

// join appends the bodies of m to those of to.
func join(to, m *blobstore.Manifest) {
	accounts := make([]int, len(m.Accounts))
	for i, a := range m.Accounts {
		accounts[i] = slices.IndexFunc(to.Accounts, func(o blobstore.Account) bool { return o.ID == a.ID })
		if accounts[i] < 0 {
			accounts[i] = len(to.Accounts)
			to.Accounts = append(to.Accounts, a)
		}
	}
	first := len(to.Mailboxes) // each pack's mailboxes are kept: keywords are places in their lists
	for _, box := range m.Mailboxes {
		box.Account = accounts[box.Account]
		to.Mailboxes = append(to.Mailboxes, box)
	}
	for _, b := range m.Bodies {
		b.Users = slices.Clone(b.Users)
		for i := range b.Users {
			b.Users[i].Mailbox += first
		}
		to.Bodies = append(to.Bodies, b)
	}
}

// byOffset orders entries as they lie in a pack.
func byOffset(a, b blobstore.Entry) int { return cmp.Compare(a.Offset, b.Offset) }
