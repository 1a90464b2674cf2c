package node

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// newBlobKey draws a key.
func newBlobKey() (*directory.BlobKey, error) {
	k := &directory.BlobKey{Created: time.Now().UTC().Truncate(time.Second)}
	for _, b := range [][]byte{k.ID[:], k.Key[:]} {
		if _, err := rand.Read(b); err != nil {
			return nil, fmt.Errorf("draw a key: %w", err)
		}
	}
	return k, nil
}

// blobKeys reads the keys of the directory.
func (n *Node) blobKeys() (keys []directory.BlobKey, err error) {
	err = n.view(func(v directory.View) (err error) {
		keys, err = v.BlobKeys()
		return err
	})
	return keys, err
}

// BlobKeys lists the keys, and how many packs are under each as far as leaders answer.
func (n *Node) BlobKeys(ctx context.Context) ([]adminapi.BlobKey, error) {
	s, err := n.BlobSetting(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := n.blobKeys()
	if err != nil {
		return nil, err
	}
	packs, _, err := n.packsByKey(ctx)
	out := []adminapi.BlobKey{}
	for _, k := range keys {
		id := fmt.Sprintf("%x", k.ID)
		out = append(out, adminapi.BlobKey{ID: id, Created: k.Created, Current: s.Encrypt && s.Key == id,
			Retiring: slices.Contains(s.Retiring, id), Packs: packs[id]})
	}
	return out, err
}

// packsByKey counts the packs under each key. All says that every partition's leader answered.
func (n *Node) packsByKey(ctx context.Context) (packs map[string]int, all bool, err error) {
	reports, _, err := n.blobReports(ctx)
	if err != nil {
		return nil, false, err
	}
	packs = map[string]int{}
	answered := map[uint16]bool{}
	for _, r := range reports {
		for id, count := range r.Keys {
			packs[id] += count
		}
		for _, p := range r.Partitions {
			answered[p.Partition] = p.Mode != "" // without one it could not be read
		}
	}
	groups, err := n.partitions()
	all = !slices.ContainsFunc(groups, func(g uint16) bool { return !answered[g] })
	return packs, all, err
}

// RotateBlobKey makes a key for the packs to come.
func (n *Node) RotateBlobKey(ctx context.Context) (adminapi.BlobKey, error) {
	s, err := n.BlobSetting(ctx)
	if err != nil {
		return adminapi.BlobKey{}, err
	}
	if s.URL == "" || !s.Encrypt {
		return adminapi.BlobKey{}, fmt.Errorf("%w: bodies are not encrypted: `rookery blob set --encrypt` makes the first key", directory.ErrConflict)
	}
	k, err := newBlobKey()
	if err != nil {
		return adminapi.BlobKey{}, err
	}
	c, err := directory.PutBlobKey(*k)
	if err := n.change(ctx, c, err); err != nil {
		return adminapi.BlobKey{}, fmt.Errorf("keep a new key: %w", err)
	}
	s.Key = fmt.Sprintf("%x", k.ID)
	return adminapi.BlobKey{ID: s.Key, Created: k.Created, Current: true}, n.putBlobSetting(ctx, s)
}

// RetireBlobKey has the packs under a key written anew. The key of zeros stands for packs without encryption.
func (n *Node) RetireBlobKey(ctx context.Context, text string) error {
	s, err := n.BlobSetting(ctx)
	if err != nil {
		return err
	}
	id, err := setting.ParseKeyID(text)
	if err != nil {
		return err
	}
	keys, err := n.blobKeys()
	if err != nil {
		return err
	}
	known := func(k directory.BlobKey) bool { return k.ID == id }
	switch {
	case id != (blobstore.KeyID{}) && !slices.ContainsFunc(keys, known):
		return fmt.Errorf("%w: there is no key %s: see `rookery blob key list`", directory.ErrNotFound, text)
	case s.Encrypt && s.Key == text:
		return fmt.Errorf("%w: key %s encrypts new packs: `rookery blob key rotate` first", directory.ErrConflict, text)
	case !s.Encrypt && id == (blobstore.KeyID{}):
		return fmt.Errorf("%w: new packs are not encrypted: `rookery blob set --encrypt` first", directory.ErrConflict)
	case slices.Contains(s.Retiring, text):
		return nil
	}
	s.Retiring = append(s.Retiring, text)
	if s.Key == text {
		s.Key = ""
	}
	return n.putBlobSetting(ctx, s)
}

// ExportBlobKeys gives all keys with their secrets.
func (n *Node) ExportBlobKeys(context.Context) (adminapi.BlobSecrets, error) {
	keys, err := n.blobKeys()
	if err != nil {
		return adminapi.BlobSecrets{}, err
	}
	if len(keys) == 0 {
		return adminapi.BlobSecrets{}, fmt.Errorf("%w: the cluster has no keys: `rookery blob set --encrypt` makes the first", directory.ErrNotFound)
	}
	var out []pack.ClusterKey
	for _, k := range keys {
		out = append(out, pack.ClusterKey{ID: k.ID, Secret: k.Key})
	}
	return adminapi.BlobSecrets{Text: string(pack.FormatKeys(out))}, nil
}

// ImportBlobKeys takes keys back that were exported. Those that are there stay as they are.
func (n *Node) ImportBlobKeys(ctx context.Context, secrets adminapi.BlobSecrets) error {
	keys, err := pack.ReadKeys([]byte(secrets.Text))
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	if len(keys) == 0 {
		return fmt.Errorf("%w: there are no keys in it", directory.ErrInvalid)
	}
	there, err := n.blobKeys()
	if err != nil {
		return err
	}
	for _, k := range keys {
		if slices.ContainsFunc(there, func(t directory.BlobKey) bool { return t.ID == k.ID }) {
			continue
		}
		c, err := directory.PutBlobKey(directory.BlobKey{ID: k.ID, Key: k.Secret, Created: time.Now().UTC().Truncate(time.Second)})
		if err := n.change(ctx, c, err); err != nil {
			return fmt.Errorf("keep key %x: %w", k.ID, err)
		}
	}
	return nil
}

// forgetKeysEvery is how often the directory's leader looks whether a key that is being retired is still in
// use. A key goes when it was in use by nobody twice in a row: a pack may just have been begun.
const forgetKeysEvery = 30 * time.Second

// forgetKeys is leader work of the directory: keys that are retired are forgotten with their last object.
func (n *Node) forgetKeys(ctx context.Context) {
	tick := time.NewTicker(forgetKeysEvery)
	defer tick.Stop()
	unused := map[string]bool{} // at the last look
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var err error
		if unused, err = n.forgetKeysOnce(ctx, unused); err != nil && ctx.Err() == nil {
			n.log.Warn("keys that are retired are not forgotten yet", "error", err)
		}
	}
}

