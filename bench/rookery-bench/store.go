package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rookery-mail/rookery/bench/scenario"
	"github.com/rookery-mail/rookery/deploy/stores"
)

// store is versitygw in a directory of its own.
type store struct {
	*stores.Store
	dir string
}

var _ scenario.Store = (*store)(nil)

// startStore starts versitygw with its files under parent, "" for the system's temporary directory.
func startStore(ctx context.Context, parent string) (scenario.Store, error) {
	dir, err := os.MkdirTemp(parent, "rookery-bench-store-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the store: %w", err)
	}
	s, err := stores.Start(ctx, stores.Config{Kind: stores.Versitygw, Dir: dir, Slowable: true})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &store{s, dir}, nil
}

// storePrefix is where the cluster's objects are in the bucket.
const storePrefix = "bench/"

// URL is the bucket and the prefix.
func (s *store) URL() string { return "s3://" + s.Bucket() + "/" + storePrefix }

// Flags are those of `rookery blob use`.
func (s *store) Flags() []string {
	return []string{"--endpoint", s.Endpoint(), "--region", s.Region(), "--style", "path", "--credentials-file", s.CredentialsFile()}
}

// Stored counts the packs.
func (s *store) Stored(ctx context.Context) (objects int, octets int64, err error) {
	list, err := s.Objects(ctx, storePrefix+"packs/")
	for _, o := range list {
		octets += o.Size
	}
	return len(list), octets, err
}

// Close ends the store and removes its files.
func (s *store) Close() error {
	s.Store.Close()
	return os.RemoveAll(s.dir)
}
