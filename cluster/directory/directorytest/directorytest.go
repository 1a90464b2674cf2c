// Package directorytest is a directory in memory, without a log or a disk, for tests of what reads the
// directory. It executes commands with the real machine. It is not a cluster: see cluster/clustertest.
package directorytest

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/credential"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// Iterations is the PBKDF2 count of the passwords that AddAccount makes: the lowest, tests are many.
const Iterations = credential.MinIterations

// Directory is one directory in memory.
type Directory struct {
	Machine *directory.Machine

	mu    sync.Mutex
	store Store            // guarded by mu
	index cluster.LogIndex // guarded by mu
}

// New returns an initialised directory of four partitions with the domains that are named.
func New(t testing.TB, domains ...string) *Directory {
	t.Helper()
	d := &Directory{Machine: directory.New()}
	gossip := make([]byte, 32)
	d.Must(t)(directory.InitialiseCluster(directory.ClusterSpec{ID: "test", Partitions: 4, GossipKey: gossip}))
	for _, name := range domains {
		d.Must(t)(directory.CreateDomain(name, ""))
	}
	return d
}

// Execute executes a command; the time of one that has none is 2026-01-02 03:04:05 UTC.
func (d *Directory) Execute(c command.Command) (directory.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.index++
	c.Index = d.index
	binary.BigEndian.PutUint64(c.ID[:], uint64(d.index))
	if c.Time.IsZero() {
		c.Time = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	}
	data, err := d.Machine.Execute(&d.store, c)
	if err != nil {
		return directory.Result{}, err
	}
	d.Machine.Committed(d.index)
	return directory.DecodeResult(data)
}

// Must returns a function that executes a built command and ends the test if it is refused.
func (d *Directory) Must(t testing.TB) func(command.Command, error) directory.Result {
	return func(c command.Command, err error) directory.Result {
		t.Helper()
		if err != nil {
			t.Fatalf("build a command: %v", err)
		}
		result, err := d.Execute(c)
		if err != nil {
			t.Fatalf("execute %v: %v", c.Kind, err)
		}
		return result
	}
}

// AddAccount makes an account with a password, or without one where it is empty.
func (d *Directory) AddAccount(t testing.TB, address, password string) cluster.AccountID {
	t.Helper()
	spec := directory.AccountSpec{Address: address}
	if password != "" {
		c, err := credential.Derive(password, []byte("salt of "+address), Iterations)
		if err != nil {
			t.Fatalf("derive the credential of %s: %v", address, err)
		}
		spec.Credential = c
	}
	return d.Must(t)(directory.CreateAccount(spec)).Account
}

// Snapshot is the directory as it is now.
func (d *Directory) Snapshot() kv.Snapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.store.Snapshot()
}

// View reads the directory as it is now.
func (d *Directory) View() directory.View { return directory.View{R: d.Snapshot()} }
