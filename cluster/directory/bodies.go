package directory

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// Where bodies are kept, and the keys they are encrypted with, stand beside the settings that operators
// make, under names that are not in the table of settings: every version stores a setting that it does
// not know. Each key has a name of its own, so that two that are made at the same time are both kept.
const (
	blobStoreSetting = "blob_store"
	blobKeyPrefix    = "blob_key/"
)

// BlobKey is a key that bodies in object storage are encrypted with. It is kept as long as there may be
// an object under it.
type BlobKey struct {
	ID      [8]byte
	Key     [32]byte
	Created time.Time // in seconds
}

// SetBlobStore says where bodies are kept, in words that the directory does not read. Empty takes the
// setting back.
func SetBlobStore(text string) (command.Command, error) {
	m := &directorypb.PutSetting{Name: blobStoreSetting}
	if text != "" {
		m.Value = &text
	}
	return build(command.PutSetting, m)
}

// BlobStore is what SetBlobStore said, or empty.
func (v View) BlobStore() (string, error) {
	var m directorypb.Setting
	_, err := load(v.R, settingKey(blobStoreSetting), &m)
	return m.Value, err
}

// PutBlobKey keeps a key, in place of one with the same id.
func PutBlobKey(k BlobKey) (command.Command, error) {
	if k.ID == [8]byte{} {
		return command.Command{}, refuse(ErrInvalid, "the key id of zeros stands for no encryption")
	}
	text := base64.StdEncoding.EncodeToString(k.Key[:]) + " " + k.Created.UTC().Format(time.RFC3339)
	return build(command.PutSetting, &directorypb.PutSetting{Name: blobKeyName(k.ID), Value: &text})
}

// DeleteBlobKey forgets a key. What is encrypted with it cannot be read any more.
func DeleteBlobKey(id [8]byte) (command.Command, error) {
	return build(command.PutSetting, &directorypb.PutSetting{Name: blobKeyName(id)})
}

func blobKeyName(id [8]byte) string { return blobKeyPrefix + hex.EncodeToString(id[:]) }

// BlobKeys returns all keys by id, but for what this build cannot read, of a later version perhaps.
func (v View) BlobKeys() (all []BlobKey, err error) {
	prefix := settingKey(blobKeyPrefix)
	err = scanKeys(v.R, prefix, nil, 0, func(key, value []byte) error {
		var m directorypb.Setting
		if err := m.UnmarshalVT(value); err != nil {
			return fmt.Errorf("read key %x: %w: %w", key, ErrCorrupt, err)
		}
		if k, ok := parseBlobKey(string(key[len(prefix):]), m.Value); ok {
			all = append(all, k)
		}
		return nil
	})
	return all, err
}

func parseBlobKey(id, text string) (k BlobKey, ok bool) {
	secret, created, _ := strings.Cut(text, " ")
	name, err := hex.DecodeString(id)
	if err != nil || len(name) != len(k.ID) {
		return k, false
	}
	octets, err := base64.StdEncoding.DecodeString(secret)
	if err != nil || len(octets) != len(k.Key) {
		return k, false
	}
	k.ID, k.Key = [8]byte(name), [32]byte(octets)
	k.Created, err = time.Parse(time.RFC3339, created)
	return k, err == nil
}
