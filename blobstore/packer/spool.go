package packer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/pack"
)

// load is what goes into one pack: bodies and where their frames come from.
type load struct {
	manifest *blobstore.Manifest
	sources  []source
}

// source is a run of a load's bodies that lie in one place so far.
type source struct {
	from   uint64 // number of the pack, 0: staged
	bodies int    // how many
	// frame gives a chunk, or errGone.
	frame func(ctx context.Context, b *blobstore.Body, chunk int) ([]byte, error)
}

// errGone says that a body is not where it was any more: its last message was expunged meanwhile.
var errGone = errors.New("the body is gone")

// spool is a pack in a file of this node.
type spool struct {
	file    *os.File
	pack    blobstore.Pack
	runs    []run
	summary pack.Summary
}

// run is the entries of a pack's bodies that come from one place, in the order of the pack.
type run struct {
	from    uint64
	entries []blobstore.Entry
}

// spool writes a pack of l into a file. It is nil where none of the bodies was left.
func (p *Packer) spool(ctx context.Context, ref blobstore.Pack, key *pack.Key, l load) (_ *spool, err error) {
	file, err := p.temporary()
	if err != nil {
		return nil, err
	}
	s := &spool{file: file, pack: ref}
	defer func() {
		if err != nil || len(s.runs) == 0 {
			s.drop()
		}
	}()
	buffer := bufio.NewWriterSize(file, 256<<10)
	w, err := pack.NewWriter(buffer, ref, key)
	if err != nil {
		return nil, fmt.Errorf("spool a pack: %w", err)
	}
	if err := s.write(ctx, w, l); err != nil || len(s.runs) == 0 {
		return nil, err
	}
	l.manifest.Cluster, l.manifest.Created = p.Cluster, p.Now()
	if s.summary, err = w.Finish(l.manifest); err == nil {
		err = buffer.Flush()
	}
	if err != nil {
		return nil, fmt.Errorf("spool a pack: %w", err)
	}
	return s, nil
}

func (s *spool) write(ctx context.Context, w *pack.Writer, l load) error {
	bodies := l.manifest.Bodies
	for _, src := range l.sources {
		r := run{from: src.from}
		for i := range bodies[:src.bodies] {
			entry, err := copyBody(ctx, w, src, &bodies[i])
			switch {
			case errors.Is(err, errGone):
			case err != nil:
				return fmt.Errorf("spool body %d: %w", bodies[i].Entry.Body, err)
			default:
				r.entries = append(r.entries, entry)
			}
		}
		bodies = bodies[src.bodies:]
		if len(r.entries) > 0 {
			s.runs = append(s.runs, r)
		}
	}
	return nil
}

func copyBody(ctx context.Context, w *pack.Writer, src source, b *blobstore.Body) (blobstore.Entry, error) {
	w.Begin(b.Entry.Body)
	for chunk := range b.Lengths {
		frame, err := src.frame(ctx, b, chunk)
		if err != nil {
			return blobstore.Entry{}, err
		}
		if err := w.Chunk(frame); err != nil {
			return blobstore.Entry{}, err
		}
	}
	return w.End(), nil
}

// drop closes and deletes the file.
func (s *spool) drop() { dropFile(s.file) }

func (p *Packer) temporary() (*os.File, error) {
	file, err := os.CreateTemp(p.Dir, spoolName)
	if err != nil {
		return nil, fmt.Errorf("make a spool file: %w", err)
	}
	return file, nil
}

// dropFile closes and deletes a spool file. What is left of one after an error is deleted by New.
func dropFile(file *os.File) {
	_ = file.Close()
	_ = os.Remove(file.Name())
}
