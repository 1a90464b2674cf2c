// Package packing is a partition as blobstore/packer and blobstore/gc know it: what is staged, whose it is,
// which packs there are, and the commands that say what became of them. It is for the partition's
// leader: it reads this node's replica and proposes. It decides nothing, and knows no object store.
package packing

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/staging"
)

// The errors of a Partition, beside those of its Proposer and Replica.
var (
	// ErrNoPack says that a pack is not there, or not in the state that was asked for, or that bodies are
	// not to be in packs.
	ErrNoPack = errors.New("no such pack is open")
	// ErrGone says that a body is not there any more, or not staged.
	ErrGone = errors.New("the body is not staged any more")
	// ErrRefused says that the state machine found a command to be no valid one.
	ErrRefused = errors.New("refused")
)

// Proposer commits a command in a group and returns its result and its position in the log.
type Proposer interface {
	Propose(ctx context.Context, g cluster.GroupID, c command.Command) (result []byte, at cluster.LogIndex, err error)
}

// Replica is this node's copy of the partition.
type Replica interface {
	Snapshot() kv.Snapshot
	WaitApplied(ctx context.Context, at cluster.LogIndex) error
}

// Config is what a Partition is made of. Fields without a default are required.
type Config struct {
	Group    cluster.GroupID
	Proposer Proposer
	// Replica returns the local replica, or cluster.ErrNoReplica.
	Replica func() (Replica, error)
	// Address is the name of an account for manifests, or empty. Nil: they have none.
	Address func(a index.AccountID) string
	// Clock gives the time that commands carry. Nil: time.Now.
	Clock func() time.Time
	// NewID gives random identities of commands. Nil: crypto/rand.
	NewID func() cluster.CommandID
}

// Partition is one partition. It is safe for concurrent use and holds nothing to be closed.
type Partition struct{ c Config }

// New returns a Partition over c.
func New(c Config) *Partition {
	if c.Address == nil {
		c.Address = func(index.AccountID) string { return "" }
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.NewID == nil {
		c.NewID = func() (id cluster.CommandID) {
			rand.Read(id[:]) // never fails, see crypto/rand
			return id
		}
	}
	return &Partition{c: c}
}

// Group is the partition's number.
func (p *Partition) Group() uint16 { return uint16(p.c.Group) }

// Frame returns a chunk of a staged body as it is stored, or ErrGone.
func (p *Partition) Frame(_ context.Context, body uint64, chunk uint32) (frame []byte, err error) {
	err = p.read(func(r kv.Reader) error {
		rec, ok, err := staging.Lookup(r, index.BodyID(body))
		if err != nil {
			return err
		}
		if !ok || rec.Pack != 0 || chunk >= rec.Chunks {
			return ErrGone
		}
		frame, err = staging.Chunk(r, index.BodyID(body), chunk)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("chunk %d of body %d of %v: %w", chunk, body, p.c.Group, err)
	}
	return frame, nil
}

// maxRestores is how often in a row a reader puts up with the state being replaced.
const maxRestores = 5

// read calls fn with a moment of the local replica, and again with another where its state was replaced
// meanwhile.
func (p *Partition) read(fn func(kv.Reader) error) error {
	for range maxRestores {
		replica, err := p.c.Replica()
		if err != nil {
			return fmt.Errorf("find replica: %w", err)
		}
		if err := once(replica.Snapshot(), fn); !errors.Is(err, kv.ErrRestored) {
			return err
		}
	}
	return fmt.Errorf("the state was replaced %d times: %w", maxRestores, cluster.ErrUnavailable)
}

func once(snap kv.Snapshot, fn func(kv.Reader) error) error {
	defer snap.Close()
	return fn(snap)
}

// propose commits a command, waits until the local replica shows it, and turns the result's code into
// an error.
func (p *Partition) propose(ctx context.Context, k command.Kind, m interface{ MarshalVT() ([]byte, error) }) (*indexpb.Result, error) {
	data, err := m.MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("encode %v: %w", k, err)
	}
	if len(data)+command.HeaderSize > cluster.MaxEntrySize {
		return nil, fmt.Errorf("%v of %d bytes: %w", k, len(data), cluster.ErrTooLarge)
	}
	c := command.Command{ID: p.c.NewID(), Kind: k, Time: p.c.Clock(), Payload: data}
	encoded, at, err := p.c.Proposer.Propose(ctx, p.c.Group, c)
	if err != nil {
		return nil, fmt.Errorf("propose %v to %v: %w", k, p.c.Group, err)
	}
	res := new(indexpb.Result)
	if err := res.UnmarshalVT(encoded); err != nil {
		return nil, fmt.Errorf("decode result of %v: %w", k, err)
	}
	replica, err := p.c.Replica()
	if err != nil {
		return nil, fmt.Errorf("find replica of %v: %w", p.c.Group, err)
	}
	if err := replica.WaitApplied(ctx, at); err != nil {
		return nil, fmt.Errorf("wait for %v to apply index %d: %w", p.c.Group, at, err)
	}
	switch res.Code {
	case indexpb.Code_CODE_OK:
		return res, nil
	case indexpb.Code_CODE_NO_PACK:
		return nil, fmt.Errorf("%v in %v: %s: %w", k, p.c.Group, res.Text, ErrNoPack)
	}
	return nil, fmt.Errorf("%v in %v: %s: %w", k, p.c.Group, res.Text, ErrRefused)
}

// info is what the record of a pack says.
func (p *Partition) info(number uint64, rec *indexpb.PackRecord) (blobstore.PackInfo, error) {
	ref := blobstore.Pack{Group: p.Group(), SealedKey: rec.SealedKey}
	if copy(ref.ID[:], rec.Id) != len(ref.ID) || len(rec.Key) != 0 && copy(ref.Key[:], rec.Key) != len(ref.Key) {
		return blobstore.PackInfo{}, fmt.Errorf("record of pack %d of %v: %w", number, p.c.Group, staging.ErrCorrupt)
	}
	return blobstore.PackInfo{
		Pack: ref, Number: number, State: blobstore.PackState(rec.State),
		Since: time.UnixMilli(rec.Since).UTC(), Created: time.UnixMilli(rec.Created).UTC(), Size: rec.Size,
		LiveBytes: rec.LiveBytes, LiveBodies: rec.LiveBodies, DeadBytes: rec.DeadBytes,
	}, nil
}
