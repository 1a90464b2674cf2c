package reader

import (
	"sync"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/pack"
)

// maxKeys is how many keys of packs are remembered.
const maxKeys = 4096

// keyring unseals the keys of packs and remembers them.
type keyring struct {
	cluster pack.Keys

	mu   sync.Mutex
	keys map[blobstore.PackID]*pack.Key // guarded by mu
}

func newKeyring(cluster pack.Keys) *keyring {
	return &keyring{cluster: cluster, keys: make(map[blobstore.PackID]*pack.Key)}
}

// of gives the key of a pack, nil where it is not encrypted, or blobstore.ErrNoKey.
func (k *keyring) of(p *blobstore.Pack) (*pack.Key, error) {
	if p.Key == (blobstore.KeyID{}) {
		return nil, nil
	}
	k.mu.Lock()
	key := k.keys[p.ID]
	k.mu.Unlock()
	if key != nil {
		return key, nil
	}
	cluster, err := k.cluster(p.Key)
	if err != nil {
		return nil, err
	}
	if key, err = pack.Unseal(cluster, *p); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) >= maxKeys {
		clear(k.keys) // unsealing is cheap, beside a GET
	}
	k.keys[p.ID] = key
	return key, nil
}
