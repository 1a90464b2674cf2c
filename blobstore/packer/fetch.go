package packer

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/pack"
)

const (
	// gap is how many octets between two bodies are rather read than asked around.
	gap = 512 << 10
	// longest is the octets that one request reads at most, unless a body has more: who works on what
	// was read keeps the store waiting.
	longest = 16 << 20
)

// chunkOf is one chunk of a pack, as it lies there and as the frame that it is. Its octets are good until
// the next one.
type chunkOf struct {
	body   *blobstore.Body
	number int
	offset int64
	octets []byte
	frame  []byte
}

// chunks reads the chunks of bodies of the pack c, by offset, with few requests. Damaged bodies are given to bad,
// and what is left of them is passed over.
func (p *Packer) chunks(ctx context.Context, c *pack.Contents, bodies []blobstore.Body, fn func(chunkOf) error, bad func(*blobstore.Body, error)) error {
	slices.SortFunc(bodies, func(a, b blobstore.Body) int { return cmp.Compare(a.Offset, b.Offset) })
	for len(bodies) > 0 {
		n := 1
		for n < len(bodies) && bodies[n].Offset-bodies[n-1].End() <= gap && bodies[n].End()-bodies[0].Offset <= longest {
			n++
		}
		if err := p.stretch(ctx, c, bodies[:n], fn, bad); err != nil {
			return err
		}
		bodies = bodies[n:]
	}
	return nil
}

// stretch reads neighbouring bodies in one request.
func (p *Packer) stretch(ctx context.Context, c *pack.Contents, bodies []blobstore.Body, fn func(chunkOf) error, bad func(*blobstore.Body, error)) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	at, end := int64(bodies[0].Offset), int64(bodies[len(bodies)-1].End())
	stream, err := p.Bucket.Get(ctx, c.Pack.Object(), at, end-at)
	if err != nil {
		return fmt.Errorf("read pack %v from %d on: %w", c.Pack.ID, at, err)
	}
	defer stream.Close()
	r := bufio.NewReaderSize(stream, 128<<10)
	var room []byte
	for i := range bodies {
		b := &bodies[i]
		if _, err := r.Discard(int(int64(b.Offset) - at)); err != nil {
			return fmt.Errorf("read pack %v at %d: %w", c.Pack.ID, at, err)
		}
		at = int64(b.Offset)
		var damage error
		for number, length := range b.Lengths {
			room = slices.Grow(room[:0], int(length))[:length]
			if _, err := io.ReadFull(r, room); err != nil {
				return fmt.Errorf("read pack %v at %d: %w", c.Pack.ID, at, err)
			}
			ref := blobstore.Ref{Pack: &c.Pack, Offset: at, Length: int(length)}
			at += int64(length)
			if damage != nil {
				continue
			}
			frame, err := pack.Open(room, ref, c.Key)
			if err != nil {
				damage = err
				bad(b, err)
				continue
			}
			if err := fn(chunkOf{b, number, ref.Offset, room, frame}); err != nil {
				return err
			}
		}
	}
	return nil
}

// lying gives the bodies of manifest, with their users, as they lie in the pack c. Bodies that c does not
// have are counted as missing.
func lying(c *pack.Contents, manifest *blobstore.Manifest) (bodies []blobstore.Body, missing int) {
	entries := make(map[uint64]blobstore.Entry, len(c.Manifest.Bodies))
	for _, b := range c.Manifest.Bodies {
		entries[b.Entry.Body] = b.Entry
	}
	for _, b := range manifest.Bodies {
		entry, ok := entries[b.Entry.Body]
		if !ok {
			missing++
			continue
		}
		b.Entry = entry
		bodies = append(bodies, b)
	}
	return bodies, missing
}
