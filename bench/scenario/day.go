package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-mail/rookery/bench/corpus"
	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

// The profile of one user on one day.
const (
	dayUsers     = 50
	dayReceived  = 40
	daySubmitted = 8
	daySessions  = 12
)

// The kinds of things that happen.
const (
	receive = iota
	submit
	session
	kinds
)

// kindNames are for figures.
func kindNames() [kinds]string { return [kinds]string{"receive", "submit", "session"} }

// job is one thing that happens to one user.
type job struct{ kind, user, number int }

// day is what a running day needs.
type day struct {
	site     site.Site
	accounts []load.Login
	source   corpus.Source
	done     atomic.Int64

	mu    sync.Mutex
	times [kinds][]time.Duration // guarded by mu
}

// runDay plays a day of every user as fast as the server can, in an order that is the same in every run.
func runDay(ctx context.Context, s site.Site, o Options) (Result, error) {
	r := Result{Scenario: "day", Site: s.Name()}
	if len(s.MX()) == 0 || len(s.IMAP()) == 0 {
		return r, fmt.Errorf("day: %w: it needs smtp and imap", site.ErrUnsupported)
	}
	users := o.accounts(dayUsers)
	if o.Quick {
		users = min(users, 10)
	}
	accounts, err := s.Accounts(ctx, users)
	if err != nil {
		return r, err
	}
	src, err := o.source(corpus.Mix)
	if err != nil {
		return r, err
	}
	d := &day{site: s, accounts: accounts, source: src}
	jobs := d.plan()
	m, err := startMeter(ctx, s)
	if err != nil {
		return r, err
	}
	defer m.stop()
	start := time.Now()
	stop := follow(ctx, o, "day", len(jobs), d.done.Load)
	err = d.play(ctx, jobs, o.connections(10))
	stop()
	if err != nil {
		return r, serverTrouble(ctx, s, err)
	}
	r.judge("user-days/s", float64(len(accounts))/time.Since(start).Seconds(), true)
	for kind, name := range kindNames() {
		percentiles(&r, name+"-", d.times[kind], false)
	}
	r.note("%d users: %d messages in, %d submitted, %d sessions each", len(accounts), dayReceived, daySubmitted, daySessions)
	return r, m.finish(ctx, &r, len(accounts), "user-day")
}

// plan mixes the jobs of all users.
func (d *day) plan() []job {
	var jobs []job
	for user := range d.accounts {
		for kind, n := range [kinds]int{dayReceived, daySubmitted, daySessions} {
			if kind == submit && len(d.site.Submission()) == 0 {
				kind = receive
			}
			for range n {
				jobs = append(jobs, job{kind: kind, user: user, number: len(jobs)})
			}
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
	return jobs
}

// play runs the jobs over a number of clients. The first failure ends it.
func (d *day) play(ctx context.Context, jobs []job, clients int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(jobs) {
					return
				}
				start := time.Now()
				if err := d.run(ctx, jobs[n]); err != nil {
					cancel(fmt.Errorf("%s of %s: %w", kindNames()[jobs[n].kind], d.accounts[jobs[n].user].Address, err))
					return
				}
				d.note(jobs[n].kind, time.Since(start))
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx) // nil unless a job failed or the caller ended it
}

func (d *day) note(kind int, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.times[kind] = append(d.times[kind], took)
	d.done.Add(1)
}

func (d *day) run(ctx context.Context, j job) error {
	me := d.accounts[j.user]
	switch j.kind {
	case receive:
		return d.send(ctx, d.site.MX(), nil, me.Address, j)
	case submit:
		return d.send(ctx, d.site.Submission(), &me, d.accounts[(j.user+1)%len(d.accounts)].Address, j)
	}
	return d.session(ctx, me, j)
}

func (d *day) send(ctx context.Context, doors []load.Door, login *load.Login, to string, j job) error {
	c, err := load.DialSMTP(ctx, doors[j.number%len(doors)], login)
	if err != nil {
		return err
	}
	from := "someone@bench.example"
	if login != nil {
		from = login.Address
	}
	if _, err := c.Send(from, []string{to}, d.source.Append(nil, j.number)); err != nil {
		c.Close()
		return err
	}
	return c.Quit()
}

// session is a mail program that looks for news, reads some, marks and searches.
func (d *day) session(ctx context.Context, me load.Login, j job) error {
	doors := d.site.IMAP()
	c, err := load.DialIMAP(ctx, doors[j.number%len(doors)], me)
	if err != nil {
		return err
	}
	defer c.Close()
	n, err := c.Count("INBOX")
	if err != nil {
		return err
	}
	commands := []string{`LIST "" "*"`, "SELECT INBOX"}
	if n > 0 {
		recent := fmt.Sprintf("%d:%d", max(1, n-19), n)
		read := fmt.Sprintf("%d:%d", max(1, n-4), n)
		commands = append(commands, "FETCH 1:* (UID FLAGS)", "FETCH "+recent+" (UID ENVELOPE BODYSTRUCTURE RFC822.SIZE)",
			"FETCH "+read+" (UID BODY.PEEK[])", "STORE "+read+" +FLAGS (\\Seen)")
		if j.number%3 == 0 {
			commands = append(commands, "SEARCH SUBJECT seminar")
		}
	}
	for _, command := range slices.Concat(commands, []string{"LOGOUT"}) {
		if _, err := c.Do(command); err != nil {
			return fmt.Errorf("%s: %w", strings.SplitN(command, " ", 2)[0], err)
		}
	}
	return nil
}
