// Package scrub reads all packs of a partition and says what is wrong with them: every body that the log
// refers to must be in its pack, where the log says, with octets that have their checksum. It repairs and deletes
// nothing: whoever reads the report decides.
package scrub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/blobstore/shelf"
)

// Partition is what is asked of a partition: any replica of it knows.
type Partition interface {
	// Group is the partition's number.
	Group() uint16
	// Packs tells of all packs.
	Packs(ctx context.Context) ([]blobstore.PackInfo, error)
	// Entries gives the bodies of ids that lie in a pack, with their places there, in any order. Without
	// ids it gives all that lie in the pack, which may take a walk over all bodies.
	Entries(ctx context.Context, pack uint64, ids []uint64) ([]blobstore.Entry, error)
	// Describe tells whose the bodies of ids are that lie in a pack.
	Describe(ctx context.Context, pack uint64, ids []uint64) (*blobstore.Manifest, error)
}

// Config is what a scrub works with.
type Config struct {
	Bucket object.Bucket
	Keys   pack.Keys // nil where nothing is encrypted
	// Rate is the octets a second that are read at most. 0 is no bound.
	Rate int64
	// Timeout bounds the reading of one pack. 0 is an hour, since Rate may make it slow.
	Timeout time.Duration
	// After passes over the packs up to that number, and For begins no pack after so long, so that a
	// large partition is read part by part. 0 of either is no bound.
	After uint64
	For   time.Duration
}

// Report is what was read.
type Report struct {
	Packs   int
	Bodies  int   // that messages use
	Octets  int64 // of objects
	Damaged int   // bodies that messages use and that cannot be read
	Bad     int   // packs with any damage

	Last uint64 // number of the last pack that was read
	More bool   // there are others behind it (Config.For)
}

// Add adds what another report counts.
func (r *Report) Add(o Report) {
	r.Packs += o.Packs
	r.Bodies += o.Bodies
	r.Octets += o.Octets
	r.Damaged += o.Damaged
	r.Bad += o.Bad
}

// Verify reads each pack of a partition that bodies lie in, once, and calls found for everything that is wrong. What
// is wrong at first is read again before it is told. Its error is that the partition or the store does not
// answer; the report then ends before.
func Verify(ctx context.Context, c Config, part Partition, found func(Finding)) (Report, error) {
	if c.Timeout == 0 {
		c.Timeout = time.Hour
	}
	if c.Rate > 0 {
		c.Bucket = object.NewLimit(c.Bucket, object.LimitConfig{Received: c.Rate})
	}
	packs, err := part.Packs(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("verify packs of partition %d: %w", part.Group(), err)
	}
	packs = slices.DeleteFunc(packs, func(info blobstore.PackInfo) bool { return info.LiveBodies == 0 || info.Number <= c.After })
	slices.SortFunc(packs, func(a, b blobstore.PackInfo) int { return cmp.Compare(a.Number, b.Number) })
	sum := Report{Last: c.After}
	start := time.Now()
	for i, info := range packs {
		if i > 0 && c.For > 0 && time.Since(start) >= c.For {
			sum.More = true
			break
		}
		s := &scrub{part: part, shelf: shelf.Shelf{Bucket: c.Bucket, Keys: c.Keys, Timeout: c.Timeout}, info: info}
		one, err := s.twice(ctx, found)
		if err != nil {
			return sum, fmt.Errorf("verify pack %d of partition %d: %w", info.Number, part.Group(), err)
		}
		sum.Add(one)
		sum.Last = info.Number
	}
	return sum, nil
}

// scrub is the reading of one pack.
type scrub struct {
	part  Partition
	shelf shelf.Shelf
	info  blobstore.PackInfo

	report Report
	used   map[uint64]blobstore.Entry // the bodies that messages use, as the log has them
	bad    map[uint64]string          // of these, those that are damaged, and why
	other  string                     // what is wrong besides
}

