package recovery

import (
	"context"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/index/frame"
	"github.com/rookery-mail/rookery/index/recovery/plan"
)

// How bodies that lie near each other are read with one request.
const (
	maxWindow = 4 << 20  // octets read at a time, unless a chunk is larger
	maxGap    = 64 << 10 // octets between two bodies that are read along
)

// fetcher reads bodies. It holds what one request brought: bodies of a mailbox mostly lie in a row.
type fetcher struct {
	bucket object.Bucket
	codec  *frame.Codec

	name   string // of the object that window is from
	start  int64
	window []byte
	octets []byte // room for a chunk
}

// reach says up to where the bodies from messages[i] on lie in a row, in the pack of the first.
func reach(messages []plan.Message, i int) int64 {
	first := messages[i].Copies[0]
	end := first.Body.End()
	for _, m := range messages[i+1:] {
		next := m.Copies[0]
		if next.Pack != first.Pack || next.Body.Offset < end || next.Body.Offset-end > maxGap || next.Body.End()-first.Body.Offset > maxWindow {
			break
		}
		end = next.Body.End()
	}
	return int64(end)
}

// body writes the octets of a message. ahead is up to where the pack will be asked for. The error is the
// writer's, blobstore.ErrDamaged, or one of the store.
func (f *fetcher) body(ctx context.Context, c plan.Copy, ahead int64, to io.Writer) error {
	at := int64(c.Body.Offset)
	var size uint64
	for i, length := range c.Body.Lengths {
		ref := blobstore.Ref{Pack: &c.Pack.Pack, Offset: at, Length: int(length)}
		octets, err := f.chunk(ctx, ref, c.Pack.Key, ahead)
		if err != nil {
			return fmt.Errorf("chunk %d of body %d in pack %s: %w", i, c.Body.Entry.Body, c.Pack.Pack.Object(), err)
		}
		size += uint64(len(octets))
		if _, err := to.Write(octets); err != nil {
			return err
		}
		at += int64(length)
	}
	if size != c.Body.Size {
		return fmt.Errorf("body %d in pack %s has %d octets instead of %d: %w", c.Body.Entry.Body, c.Pack.Pack.Object(), size, c.Body.Size, blobstore.ErrDamaged)
	}
	return nil
}

// chunk gives the octets of a chunk, good until the next one. A damaged one is asked for once more.
func (f *fetcher) chunk(ctx context.Context, ref blobstore.Ref, key *pack.Key, ahead int64) ([]byte, error) {
	for try := 0; ; try++ {
		stored, err := f.read(ctx, ref, ahead)
		if err != nil {
			return nil, err
		}
		compressed, err := pack.Open(stored, ref, key)
		if err == nil {
			f.octets, err = f.codec.Octets(f.octets, compressed)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", blobstore.ErrDamaged, err)
			}
			return f.octets, nil
		}
		if f.name = ""; try > 0 {
			return nil, err
		}
	}
}

// read gives the octets of ref, and asks the store for those up to ahead as well.
func (f *fetcher) read(ctx context.Context, ref blobstore.Ref, ahead int64) ([]byte, error) {
	name := ref.Pack.Object()
	end := ref.Offset + int64(ref.Length)
	if f.name != name || ref.Offset < f.start || end > f.start+int64(len(f.window)) {
		f.name = ""
		want := int(max(end, min(ahead, ref.Offset+maxWindow)) - ref.Offset)
		if cap(f.window) < want {
			f.window = make([]byte, want)
		}
		f.window = f.window[:want]
		n, err := stored{ctx, f.bucket, name}.ReadAt(f.window, ref.Offset)
		if err != nil && n < ref.Length {
			return nil, err
		}
		f.name, f.start, f.window = name, ref.Offset, f.window[:n]
	}
	from := ref.Offset - f.start
	return f.window[from : from+int64(ref.Length)], nil
}
