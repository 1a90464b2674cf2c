package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/recovery"
)

var _ adminapi.Recoverer = (*Node)(nil)

// recoveries are what Recover does, one at a time.
type recoveries struct {
	busy sync.Mutex      // held by the one that runs
	life context.Context // of the node; set before it can be asked
}

// openRecovery lets the node recover, until it stops: a recovery ends before the mail doors do.
func (n *Node) openRecovery(ctx context.Context) error {
	life, cancel := context.WithCancel(ctx)
	n.recovery.busy.Lock()
	n.recovery.life = life
	n.recovery.busy.Unlock()
	n.onStop("the recovery", func(context.Context) error {
		cancel()
		n.recovery.busy.Lock() // for ever: none begins any more
		return nil
	})
	return nil
}

// Recover fills the cluster from the packs of a lost one.
func (n *Node) Recover(ctx context.Context, ask adminapi.Recovery, progress func(adminapi.RecoveryReport)) (out adminapi.RecoveryReport, err error) {
	if !n.recovery.busy.TryLock() {
		return out, fmt.Errorf("%w: a recovery is running already, or the node is stopping", directory.ErrConflict)
	}
	defer n.recovery.busy.Unlock()
	if n.recovery.life == nil {
		return out, fmt.Errorf("%w: the node is starting: ask again in a moment", directory.ErrConflict)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.recovery.life, cancel)()
	if err := n.allLocal(); err != nil {
		return out, err
	}
	if err := ask.Setting.Check(); err != nil {
		return out, fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	keys, err := pack.ReadKeys([]byte(ask.Keys))
	if err != nil {
		return out, fmt.Errorf("%w: the key file: %w", directory.ErrInvalid, err)
	}
	bucket, err := n.openBucket(ask.Setting)
	if err != nil {
		return out, fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	made := &madeAccounts{node: n}
	report, err := recovery.Run(ctx, recovery.Config{
		Bucket: object.NewRetry(bucket, object.RetryConfig{}), Keys: keyring(keys), Cluster: ask.Cluster, Self: n.record.Cluster,
		Kept: ask.Kept, DryRun: ask.DryRun, Store: n.store, Account: made.account, Logger: n.log,
		Progress: func(r recovery.Report) { progress(made.report(r)) },
	})
	switch {
	case errors.Is(err, recovery.ErrNothing), errors.Is(err, recovery.ErrWhich):
		err = fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	case err != nil && n.recovery.life.Err() != nil:
		err = fmt.Errorf("the node was stopped: %w", err)
	}
	return made.report(report), err
}

// allLocal says whether every partition is on this node: recovery reads back what it appended.
func (n *Node) allLocal() error {
	var made directory.Cluster
	err := n.view(func(v directory.View) (err error) {
		made, err = v.Cluster()
		return err
	})
	if err != nil {
		return err
	}
	for g := cluster.GroupID(1); int(g) <= made.Partitions; g++ {
		if _, err := n.fresh(g); err != nil {
			return fmt.Errorf("%w: recovery fills a new cluster of one node, before others join: %v is not on this one (%v)", directory.ErrConflict, g, err)
		}
	}
	return nil
}

func keyring(keys []pack.ClusterKey) pack.Keys {
	return func(id blobstore.KeyID) (pack.ClusterKey, error) {
		at := slices.IndexFunc(keys, func(k pack.ClusterKey) bool { return k.ID == id })
		if at < 0 {
			return pack.ClusterKey{}, fmt.Errorf("it is not in the key file: %w", blobstore.ErrNoKey)
		}
		return keys[at], nil
	}
}

// madeAccounts makes the accounts of a recovery. Nobody knows their passwords.
type madeAccounts struct {
	node   *Node
	mu     sync.Mutex
	locked []string // guarded by mu: addresses of accounts that were made
}

// account gives the account of an address, and makes it and its domain where it is missing.
func (m *madeAccounts) account(ctx context.Context, address string) (index.AccountID, error) {
	if a, err := m.node.account(address); err == nil {
		return a.ID, nil
	} else if !errors.Is(err, directory.ErrNotFound) && !errors.Is(err, directory.ErrNoDomain) && !errors.Is(err, directory.ErrNoUser) {
		return 0, err
	}
	_, domain, _ := strings.Cut(address, "@")
	if err := m.node.PutDomain(ctx, adminapi.Domain{Name: domain}); err != nil && !errors.Is(err, directory.ErrExists) {
		return 0, fmt.Errorf("make domain %s: %w", domain, err)
	}
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return 0, fmt.Errorf("draw a password: %w", err)
	}
	made, err := m.node.AddAccount(ctx, adminapi.Account{Address: address, Password: hex.EncodeToString(secret[:])})
	if err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.locked = append(m.locked, address)
	return index.AccountID(made.ID), nil
}

func (m *madeAccounts) report(r recovery.Report) adminapi.RecoveryReport {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := adminapi.RecoveryReport{
		Packs: r.Packs, PacksRead: r.PacksRead, PacksDamaged: r.PacksDamaged, Groups: r.Groups, GroupsDone: r.GroupsDone,
		Accounts: r.Accounts, AccountsDone: r.AccountsDone, Mailboxes: r.Mailboxes, Messages: r.Messages, Bytes: r.Bytes,
		Added: r.Added, Present: r.Present, Lost: r.Lost, Faults: r.Faults, MoreFaults: r.MoreFaults, Done: r.Done,
		Locked: slices.Sorted(slices.Values(m.locked)),
	}
	if out.Faults == nil {
		out.Faults = []string{}
	}
	if out.Locked == nil {
		out.Locked = []string{}
	}
	return out
}
