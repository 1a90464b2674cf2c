package pack

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/rookery-mail/rookery/blobstore"
)

// Key is a pack's own key, 32 random bytes. Invariant: with one Key one pack is written, once: its
// nonces are the places in the pack. Who writes a pack anew takes a new id and a new key.
type Key [32]byte

// ClusterKey is a key of the cluster, which the keys of packs are sealed under: 32 random bytes and the
// name that they go by.
type ClusterKey struct {
	ID     blobstore.KeyID
	Secret [32]byte
}

// Keys gives the cluster key of an id, or blobstore.ErrNoKey.
type Keys func(blobstore.KeyID) (ClusterKey, error)

// What a nonce is used for, so that no two have one: chunks and the manifest.
const (
	usedForChunk    = 0
	usedForManifest = 1
)

// sealInfo is what the key that seals a pack's key is derived for.
const sealInfo = "rookery pack key v1"

// Seal gives key, of the pack named, sealed under the cluster's: what goes into blobstore.Pack.SealedKey.
func Seal(cluster ClusterKey, id blobstore.PackID, key Key) []byte {
	return cluster.derive(id).aead().Seal(nil, make([]byte, 12), key[:], cluster.ID[:])
}

// Unseal gives the key of a pack, nil where it is not encrypted. blobstore.ErrNoKey says that cluster is
// not the key that it was sealed under.
func Unseal(cluster ClusterKey, p blobstore.Pack) (*Key, error) {
	if p.Key == (blobstore.KeyID{}) {
		return nil, nil
	}
	if cluster.ID != p.Key {
		return nil, fmt.Errorf("pack %v is under key %x, not %x: %w", p.ID, p.Key, cluster.ID, blobstore.ErrNoKey)
	}
	octets, err := cluster.derive(p.ID).aead().Open(nil, make([]byte, 12), p.SealedKey, cluster.ID[:])
	if err != nil || len(octets) != len(Key{}) {
		return nil, fmt.Errorf("key %x does not open the key of pack %v: %w", p.Key, p.ID, blobstore.ErrNoKey)
	}
	return (*Key)(octets), nil
}

// derive gives the key that seals the key of one pack. Each seals one thing, so it needs no nonce.
func (k ClusterKey) derive(id blobstore.PackID) *Key {
	octets, err := hkdf.Key(sha256.New, k.Secret[:], id[:], sealInfo, len(Key{}))
	if err != nil {
		panic(fmt.Sprintf("pack: derive 32 octets: %v", err)) // lengths are constant
	}
	return (*Key)(octets)
}

func (k *Key) aead() cipher.AEAD {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic(fmt.Sprintf("pack: AES-256: %v", err)) // the length is constant
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(fmt.Sprintf("pack: GCM: %v", err))
	}
	return aead
}

func nonce(use uint32, offset int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, use), uint64(offset))
}
