package mailstore

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index/indexpb"
)

// How many chunks may be on their way into one partition: of one message, and of all messages of this node.
const (
	inFlight    = 2
	allInFlight = 4
)

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

func newUpload(ctx context.Context, s *Store, groups map[cluster.GroupID]bool) *upload {
	u := &upload{store: s, ctx: ctx, id: s.c.NewID(), groups: groups, failed: make(map[cluster.GroupID]error)}
	for g := range groups {
		if err := s.room(g); err != nil {
			u.failed[g] = err
		}
	}
	u.tasks.SetLimit(inFlight * max(len(u.groups), 1))
	return u
}

// send stages the next chunk in all partitions that did not fail. It waits while as much as allowed
// is in flight. The frame is the caller's again when it returns.
func (u *upload) send(frame []byte) {
	cmd := indexpb.StageChunkCommand{UploadId: u.id[:], Seq: u.seq, Chunk: frame}
	data, err := cmd.MarshalVT()
	seq := u.seq
	u.seq++
	for g := range u.groups {
		if err != nil {
			u.fail(g, fmt.Errorf("encode chunk %d: %w", seq, err))
			continue
		}
		u.tasks.Go(func() error {
			if u.err(g) != nil {
				return nil
			}
			if err := u.stage(g, seq, data); err != nil {
				u.fail(g, err)
			}
			return nil
		})
	}
}

func (u *upload) stage(g cluster.GroupID, seq uint32, data []byte) error {
	release, err := u.store.gates.enter(u.ctx, g)
	if err != nil {
		return err
	}
	defer release()
	res, _, err := u.store.proposeEncoded(u.ctx, g, command.StageChunk, data)
	if err != nil {
		return fmt.Errorf("stage chunk %d: %w", seq, err)
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
		slots = make(chan struct{}, allInFlight)
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
