// Package floor is the least that a replicated store can do: hashicorp/raft over its own TCP transport, its log
// in a synced Pebble, its state in a Pebble without a write-ahead log, one group, nothing else. A bench commits
// the octets of messages through it to see how far a mail server is from that floor. It speaks no mail, takes no
// snapshots and keeps no promise beyond a run.
package floor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// Config says which replica to run.
type Config struct {
	Dir     string   // its files
	Address string   // host:port of its Raft transport; its name as well
	Peers   []string // the addresses of all replicas, its own among them
}

// The limits of the Raft library's work: as large as makes sense for entries of a few KiB.
const (
	batchEntries = 256
	cacheEntries = 4096 // kept in memory, so that replication reads nothing from the disk
	raftTimeout  = 10 * time.Second
)

// Replica is one replica of the group.
type Replica struct {
	raft      *raft.Raft
	transport *raft.NetworkTransport
	log       *log
	state     *state
}

// Open starts a replica. The group forms by itself when most of its replicas run.
func Open(cfg Config) (_ *Replica, err error) {
	r := &Replica{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.log, err = openLog(cfg.Dir); err != nil {
		return nil, err
	}
	if r.state, err = openState(cfg.Dir); err != nil {
		return nil, err
	}
	advertise, err := net.ResolveTCPAddr("tcp", cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", cfg.Address, err)
	}
	quiet := hclog.NewNullLogger()
	if r.transport, err = raft.NewTCPTransportWithLogger(cfg.Address, advertise, len(cfg.Peers), raftTimeout, quiet); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", cfg.Address, err)
	}
	cache, err := raft.NewLogCache(cacheEntries, r.log)
	if err != nil {
		return nil, fmt.Errorf("make the log's cache: %w", err)
	}
	settings := raft.DefaultConfig()
	settings.LocalID = raft.ServerID(cfg.Address)
	settings.MaxAppendEntries, settings.BatchApplyCh = batchEntries, true
	settings.SnapshotThreshold, settings.NoLegacyTelemetry = math.MaxUint64, true
	settings.Logger = quiet
	snapshots := raft.NewDiscardSnapshotStore()
	var servers []raft.Server
	for _, p := range cfg.Peers {
		servers = append(servers, raft.Server{ID: raft.ServerID(p), Address: raft.ServerAddress(p)})
	}
	if err := raft.BootstrapCluster(settings, cache, r.log, snapshots, r.transport, raft.Configuration{Servers: servers}); err != nil {
		return nil, fmt.Errorf("bootstrap: %w", err)
	}
	if r.raft, err = raft.NewRaft(settings, r.state, cache, r.log, snapshots, r.transport); err != nil {
		return nil, fmt.Errorf("start Raft: %w", err)
	}
	return r, nil
}

// Leads tells whether this replica takes entries.
func (r *Replica) Leads() bool { return r.raft.State() == raft.Leader }

// Commit commits the entries n times in all, one after the other, so many at once as concurrency says, and
// returns when each is applied here.
func (r *Replica) Commit(ctx context.Context, entries [][]byte, n, concurrency int) error {
	if len(entries) == 0 {
		return errors.New("nothing to commit")
	}
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error // guarded by mu
	)
	for range concurrency {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := r.raft.Apply(entries[i%len(entries)], raftTimeout).Error(); err != nil {
					mu.Lock()
					defer mu.Unlock()
					first = fmt.Errorf("commit entry %d: %w", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(first, ctx.Err())
}

// Close ends the replica. What it keeps is of no use afterwards.
func (r *Replica) Close() error {
	var errs []error
	if r.raft != nil {
		errs = append(errs, r.raft.Shutdown().Error())
	}
	if r.transport != nil {
		errs = append(errs, r.transport.Close())
	}
	if r.state != nil {
		errs = append(errs, r.state.db.Close())
	}
	if r.log != nil {
		errs = append(errs, r.log.db.Close())
	}
	return errors.Join(errs...)
}
