package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/blobstore"
)

// Contents is what a pack says of itself.
type Contents struct {
	Pack     blobstore.Pack
	Key      *Key // nil where it is not encrypted
	Size     int64
	Footer   Footer
	Manifest *blobstore.Manifest

	start int64 // where bodies begin
}

// TailSize is how many octets Read asks for at the end of a pack: where the manifest is not larger,
// a pack takes two reads.
const TailSize = 64 << 10

// Read reads header, footer and manifest of a pack of size octets: two reads of at, or three. What lies between
// is not looked at: see Verify. keys may be nil where nothing is encrypted. Its error is
// blobstore.ErrDamaged, blobstore.ErrFormat, blobstore.ErrNoKey, or one of at.
func Read(at io.ReaderAt, size int64, keys Keys) (*Contents, error) {
	if size > MaxSize || size < int64(headerFixed+blobstore.SumSize+FooterSize) {
		return nil, fmt.Errorf("a pack of %d octets: %w", size, blobstore.ErrDamaged)
	}
	head, err := readAt(at, 0, min(size, int64(HeaderSize)))
	if err != nil {
		return nil, err
	}
	c := &Contents{Size: size}
	n := 0
	if c.Pack, n, err = ReadHeader(head); err != nil {
		return nil, err
	}
	c.start = int64(n)
	tail, err := readAt(at, max(0, size-TailSize), min(size, TailSize))
	if err != nil {
		return nil, err
	}
	if c.Footer, err = ReadFooter(tail, size); err != nil {
		return nil, fmt.Errorf("pack %v: %w", c.Pack.ID, err)
	}
	if c.Key, err = keys.open(c.Pack); err != nil {
		return nil, err
	}
	stored := tail[:len(tail)-FooterSize]
	if len(stored) >= c.Footer.Length {
		stored = stored[len(stored)-c.Footer.Length:]
	} else if stored, err = readAt(at, c.Footer.Manifest, int64(c.Footer.Length)); err != nil {
		return nil, err
	}
	if c.Manifest, err = ReadManifest(stored, c.Pack, c.start, c.Footer, c.Key); err != nil {
		return nil, fmt.Errorf("pack %v: %w", c.Pack.ID, err)
	}
	return c, nil
}

// open gives the key of a pack, nil where it has none.
func (keys Keys) open(p blobstore.Pack) (*Key, error) {
	if p.Key == (blobstore.KeyID{}) {
		return nil, nil
	}
	if keys == nil {
		return nil, fmt.Errorf("pack %v is encrypted under key %x: %w", p.ID, p.Key, blobstore.ErrNoKey)
	}
	cluster, err := keys(p.Key)
	if err != nil {
		return nil, fmt.Errorf("pack %v: key %x: %w", p.ID, p.Key, err)
	}
	return Unseal(cluster, p)
}

func readAt(at io.ReaderAt, offset, length int64) ([]byte, error) {
	octets := make([]byte, length)
	n, err := at.ReadAt(octets, offset)
	if n == len(octets) {
		return octets, nil
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("it ends at %d: %w", offset+int64(n), blobstore.ErrDamaged)
	}
	return nil, fmt.Errorf("read %d octets at %d: %w", length, offset, err)
}

// ReadManifest reads the manifest out of the octets that lie where f says, in the pack p whose bodies
// begin at start (the length of its header). Its error is blobstore.ErrDamaged.
func ReadManifest(stored []byte, p blobstore.Pack, start int64, f Footer, key *Key) (*blobstore.Manifest, error) {
	if len(stored) != f.Length || f.Unpacked > MaxManifest {
		return nil, fmt.Errorf("manifest of %d octets instead of %d: %w", len(stored), f.Length, blobstore.ErrDamaged)
	}
	packed, err := openManifest(p.ID, f.Manifest, stored, key)
	if err != nil {
		return nil, err
	}
	raw, err := decompress(packed, f.Unpacked)
	if err != nil {
		return nil, err
	}
	m, err := decodeManifest(raw, uint64(start))
	if err != nil {
		return nil, err
	}
	if m.Pack != p.ID || m.Group != p.Group || uint64(len(m.Bodies)) != f.Bodies {
		return nil, fmt.Errorf("manifest of pack %v, group %d, %d bodies: %w", m.Pack, m.Group, len(m.Bodies), blobstore.ErrDamaged)
	}
	if n := len(m.Bodies); n > 0 && m.Bodies[n-1].End() > uint64(f.Manifest) {
		return nil, fmt.Errorf("bodies end at %d, behind the manifest: %w", m.Bodies[n-1].End(), blobstore.ErrDamaged)
	}
	return m, nil
}

func appendManifest(id blobstore.PackID, offset int64, packed []byte, key *Key) []byte {
	if key != nil {
		return key.aead().Seal(nil, nonce(usedForManifest, offset), packed, id[:])
	}
	return binary.BigEndian.AppendUint64(append([]byte(nil), packed...), sum(id, offset, packed))
}

func openManifest(id blobstore.PackID, offset int64, stored []byte, key *Key) ([]byte, error) {
	if key == nil {
		return openChunk(stored, id, offset, nil)
	}
	packed, err := key.aead().Open(nil, nonce(usedForManifest, offset), stored, id[:])
	if err != nil {
		return nil, fmt.Errorf("seal of the manifest: %w", blobstore.ErrDamaged)
	}
	return packed, nil
}
