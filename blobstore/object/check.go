package object

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
)

// Shortcoming says what a store does not let us do, or does wrong.
type Shortcoming struct {
	Step       string // what was tried: write, ranged read, list, stat, delete
	Permission string // what the credentials need for it in terms of S3: s3:PutObject
	Err        error
}

// Error implements error.
func (s *Shortcoming) Error() string {
	if errors.Is(s.Err, ErrDenied) {
		return fmt.Sprintf("the %s failed, which needs the permission %s: %v", s.Step, s.Permission, s.Err)
	}
	return fmt.Sprintf("the %s failed: %v", s.Step, s.Err)
}

// Unwrap gives the cause.
func (s *Shortcoming) Unwrap() error { return s.Err }

// checkFolder is where Check puts its object.
const checkFolder = "check/"

// Check tries all that a store has to do: a write, a ranged read, the size, a list and a delete, and that
// each has the effect that it should have. The error is a *Shortcoming that names the step, or ctx's.
func Check(ctx context.Context, b Bucket) error {
	c := check{bucket: b, name: checkFolder + random(), octets: []byte("Rookery asks whether it may write here.\n")}
	for _, step := range []struct {
		name, permission string
		do               func(context.Context) error
	}{
		{"write", "s3:PutObject", c.write},
		{"ranged read", "s3:GetObject", c.read},
		{"stat", "s3:GetObject", c.stat},
		{"list", "s3:ListBucket", c.list},
		{"delete", "s3:DeleteObject", c.delete},
	} {
		err := step.do(ctx)
		if err == nil {
			continue
		}
		if step.name != "write" && step.name != "delete" {
			_ = b.Delete(ctx, c.name) // the error counts
		}
		if ctx.Err() != nil {
			return fmt.Errorf("check the object store: %w", ctx.Err())
		}
		return &Shortcoming{step.name, step.permission, err}
	}
	return nil
}

// random makes a name that no other check uses.
func random() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// check is one run of Check.
type check struct {
	bucket Bucket
	name   string
	octets []byte
}

func (c *check) write(ctx context.Context) error {
	return c.bucket.Put(ctx, c.name, bytes.NewReader(c.octets), int64(len(c.octets)))
}

func (c *check) read(ctx context.Context) error {
	const from, to = 8, 20
	r, err := c.bucket.Get(ctx, c.name, from, to-from)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if !bytes.Equal(got, c.octets[from:to]) {
		return fmt.Errorf("%w: octets %d to %d are %q", blobstore.ErrDamaged, from, to, got)
	}
	return nil
}

func (c *check) stat(ctx context.Context) error {
	info, err := c.bucket.Stat(ctx, c.name)
	if err == nil && info.Size != int64(len(c.octets)) {
		err = fmt.Errorf("%w: %d octets of %d", blobstore.ErrDamaged, info.Size, len(c.octets))
	}
	return err
}

func (c *check) list(ctx context.Context) error {
	found, err := c.listed(ctx)
	if err == nil && !found {
		err = errors.New("an object that was written is not listed")
	}
	return err
}

func (c *check) listed(ctx context.Context) (found bool, err error) {
	err = c.bucket.List(ctx, c.name, func(i Info) error {
		found = found || i.Name == c.name
		return nil
	})
	return found, err
}

func (c *check) delete(ctx context.Context) error {
	if err := c.bucket.Delete(ctx, c.name); err != nil {
		return err
	}
	found, err := c.listed(ctx)
	if err == nil && found {
		err = errors.New("an object that was deleted is still listed")
	}
	return err
}

// markerName is the object that says whose the prefix is.
const markerName = "rookery.json"

// marker is what stands in it. Fields are added, never given another meaning.
type marker struct {
	Format  int       `json:"format"` // 1
	Cluster string    `json:"cluster"`
	Since   time.Time `json:"since"`
}

// ForeignError says that a prefix belongs to another cluster.
type ForeignError struct{ Cluster string }

// Error implements error.
func (f *ForeignError) Error() string {
	return fmt.Sprintf("the bucket and prefix belong to the cluster %s: two clusters must not share one", f.Cluster)
}

// Owner is the id of the cluster that the prefix belongs to, "" for none.
func Owner(ctx context.Context, b Bucket) (cluster string, err error) {
	r, err := b.Get(ctx, markerName, 0, -1)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read whose the prefix is: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(r, 64<<10))
	if err := errors.Join(err, r.Close()); err != nil {
		return "", fmt.Errorf("read whose the prefix is: %w", err)
	}
	var m marker
	if err := json.Unmarshal(data, &m); err != nil || m.Cluster == "" {
		return "", fmt.Errorf("read whose the prefix is: %s is not Rookery's: %w", markerName, blobstore.ErrDamaged)
	}
	return m.Cluster, nil
}

// Claim makes the prefix belong to a cluster, as it may already; now stands in the marker. One that
// belongs to another cluster is a *ForeignError.
func Claim(ctx context.Context, b Bucket, cluster string, now time.Time) error {
	owner, err := Owner(ctx, b)
	if err != nil {
		return err
	}
	if owner == "" {
		data, err := json.Marshal(marker{1, cluster, now.UTC()})
		if err == nil {
			err = b.Put(ctx, markerName, bytes.NewReader(data), int64(len(data)))
		}
		if err != nil {
			return fmt.Errorf("write whose the prefix is: %w", err)
		}
		// Another cluster may have done so at the same time: what is there now counts.
		if owner, err = Owner(ctx, b); err != nil {
			return err
		}
	}
	if owner != cluster {
		return &ForeignError{owner}
	}
	return nil
}
