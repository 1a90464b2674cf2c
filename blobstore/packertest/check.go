package packertest

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
)

// Check says what is wrong: a body that cannot be read or is not what was added, a counter that is not
// the sum of what it counts.
func (p *Partition) Check(ctx context.Context, bucket object.Bucket, keys pack.Keys) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	bytesOf, bodiesOf := map[uint64]uint64{}, map[uint64]uint64{}
	for _, b := range p.bodies {
		if b.pack == 0 {
			continue
		}
		bytesOf[b.pack] += octets(b.entry)
		bodiesOf[b.pack]++
		if err := p.read(ctx, b, bucket, keys); err != nil {
			return fmt.Errorf("body %d in pack %d: %w", b.id, b.pack, err)
		}
	}
	for n, r := range p.packs {
		if r.LiveBytes != bytesOf[n] || r.LiveBodies != bodiesOf[n] {
			return fmt.Errorf("pack %d counts %d octets of %d bodies live, it has %d of %d", n, r.LiveBytes, r.LiveBodies, bytesOf[n], bodiesOf[n])
		}
		if r.State == blobstore.PackWhole && r.LiveBodies == 0 {
			return fmt.Errorf("pack %d is whole with nothing live", n)
		}
	}
	return nil
}

func (p *Partition) read(ctx context.Context, b *body, bucket object.Bucket, keys pack.Keys) error {
	r := p.packs[b.pack]
	if r == nil {
		return ErrNoPack
	}
	var key *pack.Key
	if r.Key != (blobstore.KeyID{}) {
		cluster, err := keys(r.Key)
		if err != nil {
			return err
		}
		if key, err = pack.Unseal(cluster, r.Pack); err != nil {
			return err
		}
	}
	at := int64(b.entry.Offset)
	for i, n := range b.entry.Lengths {
		octets, err := readRange(ctx, bucket, r.Object(), at, int64(n))
		if err != nil {
			return err
		}
		frame, err := pack.Open(octets, blobstore.Ref{Pack: &r.Pack, Offset: at, Length: int(n)}, key)
		if err != nil {
			return err
		}
		if !bytes.Equal(frame, b.frames[i]) {
			return fmt.Errorf("chunk %d has other octets than were added", i)
		}
		at += int64(n)
	}
	return nil
}

func readRange(ctx context.Context, bucket object.Bucket, name string, at, length int64) ([]byte, error) {
	stream, err := bucket.Get(ctx, name, at, length)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	return io.ReadAll(stream)
}

// Unreferenced gives the objects of a bucket that no record of the partition names.
func (p *Partition) Unreferenced(ctx context.Context, bucket object.Bucket) (names []string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := map[string]bool{}
	for _, r := range p.packs {
		known[r.Object()] = true
	}
	err = bucket.List(ctx, "packs/", func(i object.Info) error {
		if !known[i.Name] {
			names = append(names, i.Name)
		}
		return nil
	})
	return names, err
}

// State gives the mode and the packs as the log has them, without a call of the packer.
func (p *Partition) State() (blobstore.Mode, []blobstore.PackInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode, p.infos()
}

// Bodies gives the ids of the bodies that are in use, and how many of them are staged.
func (p *Partition) Bodies() (ids []uint64, staged int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.byID() {
		ids = append(ids, b.id)
		if b.pack == 0 {
			staged++
		}
	}
	return ids, staged
}
