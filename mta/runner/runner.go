// Package runner does the work of a partition's outbound queue (mta/queue) while its node leads: it takes what is due,
// claims it in the log, has attempts made (mta/remote), and tells the log what became of them, with the reports
// (mta/dsn) in the same step. What it claimed and did not settle, because it was deposed or killed, the next leader
// takes back.
package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/shaping"
)

// Incoming is a report on its way into the store; mailstore.Incoming is one.
type Incoming interface {
	Write(p []byte) (int, error)
	Deliver(ctx context.Context, d mailstore.Delivery) ([]mailstore.Outcome, error)
	Discard()
}

// Store is the mail store as the queue needs it.
type Store interface {
	// OpenStored opens a body of a partition by its id. The caller closes it.
	OpenStored(ctx context.Context, g cluster.GroupID, id index.BodyID) (mailstore.Body, error)
	// NewReport begins a message for an account, with trace fields in front.
	NewReport(ctx context.Context, account index.AccountID, trace []byte) Incoming
}

// Sender makes an attempt; *remote.Client is one.
type Sender interface {
	Deliver(ctx context.Context, job remote.Job) []remote.Result
}

// Proposer commits a command of a group and returns its result.
type Proposer interface {
	Propose(ctx context.Context, g cluster.GroupID, c command.Command) ([]byte, cluster.LogIndex, error)
}

// Lanes bound the attempts that go on at a time; shaping.Sites are some.
type Lanes interface {
	// Free is how many for a domain may begin and, where that is none, when to ask again.
	Free(domain string) (n int, again time.Time)
	// Enter begins one, ok false where there is no room.
	Enter(domain string) (l *shaping.Lane, ok bool)
}

var _ Lanes = (*shaping.Sites)(nil)

// Config is what a Runner works with. Fields without a default are required.
type Config struct {
	Group    cluster.GroupID
	Node     cluster.NodeID
	Hostname string // ours, in reports
	Snapshot func() (kv.Snapshot, error)
	Proposer Proposer
	Store    Store
	Sender   Sender
	Lanes    Lanes                                 // of the node: how much at a time
	Told     func(queue.Arrival) *mailstore.Around // has the stories of reports be kept; nil: there are none
	Wake     func() <-chan struct{}                // closed when something was queued or changed since the call
	NewID    func() cluster.CommandID
	ReportID func() mta.ID
	Clock    func() time.Time // nil: time.Now
	// Schedule is the time from one attempt to the next, the last again and again; at least one. Nil: a usual one.
	Schedule func() []time.Duration
	Gate     *Gate        // of the partition on this node; nil: always open
	Logger   *slog.Logger // nil: none
}

// Runner is the worker of one partition.
type Runner struct {
	c    Config
	term uint64
	jobs errgroup.Group
	done chan struct{} // of capacity one: a job has ended

	outcomes *settling
	alarms   alarms
	walk     walk
}