// twice reads a pack, and once more where something is wrong: it may have been on the way. A pack that the
// collector took away meanwhile has nothing wrong.
func (s *scrub) twice(ctx context.Context, found func(Finding)) (Report, error) {
	if err := s.once(ctx); err != nil {
		return Report{}, err
	}
	if len(s.bad) == 0 && s.other == "" {
		return s.report, nil
	}
	live, err := s.live(ctx)
	if err != nil || live == 0 {
		return Report{}, err
	}
	if err := s.once(ctx); err != nil {
		return Report{}, err
	}
	if len(s.bad) == 0 && s.other == "" {
		return s.report, nil
	}
	s.report.Bad, s.report.Damaged = 1, len(s.bad)
	return s.report, s.tell(ctx, found)
}

// live is how many bodies lie in the pack now.
func (s *scrub) live(ctx context.Context) (uint64, error) {
	packs, err := s.part.Packs(ctx)
	if err != nil {
		return 0, err
	}
	for _, info := range packs {
		if info.Number == s.info.Number {
			return info.LiveBodies, nil
		}
	}
	return 0, nil
}

// once reads the pack. Its error is that somebody does not answer.
func (s *scrub) once(ctx context.Context) error {
	s.report, s.bad, s.other = Report{Packs: 1}, map[uint64]string{}, ""
	c, err := s.shelf.Contents(ctx, s.info.Pack)
	if damage(err) {
		return s.lost(ctx, err)
	}
	if err != nil {
		return err
	}
	if err := s.places(ctx, c); err != nil {
		return err
	}
	sum, err := s.shelf.Verify(ctx, c, func(b blobstore.Body) { s.mark(b.Entry.Body, "its checksum does not fit") })
	s.report.Octets = sum.Size
	if err == nil {
		return nil
	}
	if !damage(err) {
		return err
	}
	for _, b := range c.Manifest.Bodies { // the object may end before them
		if b.End() > uint64(sum.Size) {
			s.mark(b.Entry.Body, "the object ends before it")
		}
	}
	s.other = err.Error()
	return nil
}

func damage(err error) bool {
	return errors.Is(err, blobstore.ErrDamaged) || errors.Is(err, blobstore.ErrFormat) || errors.Is(err, blobstore.ErrNoKey)
}

// mark notes that a body is damaged, if a message uses it.
func (s *scrub) mark(body uint64, why string) {
	if _, used := s.used[body]; used {
		s.bad[body] = why
	}
}

// lost notes that nothing in the pack can be read.
func (s *scrub) lost(ctx context.Context, why error) error {
	if err := s.use(ctx, nil); err != nil {
		return err
	}
	for id := range s.used {
		s.bad[id] = why.Error()
	}
	s.other = why.Error()
	return nil
}

// use asks the log what lies in the pack.
func (s *scrub) use(ctx context.Context, ids []uint64) error {
	entries, err := s.part.Entries(ctx, s.info.Number, ids)
	if err != nil {
		return err
	}
	s.used = make(map[uint64]blobstore.Entry, len(entries))
	for _, e := range entries {
		s.used[e.Body] = e
	}
	s.report.Bodies = len(s.used)
	return nil
}

// places holds what the log says of the pack against what the pack says of itself.
func (s *scrub) places(ctx context.Context, c *pack.Contents) error {
	if err := s.use(ctx, shelf.Bodies(c)); err != nil {
		return err
	}
	live, err := s.live(ctx)
	if err != nil {
		return err
	}
	if uint64(len(s.used)) < live { // bodies only leave a pack: some that the log means are not in this one
		if err := s.use(ctx, nil); err != nil {
			return err
		}
	}
	has := make(map[uint64]blobstore.Entry, len(c.Manifest.Bodies))
	for _, b := range c.Manifest.Bodies {
		has[b.Entry.Body] = b.Entry
	}
	for id, e := range s.used {
		there, ok := has[id]
		switch {
		case !ok:
			s.bad[id] = "the pack does not have it"
		case there.Offset != e.Offset || !slices.Equal(there.Lengths, e.Lengths):
			s.bad[id] = "the log says that it is elsewhere in the pack"
		}
	}
	return nil
}
