// Package pack is the bytes of a pack, as blobstore/FORMAT.md describes them: a Writer that makes one, Open for a
// chunk out of one, Read and Verify for a whole one, and the keys that packs are sealed under. It decides
// neither what goes into a pack nor where it is kept, and compresses nothing but the manifest: chunks are
// frames of index/frame, taken as they are.
package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/rookery-mail/rookery/blobstore"
)

// Version is the version of the format that a Writer writes.
const Version = 1

// The limits of a pack. What says that it is larger is not a pack.
const (
	MaxChunk    = 1 << 20   // octets of a chunk, without checksum or seal
	MaxManifest = 32 << 20  // octets of a manifest, not compressed
	MaxSize     = 256 << 30 // octets of a pack
)

// Summary is what a Writer made, or Verify found: the octets of the object and their SHA-256.
type Summary struct {
	Size   int64
	SHA256 [sha256.Size]byte
}

// sum is the checksum of octets that lie at offset of a pack. The place is in it, so that octets of
// another place or another pack, whole in themselves, are found out.
func sum(id blobstore.PackID, offset int64, octets []byte) uint64 {
	var place [len(id) + 8]byte
	copy(place[:], id[:])
	binary.BigEndian.PutUint64(place[len(id):], uint64(offset))
	d := xxhash.New()
	_, _ = d.Write(place[:])
	_, _ = d.Write(octets)
	return d.Sum64()
}

// appendChunk appends a frame as it lies at offset of the pack id: with its checksum, or sealed.
func appendChunk(to []byte, id blobstore.PackID, offset int64, frame []byte, key *Key) []byte {
	if key != nil {
		return key.aead().Seal(to, nonce(usedForChunk, offset), frame, id[:])
	}
	return binary.BigEndian.AppendUint64(append(to, frame...), sum(id, offset, frame))
}

// openChunk undoes appendChunk, or returns blobstore.ErrDamaged. Without a key it gives a part of chunk.
func openChunk(chunk []byte, id blobstore.PackID, offset int64, key *Key) ([]byte, error) {
	if key != nil {
		frame, err := key.aead().Open(nil, nonce(usedForChunk, offset), chunk, id[:])
		if err != nil {
			return nil, fmt.Errorf("seal of %d octets at %d of pack %v: %w", len(chunk), offset, id, blobstore.ErrDamaged)
		}
		return frame, nil
	}
	end := len(chunk) - blobstore.SumSize
	if end < 0 || binary.BigEndian.Uint64(chunk[end:]) != sum(id, offset, chunk[:end]) {
		return nil, fmt.Errorf("checksum of %d octets at %d of pack %v: %w", len(chunk), offset, id, blobstore.ErrDamaged)
	}
	return chunk[:end:end], nil
}

// Open gives the frame of the chunk that was read from where ref says. key is the pack's own, nil where
// it is not encrypted; then frame is a part of chunk. Its error is blobstore.ErrDamaged.
func Open(chunk []byte, ref blobstore.Ref, key *Key) (frame []byte, err error) {
	if len(chunk) != ref.Length {
		return nil, fmt.Errorf("%d of %d octets at %d of pack %v: %w", len(chunk), ref.Length, ref.Offset, ref.Pack.ID, blobstore.ErrDamaged)
	}
	return openChunk(chunk, ref.Pack.ID, ref.Offset, key)
}