// New makes a Runner.
func New(c Config) *Runner {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Schedule == nil {
		c.Schedule = schedule
	}
	if c.Gate == nil {
		c.Gate = new(Gate)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Runner{c: c, done: make(chan struct{}, 1), outcomes: newSettling(), alarms: newAlarms()}
}

// The pace of Run: how long it waits at most and at least, and after an error. In a busy queue something changes with each step
// of each message; what comes within gather is looked at, and claimed, together.
const (
	look   = 30 * time.Second
	gather = 50 * time.Millisecond
	pause  = time.Second
)

// Run works until ctx ends, for the leader of a term. Attempts that are under way then are broken off.
func (r *Runner) Run(ctx context.Context, term uint64) {
	r.term = term
	r.jobs.Go(func() error { r.settle(ctx); return nil })
	defer func() {
		_ = r.jobs.Wait() // jobs return no errors
		r.outcomes.drop()
	}()
	var looked time.Time
	for taken := false; ctx.Err() == nil; {
		r.c.Gate.wait(ctx)
		sleep(ctx, gather-time.Since(looked))
		looked = time.Now()
		wake := r.c.Wake()
		var wait time.Duration
		var err error
		if !taken {
			if err = r.retake(ctx); err == nil {
				taken = true
			}
		}
		if err == nil {
			wait, err = r.round(ctx)
		}
		if err != nil && ctx.Err() == nil {
			r.c.Logger.Warn("the outbound queue waits", "group", r.c.Group.String(), "error", err)
			wait = pause
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-r.done:
		case late := <-r.alarms.done:
			r.alarms.end(late, r.c.Clock())
		case <-timer.C:
		}
		timer.Stop()
	}
}

// retake takes back what leaders before had claimed.
func (r *Runner) retake(ctx context.Context) error {
	for {
		some, err := r.anyClaimed()
		if err != nil || !some {
			return err
		}
		res, err := r.propose(ctx, command.RetakeClaims, &queuepb.RetakeCommand{Term: r.term})
		if err != nil {
			return fmt.Errorf("take back what was claimed before: %w", err)
		}
		if res.Changed > 0 {
			r.c.Logger.Info("attempts of a leader before are not known to have ended", "group", r.c.Group.String(), "recipients", res.Changed)
		}
		if !res.More {
			return nil
		}
	}
}

func (r *Runner) anyClaimed() (some bool, err error) {
	err = r.read(func(s kv.Reader) error {
		some, err = queue.AnyClaimed(s)
		return err
	})
	return some, err
}

// read calls fn with the state of this moment.
func (r *Runner) read(fn func(kv.Reader) error) error {
	s, err := r.c.Snapshot()
	if err != nil {
		return fmt.Errorf("read the queue: %w", err)
	}
	defer s.Close()
	return fn(s)
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// wake has Run look again.
func (r *Runner) wake() {
	select {
	case r.done <- struct{}{}:
	default:
	}
}

// round starts what is due and has a lane, and says when to look again at the latest.
func (r *Runner) round(ctx context.Context) (time.Duration, error) {
	now := r.c.Clock()
	var work []*job
	var late []queue.EntryID
	next := now.Add(look)
	err := r.read(func(s kv.Reader) (err error) {
		if work, next, err = r.due(s, now, next); err != nil {
			return err
		}
		late, next, err = r.alarms.look(s, now, next)
		return err
	})
	if err != nil {
		r.drop(work)
		return 0, err
	}
	r.sound(ctx, late, now)
	if err := r.start(ctx, work); err != nil {
		return 0, err
	}
	return max(next.Sub(r.c.Clock()), 10*time.Millisecond), nil
}

// How much of one kind a round looks at.
const (
	destinationsAtOnce = 1000
	recipientsAtOnce   = 100 // of one entry and destination
)

// earlier is the earlier of t and a time in Unix milliseconds, 0 for none.
func earlier(t time.Time, at int64) time.Time {
	if at != 0 && at < t.UnixMilli() {
		return time.UnixMilli(at)
	}
	return t
}

// job is a message for recipients of one destination.
type job struct {
	destination string
	entry       queue.EntryID
	record      *queuepb.EntryRecord
	recipients  []queue.Recipient
	failures    uint32 // of the destination in a row
	lane        *shaping.Lane
	seen        shaping.Outcome // what the attempt tells of the receiver; of its goroutine once it is begun
}

// release gives the lane back, once.
func (j *job) release() { j.lane.Leave(j.seen) }

// jobsFor makes jobs of what waits for a destination, as many as there are lanes. Each has its lane from then on: other destinations
// of the site, which are looked at next, find the lanes that are left.
func (r *Runner) jobsFor(s kv.Reader, waiters *queue.Waiters, destination string, now time.Time) (work []*job, err error) {
	rec, err := queue.Destination(s, destination)
	if err != nil {
		return nil, err
	}
	byEntry := map[queue.EntryID]*job{}
	err = waiters.Due(destination, rec, now.UnixMilli(), func(to queue.Recipient) (bool, error) {
		j := byEntry[to.Place.Entry]
		if j == nil {
			e, ok, err := queue.Record(s, to.Place.Entry)
			if err != nil || !ok {
				return false, errors.Join(err, fmt.Errorf("entry %d: %w", to.Place.Entry, queue.ErrCorrupt))
			}
			if e.DeliverBy != 0 && now.UnixMilli() >= e.Expires {
				return true, nil // its time is over, and it may not be delivered any more (RFC 2852)
			}
			j = &job{destination: destination, entry: to.Place.Entry, record: e, failures: rec.Failures}
			if !r.admit(j, now) {
				return false, nil
			}
			byEntry[to.Place.Entry] = j
			work = append(work, j)
		}
		if len(j.recipients) < recipientsAtOnce {
			j.recipients = append(j.recipients, to)
		}
		return true, nil
	})
	return work, err
}

// admit lets a job in, where there is a lane for it; end ends that. A lane that somebody else took meanwhile is asked for again: nobody
// tells when he leaves it.
func (r *Runner) admit(j *job, now time.Time) bool {
	if !r.c.Gate.enter() {
		return false
	}
	lane, ok := r.c.Lanes.Enter(j.destination)
	if !ok {
		r.c.Gate.leave()
		if free, again := r.c.Lanes.Free(j.destination); free == 0 {
			r.walk.later(again)
		} else {
			r.walk.later(now)
		}
		return false
	}
	j.lane, j.seen = lane, shaping.Outcome{Unmade: true}
	return true
}

// drop ends jobs that are not begun.
func (r *Runner) drop(work []*job) {
	for _, j := range work {
		r.end(j)
	}
}

// start claims the recipients of jobs, in one step, and begins those that were granted.
func (r *Runner) start(ctx context.Context, work []*job) error {
	var claimed []*job
	cmd := &queuepb.ClaimCommand{Term: r.term}
	for i, j := range work {
		if len(cmd.Places)+len(j.recipients) > queue.MaxPlaces {
			r.drop(work[i:])
			break
		}
		claimed = append(claimed, j)
		for _, to := range j.recipients {
			cmd.Places = append(cmd.Places, place(to.Place))
		}
	}
	if len(claimed) == 0 {
		return nil
	}
	res, err := r.propose(ctx, command.ClaimRecipients, cmd)
	if err != nil {
		r.drop(claimed)
		return fmt.Errorf("claim %d recipients: %w", len(cmd.Places), err)
	}
	granted := map[queue.Place]bool{}
	for _, p := range res.Places {
		granted[queue.Place{Entry: queue.EntryID(p.Entry), Recipient: p.Recipient}] = true
	}
	for _, j := range claimed {
		var mine []queue.Recipient
		for _, to := range j.recipients {
			if granted[to.Place] {
				mine = append(mine, to)
			}
		}
		if j.recipients = mine; len(mine) == 0 {
			r.end(j)
			continue
		}
		r.jobs.Go(func() error {
			r.attempt(ctx, j)
			return nil
		})
	}
	return nil
}

// end is the end of a job that admit has let in.
func (r *Runner) end(j *job) {
	j.release()
	r.c.Gate.leave()
}

func place(p queue.Place) *queuepb.Place {
	return &queuepb.Place{Entry: uint64(p.Entry), Recipient: p.Recipient}
}

// propose commits a command of the queue. Codes other than OK are errors.
func (r *Runner) propose(ctx context.Context, k command.Kind, p interface{ MarshalVT() ([]byte, error) }) (*queuepb.Result, error) {
	data, err := p.MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("encode %v: %w", k, err)
	}
	encoded, _, err := r.c.Proposer.Propose(ctx, r.c.Group, command.Command{ID: r.c.NewID(), Kind: k, Time: r.c.Clock(), Payload: data})
	if err != nil {
		return nil, err
	}
	res := new(queuepb.Result)
	if err := res.UnmarshalVT(encoded); err != nil {
		return nil, fmt.Errorf("decode result of %v: %w", k, err)
	}
	if code := res.Mail.GetCode(); code != indexpb.Code_CODE_OK {
		return nil, fmt.Errorf("%v: %v: %s", k, code, res.Mail.GetText())
	}
	return res, nil
}
