package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/rookery-mail/rookery/blobstore"
)

const (
	footerMagic = "rookend"
	footerBody  = 8 + 4 + 4 + 8 + 8 + sha256.Size
)

// FooterSize is the size of every footer in octets: the last ones of a pack.
const FooterSize = footerBody + blobstore.SumSize + len(footerMagic) + 1

// Footer is the end of a pack: where the manifest is, and a SHA-256 of all that lies before it.
type Footer struct {
	Manifest int64 // where the manifest begins
	Length   int   // octets of the manifest as it lies in the pack
	Unpacked int   // octets of the manifest, not compressed
	Bodies   uint64
	Frames   uint64 // octets of all frames, without checksums and seals
	SHA256   [sha256.Size]byte
}

func (f Footer) append(to []byte) []byte {
	start := len(to)
	to = binary.BigEndian.AppendUint64(to, uint64(f.Manifest))
	to = binary.BigEndian.AppendUint32(to, uint32(f.Length))
	to = binary.BigEndian.AppendUint32(to, uint32(f.Unpacked))
	to = binary.BigEndian.AppendUint64(to, f.Bodies)
	to = binary.BigEndian.AppendUint64(to, f.Frames)
	to = append(to, f.SHA256[:]...)
	to = binary.BigEndian.AppendUint64(to, xxhash.Sum64(to[start:]))
	return append(append(to, footerMagic...), Version)
}

// ReadFooter reads the footer that tail, the last octets of a pack of size octets, ends with. Its error
// is blobstore.ErrDamaged where the pack was cut short or changed, or blobstore.ErrFormat.
func ReadFooter(tail []byte, size int64) (Footer, error) {
	if len(tail) < FooterSize || size < int64(len(tail)) || size > MaxSize {
		return Footer{}, fmt.Errorf("footer in the last %d of %d octets: %w", len(tail), size, blobstore.ErrDamaged)
	}
	b := tail[len(tail)-FooterSize:]
	magic := b[footerBody+blobstore.SumSize:]
	if string(magic[:len(footerMagic)]) != footerMagic {
		return Footer{}, fmt.Errorf("a pack does not end with %x: %w", magic, blobstore.ErrDamaged)
	}
	if v := magic[len(footerMagic)]; v != Version {
		return Footer{}, fmt.Errorf("version %d, this build reads %d: %w", v, Version, blobstore.ErrFormat)
	}
	if binary.BigEndian.Uint64(b[footerBody:]) != xxhash.Sum64(b[:footerBody]) {
		return Footer{}, fmt.Errorf("checksum of the footer: %w", blobstore.ErrDamaged)
	}
	f := Footer{
		Manifest: int64(binary.BigEndian.Uint64(b)),
		Length:   int(binary.BigEndian.Uint32(b[8:])),
		Unpacked: int(binary.BigEndian.Uint32(b[12:])),
		Bodies:   binary.BigEndian.Uint64(b[16:]),
		Frames:   binary.BigEndian.Uint64(b[24:]),
		SHA256:   [sha256.Size]byte(b[32:]),
	}
	end := size - int64(FooterSize)
	if f.Manifest < 0 || f.Manifest > end || f.Manifest+int64(f.Length) != end || f.Unpacked > MaxManifest || f.Length > maxStored(f.Unpacked) {
		return Footer{}, fmt.Errorf("manifest of %d octets at %d of %d: %w", f.Length, f.Manifest, size, blobstore.ErrDamaged)
	}
	return f, nil
}

// maxStored is the most that a manifest of so many octets can take in a pack: zstd adds little to
// what it cannot compress, and then come the checksum or the seal.
func maxStored(unpacked int) int { return unpacked + unpacked/64 + 1024 }
