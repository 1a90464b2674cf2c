package mailstore

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
)

// inFlight is how many chunks may be on their way into one partition, of all messages of this node.
const inFlight = 2

// upload stages the chunks of one message in its partitions.
type upload struct {
	store  *Store
	ctx    context.Context
	id     cluster.CommandID
	groups map[cluster.GroupID]bool
	tasks  errgroup.Group
	seq    uint32

	mu     sync.Mutex
	failed map[cluster.GroupID]error // guarded by mu: the first error of each partition
}

func newUpload(ctx context.Context, s *Store, accounts map[index.AccountID]cluster.GroupID) *upload {
	u := &upload{
		store: s, ctx: ctx, id: s.c.NewID(),
		groups: make(map[cluster.GroupID]bool), failed: make(map[cluster.GroupID]error),
	}
	for _, g := range accounts {
		u.groups[g] = true
	}
	u.tasks.SetLimit(inFlight * max(len(u.groups), 1))
	return u
}

// send stages the next chunk in all partitions that did not fail. It waits while as much as allowed
// is in flight.
func (u *upload) send(frame []byte) {
	cmd := &indexpb.StageChunkCommand{UploadId: u.id[:], Seq: u.seq, Chunk: frame}
	u.seq++
	for g := range u.groups {
		u.tasks.Go(func() error {
			if u.err(g) != nil {
				return nil
			}
			if err := u.stage(g, cmd); err != nil {
				u.fail(g, err)
			}
			return nil
		})
	}
}

func (u *upload) stage(g cluster.GroupID, cmd *indexpb.StageChunkCommand) error {
	release, err := u.store.gates.enter(u.ctx, g)
	if err != nil {
		return err
	}
	defer release()
	res, _, err := u.store.propose(u.ctx, g, command.StageChunk, cmd)
	if err != nil {
		return fmt.Errorf("stage chunk %d: %w", cmd.Seq, err)
	}
	return codeError(res.Code, res.Text)
}

// wait returns once nothing is in flight.
func (u *upload) wait() { _ = u.tasks.Wait() } // tasks keep their errors by partition

// err returns the first error of a partition.
func (u *upload) err(g cluster.GroupID) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failed[g]
}

func (u *upload) fail(g cluster.GroupID, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed[g] == nil {
		u.failed[g] = err
	}
}

// gates bound the chunks in flight to each partition.
type gates struct {
	mu    sync.Mutex
	slots map[cluster.GroupID]chan struct{} // guarded by mu
}

// enter waits for a slot of a partition and returns the function that gives it back.
func (t *gates) enter(ctx context.Context, g cluster.GroupID) (release func(), err error) {
	t.mu.Lock()
	slots := t.slots[g]
	if slots == nil {
		slots = make(chan struct{}, inFlight)
		t.slots[g] = slots
	}
	t.mu.Unlock()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to stage in %v: %w", g, ctx.Err())
	}
}
