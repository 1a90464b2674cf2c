// Package recovery fills a new cluster from the packs of a lost one. It reads a bucket and, through
// index/mailstore, makes mailboxes and appends messages; which account and whose word counts is decided by
// index/recovery/plan. It makes no accounts itself, changes nothing in the bucket, and mends no pack.
package recovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/frame"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/recovery/plan"
)

// Errors of Run that an operator acts on.
var (
	// ErrNothing says that there is no pack to recover from.
	ErrNothing = errors.New("no packs there")
	// ErrWhich says that packs of several clusters are there, or none of the one that was named.
	ErrWhich = errors.New("packs of which cluster?")
)

// Config is what Run needs. Fields without a default are required.
type Config struct {
	Bucket  object.Bucket // one that asks again
	Keys    pack.Keys     // nil: no pack is encrypted
	Cluster string        // whose packs; empty: those of the only cluster that has some
	Self    string        // the cluster that is filled: its own packs are not recovered
	Kept    bool          // expunged mail that was kept for undelete comes back too
	DryRun  bool          // nothing is made
	Store   *mailstore.Store
	// Account gives the account of an address, and makes it where it is missing. An error that is no
	// cluster.ErrUnavailable is the account's, and the others go on.
	Account func(ctx context.Context, address string) (index.AccountID, error)
	// Progress is told every second how far it has come. Nil: nobody asks.
	Progress func(Report)
	Logger   *slog.Logger  // nil: none
	Pause    time.Duration // before a mailbox is tried again while the cluster or the store is unavailable; default 2 s
	Tries    int           // of a mailbox; default 30
}

// maxFaults is how many faults a report tells in words.
const maxFaults = 1000

// workers is how many accounts are filled at a time; each holds a few MiB.
const workers = 4

// Report is how far a recovery has come, and in the end what became of it.
type Report struct {
	Packs        int // objects that may be packs
	PacksRead    int // whose manifest was read
	PacksDamaged int // whose was not
	Groups       int // partitions of the lost cluster
	GroupsDone   int
	Accounts     int // found so far
	AccountsDone int
	Mailboxes    int      // filled so far
	Messages     uint64   // found so far
	Bytes        uint64   // octets of them
	Added        uint64   // messages appended by this run
	Present      uint64   // that had been appended by an earlier one
	Lost         uint64   // that could not be read or appended
	Faults       []string // what went wrong, and where: the first thousand
	MoreFaults   int      // how many went wrong beside
	Done         bool
}

// run is one recovery.
type run struct {
	c     Config
	codec *frame.Codec

	mu     sync.Mutex
	report Report // guarded by mu
}

// Run recovers. What is damaged is told in the report and passed over. An error ends it: when it is
// run again, it goes on where it was, and appends nothing twice.
func Run(ctx context.Context, c Config) (Report, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Pause == 0 {
		c.Pause = 2 * time.Second
	}
	if c.Tries == 0 {
		c.Tries = 30
	}
	r := &run{c: c, codec: frame.New()}
	stop := r.show()
	err := r.all(ctx)
	stop()
	r.tell(func(report *Report) { report.Done = err == nil })
	return r.now(), err
}

func (r *run) all(ctx context.Context) error {
	groups, err := r.list(ctx)
	if err != nil {
		return err
	}
	verdict, cluster, err := r.survey(ctx, groups)
	if err != nil {
		return err
	}
	for _, n := range verdict.Nameless {
		r.fault("account %d of partition %d: no pack says what its address was; its mail is not recovered", n.Owner, n.Group)
	}
	for _, f := range verdict.Former {
		r.fault("account %d of partition %d: its address %s went to another account later; its mail is not recovered", f.Owner, f.Group, f.Address)
	}
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		if err := r.group(ctx, g, groups[g], verdict, cluster); err != nil {
			return fmt.Errorf("recover partition %d: %w", g, err)
		}
		r.tell(func(report *Report) { report.GroupsDone++ })
	}
	return nil
}

// group recovers the accounts of one partition.
func (r *run) group(ctx context.Context, g uint16, names []string, verdict plan.Verdict, cluster string) error {
	packs, err := r.read(ctx, names, false)
	if err != nil {
		return err
	}
	packs = slices.DeleteFunc(packs, func(p *pack.Contents) bool { return p.Manifest.Cluster != cluster })
	accounts := plan.Merge(packs, func(owner uint64) (string, bool) {
		address, ok := verdict.Addresses[plan.Place{Group: g, Owner: owner}]
		return address, ok
	}, r.c.Kept)
	r.tell(func(report *Report) {
		report.Accounts += len(accounts)
		for _, a := range accounts {
			for _, box := range a.Mailboxes {
				report.Messages += uint64(len(box.Messages))
				for _, m := range box.Messages {
					report.Bytes += m.Copies[0].Body.Size
				}
			}
		}
	})
	if r.c.DryRun {
		return nil
	}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(workers)
	for _, a := range accounts {
		tasks.Go(func() error { return r.account(ctx, a) })
	}
	return tasks.Wait()
}

// which decides whose packs are recovered.
func (r *run) which(clusters map[string]int) (string, error) {
	names := slices.Sorted(maps.Keys(clusters))
	if len(names) == 0 {
		return "", fmt.Errorf("%w that could be read", ErrNothing)
	}
	if r.c.Cluster == "" {
		names = slices.DeleteFunc(names, func(name string) bool { return name == r.c.Self })
		switch len(names) {
		case 0:
			return "", fmt.Errorf("%w but those of this cluster itself, which has its mail", ErrNothing)
		case 1:
			return names[0], nil
		}
		return "", fmt.Errorf("%w There are some of %s: name one", ErrWhich, strings.Join(names, ", "))
	}
	if clusters[r.c.Cluster] == 0 {
		return "", fmt.Errorf("%w There are none of %s, but of %s", ErrWhich, r.c.Cluster, strings.Join(names, ", "))
	}
	if r.c.Cluster == r.c.Self {
		return "", fmt.Errorf("%w but those of this cluster itself, which has its mail", ErrNothing)
	}
	return r.c.Cluster, nil
}

// show tells of the progress until the function it returns is called, which waits for that.
func (r *run) show() (stop func()) {
	if r.c.Progress == nil {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				r.c.Progress(r.now())
			}
		}
	}()
	return func() { close(end); <-ended }
}

// tell changes the report.
func (r *run) tell(change func(*Report)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.report)
}

func (r *run) now() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.report
	out.Faults = slices.Clone(out.Faults)
	return out
}

func (r *run) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.c.Logger.Warn("not all can be recovered", "what", text)
	r.tell(func(report *Report) {
		if len(report.Faults) < maxFaults {
			report.Faults = append(report.Faults, text)
		} else {
			report.MoreFaults++
		}
	})
}
