package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/index/recovery/plan"
)

// folder is what the names of packs begin with.
const folder = "packs/"

// atOnce is how many manifests are read at a time.
const atOnce = 8

// list gives the names of all packs, by partition.
func (r *run) list(ctx context.Context) (map[uint16][]string, error) {
	groups := map[uint16][]string{}
	err := r.c.Bucket.List(ctx, folder, func(i object.Info) error {
		p, err := blobstore.ReadObject(i.Name)
		if err != nil {
			r.fault("object %s: it does not have the name of a pack", i.Name)
			return nil
		}
		groups[p.Group] = append(groups[p.Group], i.Name)
		r.tell(func(report *Report) { report.Packs++ })
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the packs: %w", err)
	}
	if len(groups) == 0 {
		return nil, fmt.Errorf("%w: no object's name begins with %s", ErrNothing, folder)
	}
	r.tell(func(report *Report) { report.Groups = len(groups) })
	return groups, nil
}

// survey reads all manifests, a partition's at a time, and decides about the accounts.
func (r *run) survey(ctx context.Context, groups map[uint16][]string) (plan.Verdict, string, error) {
	clusters := map[string]int{}
	census := map[string]*plan.Census{}
	for _, names := range groups {
		packs, err := r.read(ctx, names, true)
		if err != nil {
			return plan.Verdict{}, "", err
		}
		for _, p := range packs {
			name := p.Manifest.Cluster
			clusters[name]++
			if census[name] == nil {
				census[name] = &plan.Census{}
			}
			census[name].Add(p.Manifest)
		}
	}
	cluster, err := r.which(clusters)
	if err != nil {
		return plan.Verdict{}, "", err
	}
	return census[cluster].Verdict(), cluster, nil
}

// read reads the manifests of packs. A pack that is damaged, or encrypted under another key, is a fault, which
// is told the first time; another error is the store's and ends it.
func (r *run) read(ctx context.Context, names []string, first bool) ([]*pack.Contents, error) {
	var mu sync.Mutex
	var packs []*pack.Contents
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(atOnce)
	for _, name := range names {
		tasks.Go(func() error {
			p, err := r.open(ctx, name)
			switch {
			case err == nil:
				mu.Lock()
				packs = append(packs, p)
				mu.Unlock()
			case !ofPack(err):
				return fmt.Errorf("read pack %s: %w", name, err)
			case first:
				r.fault("pack %s: %v", name, err)
			}
			if first {
				r.tell(func(report *Report) {
					if err == nil {
						report.PacksRead++
					} else {
						report.PacksDamaged++
					}
				})
			}
			return nil
		})
	}
	return packs, tasks.Wait()
}

// ofPack says whether an error is one of the pack and not of the store: another pack may go well.
func ofPack(err error) bool {
	return errors.Is(err, blobstore.ErrDamaged) || errors.Is(err, blobstore.ErrFormat) || errors.Is(err, blobstore.ErrNoKey) ||
		errors.Is(err, object.ErrNotFound)
}

func (r *run) open(ctx context.Context, name string) (*pack.Contents, error) {
	info, err := r.c.Bucket.Stat(ctx, name)
	if err != nil {
		return nil, err
	}
	p, err := pack.Read(stored{ctx, r.c.Bucket, name}, info.Size, r.c.Keys)
	if err != nil {
		return nil, err
	}
	if p.Pack.Object() != name {
		return nil, fmt.Errorf("it says that it is %s: %w", p.Pack.Object(), blobstore.ErrDamaged)
	}
	return p, nil
}

// stored reads an object by ranges.
type stored struct {
	ctx    context.Context
	bucket object.Bucket
	name   string
}

// ReadAt implements io.ReaderAt.
func (s stored) ReadAt(octets []byte, offset int64) (n int, err error) {
	body, err := s.bucket.Get(s.ctx, s.name, offset, int64(len(octets)))
	if err != nil {
		return 0, err
	}
	n, err = io.ReadFull(body, octets)
	return n, errors.Join(err, body.Close())
}
