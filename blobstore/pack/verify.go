package pack

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/rookery-mail/rookery/blobstore"
)

// Verify reads the whole pack from r, whose contents Read gave, in one pass and with the room of one chunk:
// header, each chunk's checksum or seal, manifest, footer, SHA-256. bad is called for each body with a
// damaged chunk and may be nil; it does not end the pass. The error is then blobstore.ErrDamaged, or one of r.
func (c *Contents) Verify(r io.Reader, bad func(blobstore.Body)) (Summary, error) {
	v := &verifier{c: c, r: bufio.NewReaderSize(r, 256<<10), sha: sha256.New()}
	v.header()
	for _, b := range c.Manifest.Bodies {
		if !v.body(b) && bad != nil && v.err == nil {
			bad(b)
		}
	}
	v.rest()
	s := Summary{Size: v.at}
	v.sha.Sum(s.SHA256[:0])
	if v.err != nil {
		return s, fmt.Errorf("pack %v: %w", c.Pack.ID, v.err)
	}
	if v.damaged > 0 {
		return s, fmt.Errorf("pack %v: %d damaged bodies of %d: %w", c.Pack.ID, v.damaged, len(c.Manifest.Bodies), blobstore.ErrDamaged)
	}
	return s, nil
}

// verifier goes through a pack; err ends it.
type verifier struct {
	c       *Contents
	r       io.Reader
	sha     hash.Hash
	at      int64
	room    []byte
	err     error
	damaged int
}

// next reads the next n octets, which are good until the next call.
func (v *verifier) next(n int) []byte {
	if v.err != nil {
		return nil
	}
	if cap(v.room) < n {
		v.room = make([]byte, n)
	}
	octets := v.room[:n]
	got, err := io.ReadFull(v.r, octets)
	_, _ = v.sha.Write(octets[:got])
	v.at += int64(got)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("it ends at %d of %d: %w", v.at, v.c.Size, blobstore.ErrDamaged)
		}
		v.err = err
		return nil
	}
	return octets
}

func (v *verifier) skip(to int64) {
	for v.err == nil && v.at < to {
		v.next(int(min(to-v.at, 64<<10)))
	}
}

func (v *verifier) header() {
	head := v.next(int(v.c.start))
	if v.err == nil && !bytes.Equal(head, appendHeader(nil, v.c.Pack)) {
		v.err = fmt.Errorf("another header than before: %w", blobstore.ErrDamaged)
	}
}

func (v *verifier) body(b blobstore.Body) bool {
	v.skip(int64(b.Offset))
	good := true
	for _, n := range b.Lengths {
		at := v.at
		chunk := v.next(int(n))
		if v.err != nil {
			return false
		}
		if _, err := openChunk(chunk, v.c.Pack.ID, at, v.c.Key); err != nil {
			good = false
		}
	}
	if !good {
		v.damaged++
	}
	return good
}

// rest checks what is behind the bodies. Damage that no body has is in a gap, or in the manifest.
func (v *verifier) rest() {
	f := v.c.Footer
	v.skip(f.Manifest + int64(f.Length))
	found := [sha256.Size]byte(v.sha.Sum(nil))
	footer := v.next(FooterSize)
	if v.err != nil {
		return
	}
	if !bytes.Equal(footer, f.append(nil)) {
		v.err = fmt.Errorf("another footer than before: %w", blobstore.ErrDamaged)
	} else if found != f.SHA256 && v.damaged == 0 {
		v.err = fmt.Errorf("SHA-256 of what is before the footer: %w", blobstore.ErrDamaged)
	}
	if n, err := io.ReadFull(v.r, make([]byte, 1)); v.err == nil && (n > 0 || !errors.Is(err, io.EOF)) {
		v.err = fmt.Errorf("more than %d octets: %w", v.c.Size, blobstore.ErrDamaged)
	}
}
