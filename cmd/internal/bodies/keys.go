package bodies

import (
	"fmt"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cluster/directory"
)

// keyring gives the keys of the cluster, as the directory has them at the moment.
type keyring struct {
	view    func(func(directory.View) error) error
	setting setting.Setting
}

// CurrentKey is the key for new packs; its ID is zero where they are not encrypted.
func (k keyring) CurrentKey() (pack.ClusterKey, error) {
	id, err := k.setting.KeyID()
	if err != nil || id == (blobstore.KeyID{}) {
		return pack.ClusterKey{}, err
	}
	return k.ClusterKey(id)
}

// ClusterKey is the key of an id, or blobstore.ErrNoKey.
func (k keyring) ClusterKey(id blobstore.KeyID) (found pack.ClusterKey, err error) {
	err = k.view(func(v directory.View) error {
		keys, err := v.BlobKeys()
		for _, key := range keys {
			if key.ID == id {
				found = pack.ClusterKey{ID: key.ID, Secret: key.Key}
			}
		}
		return err
	})
	if err != nil {
		return found, fmt.Errorf("look for key %x: %w: %w", id, blobstore.ErrUnavailable, err)
	}
	if found.ID != id {
		return found, fmt.Errorf("key %x: %w", id, blobstore.ErrNoKey)
	}
	return found, nil
}

// retired says which keys a setting takes out of use.
func retired(s setting.Setting) func(blobstore.KeyID) bool {
	ids := map[blobstore.KeyID]bool{}
	for _, text := range s.Retiring {
		if id, err := setting.ParseKeyID(text); err == nil {
			ids[id] = true
		}
	}
	return func(id blobstore.KeyID) bool { return ids[id] }
}
