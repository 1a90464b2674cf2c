package packertest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/blobstore"
)

// Packs tells of all packs, by number.
func (p *Partition) Packs(ctx context.Context) (out []blobstore.PackInfo, err error) {
	err = p.do(ctx, "Packs", func() error {
		out = p.infos()
		return nil
	})
	return out, err
}

func (p *Partition) infos() []blobstore.PackInfo {
	out := make([]blobstore.PackInfo, 0, len(p.packs))
	for _, r := range p.packs {
		out = append(out, r.PackInfo)
	}
	slices.SortFunc(out, func(a, b blobstore.PackInfo) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

// Begin gives a number to a pack.
func (p *Partition) Begin(ctx context.Context, ref blobstore.Pack) (number uint64, err error) {
	err = p.do(ctx, "Begin", func() error {
		if !p.packing() {
			return ErrNoPack
		}
		p.lastPack++
		number = p.lastPack
		p.packs[number] = &record{PackInfo: blobstore.PackInfo{
			Pack: ref, Number: number, State: blobstore.PackOpen, Since: p.now(), Created: p.now(),
		}}
		return nil
	})
	return number, err
}

// Packed moves bodies into an open pack.
func (p *Partition) Packed(ctx context.Context, number uint64, entries []blobstore.Entry, from uint64, whole bool, size uint64) error {
	return p.do(ctx, "Packed", func() error {
		r := p.packs[number]
		if r == nil || r.State != blobstore.PackOpen || !p.packing() {
			return ErrNoPack
		}
		for _, e := range entries {
			p.placed(r, e, from)
		}
		if whole {
			r.State, r.Since, r.Size = blobstore.PackWhole, p.now(), size
			p.settle(r)
		}
		return nil
	})
}

// packing says whether bodies may go into packs.
func (p *Partition) packing() bool { return p.mode == blobstore.Listing || p.mode == blobstore.Packed }

// placed enters one body, unless that was done before.
func (p *Partition) placed(r *record, e blobstore.Entry, from uint64) {
	if e.Offset < r.covered {
		return
	}
	r.covered = e.End()
	b := p.bodies[e.Body]
	if b == nil || b.pack != from {
		r.DeadBytes += octets(e)
		return
	}
	if from != 0 {
		p.die(b)
	}
	b.pack, b.entry, b.home = r.Number, e, 0
	r.LiveBytes += octets(e)
	r.LiveBodies++
}

// Abandon ends an open pack.
func (p *Partition) Abandon(ctx context.Context, number uint64) error {
	return p.do(ctx, "Abandon", func() error {
		r := p.packs[number]
		if r == nil || r.State != blobstore.PackOpen {
			return ErrNoPack
		}
		r.State, r.Since = blobstore.PackWhole, p.now()
		p.settle(r)
		return nil
	})
}

// Forget drops doomed packs.
func (p *Partition) Forget(ctx context.Context, numbers []uint64) error {
	return p.do(ctx, "Forget", func() error {
		for _, n := range numbers {
			if r := p.packs[n]; r != nil && r.State == blobstore.PackDoomed {
				delete(p.packs, n)
			}
		}
		return nil
	})
}

// Unpack takes chunks of a body back.
func (p *Partition) Unpack(ctx context.Context, pack uint64, id uint64, first uint32, frames [][]byte) error {
	return p.do(ctx, "Unpack", func() error {
		if p.mode != blobstore.Homing {
			return errors.New("bodies are not on their way home")
		}
		b := p.bodies[id]
		if b == nil || b.pack != pack {
			return nil
		}
		for i, f := range frames {
			chunk := int(first) + i
			if chunk > b.home || chunk >= len(b.frames) {
				return fmt.Errorf("chunk %d of body %d comes home, %d did", chunk, id, b.home)
			}
			if !bytes.Equal(f, b.frames[chunk]) {
				return fmt.Errorf("chunk %d of body %d comes home with other octets", chunk, id)
			}
			if chunk == b.home {
				b.home++
			}
		}
		if b.home == len(b.frames) {
			p.die(b)
			b.pack, b.entry, b.home = 0, blobstore.Entry{}, 0
		}
		return nil
	})
}

// SetMode turns to object storage, with one ListUsers to go, or home.
func (p *Partition) SetMode(ctx context.Context, object bool) error {
	return p.do(ctx, "SetMode", func() error {
		if object {
			p.mode = blobstore.Listing
			return nil
		}
		p.mode = blobstore.Embedded
		for _, r := range p.packs {
			if r.LiveBodies > 0 {
				p.mode = blobstore.Homing
			}
		}
		return nil
	})
}

// Arrive ends homing.
func (p *Partition) Arrive(ctx context.Context) error {
	return p.do(ctx, "Arrive", func() error {
		for _, r := range p.packs {
			if r.LiveBodies > 0 {
				return nil
			}
		}
		if p.mode == blobstore.Homing {
			p.mode = blobstore.Embedded
		}
		return nil
	})
}

// ListUsers ends the listing.
func (p *Partition) ListUsers(ctx context.Context) (more bool, err error) {
	return false, p.do(ctx, "ListUsers", func() error {
		p.mode = blobstore.Packed
		return nil
	})
}
