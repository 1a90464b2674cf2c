package packer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/pack"
)

// The time that a message waits for the store: so much, and so much for each MiB. Who brings it waits too.
const (
	singlePatience = 20 * time.Second
	singlePerMiB   = 500 * time.Millisecond
)

// Single is one large body on its way into a pack of its own, before its message is in the log. Its frames
// are in a file of this node, one behind the other. Add and Close are for one goroutine, the rest for any
// number of them in between.
type Single struct {
	p       *Packer
	file    *os.File
	lengths []int
	octets  int64
}

// Single begins a body. blobstore.ErrUnavailable says that the store is known to fail.
func (p *Packer) Single() (*Single, error) {
	if !p.store.open() {
		return nil, fmt.Errorf("a pack for a large body: %w", blobstore.ErrUnavailable)
	}
	file, err := p.temporary()
	if err != nil {
		return nil, err
	}
	return &Single{p: p, file: file}, nil
}

// Add takes the next frame.
func (s *Single) Add(frame []byte) error {
	if _, err := s.file.WriteAt(frame, s.octets); err != nil {
		return fmt.Errorf("spool a large body at %d: %w", s.octets, err)
	}
	s.lengths = append(s.lengths, len(frame))
	s.octets += int64(len(frame))
	return nil
}

// Frames calls fn with all frames, in order. A frame is good until fn returns.
func (s *Single) Frames(fn func(frame []byte) error) error {
	r := bufio.NewReaderSize(io.NewSectionReader(s.file, 0, s.octets), 64<<10)
	var room []byte
	for i, n := range s.lengths {
		if cap(room) < n {
			room = make([]byte, n)
		}
		room = room[:n]
		if _, err := io.ReadFull(r, room); err != nil {
			return fmt.Errorf("read chunk %d of a spooled body: %w", i, err)
		}
		if err := fn(room); err != nil {
			return err
		}
	}
	return nil
}

// Close gives up the file. It is harmless when repeated.
func (s *Single) Close() {
	if s.file != nil {
		dropFile(s.file)
		s.file = nil
	}
}

// Put makes the body the only one of a pack of partition group, puts it into the store and reads it back.
// begin notes the pack in the log before, and says which id the body will have; m describes the body but
// for where it lies. An error of the store is blobstore.ErrUnavailable or ErrDamaged.
func (s *Single) Put(ctx context.Context, group uint16, m *blobstore.Manifest, begin func(blobstore.Pack) (body uint64, err error)) (blobstore.Entry, int64, error) {
	ref, key, err := s.p.newPack(group)
	if err != nil {
		return blobstore.Entry{}, 0, err
	}
	if m.Bodies[0].Entry.Body, err = begin(ref); err != nil {
		return blobstore.Entry{}, 0, fmt.Errorf("begin the pack of a large body: %w", err)
	}
	spooled, err := s.spool(ref, key, m)
	if err != nil {
		return blobstore.Entry{}, 0, err
	}
	defer spooled.drop()
	patience := singlePatience + time.Duration(spooled.summary.Size>>20)*singlePerMiB
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = s.p.put(asking, spooled)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", blobstore.ErrUnavailable, err)
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		s.p.store.note(err)
	}
	if err != nil {
		return blobstore.Entry{}, 0, err
	}
	return m.Bodies[0].Entry, spooled.summary.Size, nil
}

// spool writes the pack.
func (s *Single) spool(ref blobstore.Pack, key *pack.Key, m *blobstore.Manifest) (_ *spool, err error) {
	file, err := s.p.temporary()
	if err != nil {
		return nil, err
	}
	out := &spool{file: file, pack: ref}
	defer func() {
		if err != nil {
			out.drop()
		}
	}()
	buffer := bufio.NewWriterSize(file, 256<<10)
	w, err := pack.NewWriter(buffer, ref, key)
	if err != nil {
		return nil, fmt.Errorf("spool the pack of a large body: %w", err)
	}
	w.Begin(m.Bodies[0].Entry.Body)
	if err := s.Frames(w.Chunk); err != nil {
		return nil, err
	}
	w.End()
	m.Cluster, m.Created = s.p.Cluster, s.p.Now()
	if out.summary, err = w.Finish(m); err == nil {
		err = buffer.Flush()
	}
	if err != nil {
		return nil, fmt.Errorf("spool the pack of a large body: %w", err)
	}
	return out, nil
}