func (n *Node) forgetKeysOnce(ctx context.Context, before map[string]bool) (unused map[string]bool, err error) {
	s, err := n.BlobSetting(ctx)
	if err != nil || len(s.Retiring) == 0 {
		return nil, err
	}
	packs, all, err := n.packsByKey(ctx)
	if err != nil || !all {
		return nil, err
	}
	unused, gone := forgettable(s.Retiring, packs, before)
	for _, text := range gone {
		if err := n.forgetKey(ctx, text); err != nil {
			return unused, err
		}
	}
	return unused, nil
}

// forgettable says which of the keys that are being retired nothing is under, and which of these were so at
// the last look as well: they may go.
func forgettable(retiring []string, packs map[string]int, before map[string]bool) (unused map[string]bool, gone []string) {
	unused = map[string]bool{}
	for _, id := range retiring {
		unused[id] = packs[id] == 0
		if unused[id] && before[id] {
			gone = append(gone, id)
		}
	}
	return unused, gone
}

// forgetKey takes a key off the list of those that are retired, and forgets it.
func (n *Node) forgetKey(ctx context.Context, text string) error {
	id, err := setting.ParseKeyID(text)
	if err != nil {
		return err
	}
	if id != (blobstore.KeyID{}) {
		c, err := directory.DeleteBlobKey(id)
		if err := n.change(ctx, c, err); err != nil {
			return fmt.Errorf("forget key %s: %w", text, err)
		}
	}
	s, err := n.BlobSetting(ctx)
	if err != nil {
		return err
	}
	s.Retiring = slices.DeleteFunc(s.Retiring, func(r string) bool { return r == text })
	n.log.Info("a key of object storage is retired", "key", text)
	return n.putBlobSetting(ctx, s)
}
