package config

import (
	"fmt"
	"path/filepath"
)

// Blobs is what this node says of its own about bodies in object storage; the rest is the cluster's.
type Blobs struct {
	// CacheDir is for blocks of packs that were read; nothing else may be in it. Default: blobs in DataDir.
	CacheDir   string `toml:"cache_dir"`
	CacheBytes int64  `toml:"cache_bytes"`
	// CredentialsFile is this node's file of credentials, in place of the one that the cluster's setting names.
	CredentialsFile string `toml:"credentials_file"`
}

// leastCache is how few octets of blocks a node may keep: fewer are gone before they are read.
const leastCache = 16 << 20

func (b Blobs) check() error {
	if !filepath.IsAbs(b.CacheDir) {
		return fmt.Errorf("blobs.cache_dir = %q: use an absolute path", b.CacheDir)
	}
	if b.CacheBytes < leastCache {
		return fmt.Errorf("blobs.cache_bytes = %d: use %d (16 MiB) or more", b.CacheBytes, leastCache)
	}
	if b.CredentialsFile != "" && !filepath.IsAbs(b.CredentialsFile) {
		return fmt.Errorf("blobs.credentials_file = %q: use an absolute path", b.CredentialsFile)
	}
	return nil
}
