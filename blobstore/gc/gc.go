// Package gc collects what is dead in object storage: packs below half live are rewritten, small ones
// merged, and the objects of doomed packs deleted after a grace time. What is dead it reads in the
// partition's log and nowhere else: no bucket is ever listed to find what to delete. The packs' records
// are the plan that is written down, each step may be done again, and another leader goes on where one
// stopped. Making packs is blobstore/packer's.
package gc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
)

// Partition is what is asked of a partition's leader.
type Partition interface {
	// Group is the partition's number.
	Group() uint16
	// Status tells the mode.
	Status(ctx context.Context) (blobstore.Backlog, error)
	// Packs tells of all packs.
	Packs(ctx context.Context) ([]blobstore.PackInfo, error)
	// Forget drops the records of doomed packs, whose objects are deleted.
	Forget(ctx context.Context, numbers []uint64) error
}

// Maker makes new packs of old ones: a packer.Worker of the partition.
type Maker interface {
	// Rewrite puts the live bodies of packs into one new pack, of so many octets. The log then counts
	// nothing live in the old ones.
	Rewrite(ctx context.Context, packs []blobstore.PackInfo) (octets int64, err error)
}

// Config is what a Collector works with.
type Config struct {
	Bucket object.Bucket
	Policy func() Policy
	// Every is the time between two looks at a partition. 0 is ten minutes.
	Every time.Duration
	// Timeout bounds one deletion. 0 is 30 s.
	Timeout time.Duration
	Now     func() time.Time
	Logger  *slog.Logger
}

// Collector collects in the partitions that a node leads.
type Collector struct{ Config }

// New returns a Collector.
func New(c Config) *Collector {
	if c.Every == 0 {
		c.Every = 10 * time.Minute
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	return &Collector{c}
}

// Report is what a Collect did.
type Report struct {
	Rewritten int   // packs whose bodies are in new ones
	Made      int   // new packs
	Octets    int64 // of the new packs
	Deleted   int   // objects
	Freed     int64 // octets of the deleted objects, as far as the log knows their sizes
}

// Run collects in a partition until ctx ends: as long as this node leads it.
func (c *Collector) Run(ctx context.Context, part Partition, maker Maker) {
	for {
		if object.Pause(ctx, c.Every) != nil {
			return
		}
		r, err := c.Collect(ctx, part, maker, c.Policy())
		switch {
		case ctx.Err() != nil:
		case err != nil:
			c.Logger.Warn("collecting packs goes on later", "partition", part.Group(), "err", err)
		case r != Report{}:
			c.Logger.Info("packs collected", "partition", part.Group(), "rewritten", r.Rewritten, "made", r.Made,
				"deleted", r.Deleted, "freed", r.Freed)
		}
	}
}

// Collect plans once and does all steps of the plan. A step that fails keeps the others from nothing; the
// first error is returned with what was done.
func (c *Collector) Collect(ctx context.Context, part Partition, maker Maker, policy Policy) (Report, error) {
	var r Report
	backlog, err := part.Status(ctx)
	if err != nil {
		return r, fmt.Errorf("collect in partition %d: %w", part.Group(), err)
	}
	packs, err := part.Packs(ctx)
	if err != nil {
		return r, fmt.Errorf("collect in partition %d: %w", part.Group(), err)
	}
	plan := policy.Plan(backlog.Mode, packs, c.Now())
	errs := []error{c.delete(ctx, part, plan.Delete, &r)}
	for _, group := range plan.Rewrite {
		if ctx.Err() != nil {
			break
		}
		octets, err := maker.Rewrite(ctx, group)
		if err != nil {
			errs = append(errs, fmt.Errorf("rewrite packs %s of partition %d: %w", numbers(group), part.Group(), err))
			continue
		}
		r.Rewritten += len(group)
		if octets > 0 {
			r.Made++
			r.Octets += octets
		}
	}
	return r, errors.Join(errs...)
}

// delete deletes the objects of packs and then drops the records of those that are gone.
func (c *Collector) delete(ctx context.Context, part Partition, packs []blobstore.PackInfo, r *Report) error {
	var gone []uint64
	var failed error
	for _, info := range packs {
		if err := c.deleteOne(ctx, info); err != nil {
			failed = err
			break // the store is asked again at the next look
		}
		gone = append(gone, info.Number)
		r.Freed += int64(info.Size)
	}
	if len(gone) == 0 {
		return failed
	}
	if err := part.Forget(ctx, gone); err != nil {
		return errors.Join(failed, fmt.Errorf("forget %d packs of partition %d: %w", len(gone), part.Group(), err))
	}
	r.Deleted += len(gone)
	return failed
}

func (c *Collector) deleteOne(ctx context.Context, info blobstore.PackInfo) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if err := c.Bucket.Delete(ctx, info.Object()); err != nil {
		return fmt.Errorf("delete pack %d of partition %d: %w", info.Number, info.Group, err)
	}
	return nil
}
