package dispatch_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dispatch"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/egress"
	"github.com/rookery-mail/rookery/mta/remote"
)

const zone = `
one.example. 60 IN MX 10 mx.big.example.
two.example. 60 IN MX 10 mx.big.example.
six.example. 60 IN MX 10 mx6.other.example.
mx.big.example. 60 IN A 192.0.2.1
mx.big.example. 60 IN AAAA 2001:db8::1
mx6.other.example. 60 IN AAAA 2001:db8::6
relay.example. 60 IN A 192.0.2.7
`

// world is a directory and a next link that answers as send says.
type world struct {
	t         *testing.T
	directory *directorytest.Directory

	mu   sync.Mutex // guards what follows
	now  time.Time
	send func(remote.Job) remote.Result // for each recipient
	jobs []remote.Job
}

func newWorld(t *testing.T) *world {
	return &world{t: t, directory: directorytest.New(t), now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), send: func(remote.Job) remote.Result { return taken }}
}

func (w *world) clock() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }

func (w *world) later(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.now = w.now.Add(d) }

func (w *world) View(fn func(directory.View) error) error {
	v := w.directory.View()
	return fn(v)
}

func (w *world) Put(_ context.Context, changes ...directory.MailChange) error {
	c, err := directory.PutMail(changes...)
	if err != nil {
		return err
	}
	_, err = w.directory.Execute(c)
	return err
}

func (w *world) put(records ...*directorypb.MailRecord) {
	w.t.Helper()
	for _, r := range records {
		if err := w.Put(context.Background(), directory.MailChange{Record: r}); err != nil {
			w.t.Fatal(err)
		}
	}
	w.later(2 * time.Second) // plans are read anew
}

func (w *world) Deliver(_ context.Context, job remote.Job) []remote.Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs = append(w.jobs, job)
	results := make([]remote.Result, len(job.Recipients))
	for i := range results {
		results[i] = w.send(job)
	}
	return results
}

// dispatcher is one of node a.
func (w *world) dispatcher(change func(*dispatch.Config)) *dispatch.Dispatcher {
	z := new(dnstest.Zone)
	z.Add(zone)
	r := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	c := dispatch.Config{Node: "a", Next: w, Directory: w, Clock: w.clock, Resolver: dns.New(dns.Config{Servers: []string{"test"}, Exchange: z.Exchange}),
		Random: func() float64 { mu.Lock(); defer mu.Unlock(); return r.Float64() }}
	if change != nil {
		change(&c)
	}
	return dispatch.New(c)
}

// outs is by which addresses the jobs went.
func (w *world) outs() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for _, j := range w.jobs {
		text := fmt.Sprintf("%s:%s", j.Source.Node, j.Source.Address)
		if j.Hop != nil {
			text += " by " + j.Hop.Route
		}
		list = append(list, fmt.Sprintf("%s %d", text, len(j.Recipients)))
	}
	w.jobs = nil
	return strings.Join(list, ", ")
}

var (
	taken   = remote.Result{Kind: remote.Delivered, Host: "mx", Address: "192.0.2.1", Reached: true, Reply: *mta.Replyf(250, mta.OK, "ok")}
	blocked = remote.Result{Kind: remote.Permanent, Host: "mx", Address: "192.0.2.1", Reached: true, Reply: *mta.Replyf(554, "5.7.1", "Client host [x] blocked using zen.spamhaus.org")}
	nobody  = remote.Result{Kind: remote.Temporary, Host: "mx", Address: "192.0.2.1", Reply: *mta.Replyf(0, "4.4.2", "connection refused")}
	gone    = remote.Result{Kind: remote.Temporary, Host: "mx", Address: "192.0.2.1", NoSource: true, Reply: *mta.Replyf(0, "4.4.2", "node b is down")}
)

func job(domain string, n int) remote.Job {
	j := remote.Job{Destination: domain, Envelope: mta.Envelope{From: "ada@example.org"}}
	for i := range n {
		j.Recipients = append(j.Recipients, mta.Recipient{Address: fmt.Sprintf("r%d@%s", i, domain)})
	}
	return j
}

func address(name, node string, change func(*directorypb.Egress)) *directorypb.MailRecord {
	e := &directorypb.Egress{Address: name, Node: node}
	if change != nil {
		change(e)
	}
	return &directorypb.MailRecord{Name: name, Record: &directorypb.MailRecord_Egress{Egress: e}}
}

func warming(from time.Time, plan ...uint32) func(*directorypb.Egress) {
	return func(e *directorypb.Egress) { e.WarmFrom, e.WarmPlan = from.UnixMilli(), plan }
}

// check delivers and compares: what became of the recipients, and by which addresses it was tried.
func (w *world) check(d *dispatch.Dispatcher, j remote.Job, want, outs string) []remote.Result {
	w.t.Helper()
	results := d.Deliver(context.Background(), j)
	var got []string
	for _, r := range results {
		text := map[remote.Kind]string{remote.Delivered: "delivered", remote.Temporary: "temporary", remote.Permanent: "permanent"}[r.Kind]
		if !r.Postponed.IsZero() {
			text = "waits " + r.Postponed.Sub(w.clock()).String()
		}
		if !slices.Contains(got, text) {
			got = append(got, text)
		}
	}
	if text := strings.Join(got, ", "); text != want {
		w.t.Errorf("%s and not %s: %+v", text, want, results[0].Reply)
	}
	if o := w.outs(); o != outs {
		w.t.Errorf("tried by %q and not %q", o, outs)
	}
	return results
}

// TestRoutes: what goes by which hosts.
func TestRoutes(t *testing.T) {
	w := newWorld(t)
	d := w.dispatcher(func(c *dispatch.Config) { c.Relay = &remote.Hop{Route: "relay", Hosts: []string{"relay.example"}} })
	w.check(d, job("one.example", 1), "delivered", ":invalid IP by relay 1")
	w.put(&directorypb.MailRecord{Name: "direct", Record: &directorypb.MailRecord_Route{Route: &directorypb.Route{Recipients: []string{"one.example"}}}},
		&directorypb.MailRecord{Name: "smart", Record: &directorypb.MailRecord_Route{Route: &directorypb.Route{Recipients: []string{"two.example"}, Hosts: []string{"relay.example:587"}, Username: "u", Password: "p", Tls: "verify"}}})
	w.check(d, job("one.example", 1), "delivered", ":invalid IP 1")
	results := d.Deliver(context.Background(), job("two.example", 1))
	if len(results) != 1 || len(w.jobs) != 1 || w.jobs[0].Hop == nil || w.jobs[0].Hop.Level != remote.Verified || w.jobs[0].Hop.Password != "p" {
		t.Errorf("%+v", w.jobs)
	}
	w.outs()
	w.send = func(remote.Job) remote.Result { return blocked }
	w.check(d, job("two.example", 1), "permanent", ":invalid IP by smart 1") // what a smart host refuses is not of our address
}

// TestSources: addresses that do not fit, are paused or not there are passed over.
func TestSources(t *testing.T) {
	w := newWorld(t)
	d := w.dispatcher(nil)
	w.put(address("203.0.113.1", "a", nil), address("203.0.113.2", "b", func(e *directorypb.Egress) { e.Paused = true }))
	w.check(d, job("one.example", 2), "delivered", ":203.0.113.1 2")
	w.check(d, job("six.example", 1), "waits 5m0s", "")
	w.put(address("2001:db8:1::1", "b", func(e *directorypb.Egress) { e.Hello = "six.example.org" }))
	w.check(d, job("six.example", 1), "delivered", "b:2001:db8:1::1 1")

	w.send = func(j remote.Job) remote.Result {
		if j.Source.Node == "b" {
			return gone
		}
		return taken
	}
	w.check(d, job("six.example", 1), "waits 1m0s", "b:2001:db8:1::1 1")
	for range 10 { // whichever is tried first
		for _, r := range d.Deliver(context.Background(), job("one.example", 1)) {
			if r.Kind != remote.Delivered {
				t.Errorf("%+v", r)
			}
		}
	}
	w.outs()

	w.send = func(remote.Job) remote.Result { return nobody } // each kind of addresses once
	w.put(address("203.0.113.3", "a", nil))
	results := d.Deliver(context.Background(), job("one.example", 1))
	if n := len(strings.Split(w.outs(), ",")); n != 2 || results[0].Reached || !results[0].Postponed.IsZero() {
		t.Errorf("%d tried: %+v", n, results)
	}
}

// TestBlocked: an address that is blocked is left alone for a growing time, others are used meanwhile, and nothing bounces.
func TestBlocked(t *testing.T) {
	w := newWorld(t)
	d := w.dispatcher(nil)
	w.put(address("203.0.113.1", "a", nil))
	w.send = func(remote.Job) remote.Result { return blocked }
	w.check(d, job("one.example", 1), "temporary", ":203.0.113.1 1")
	r := w.check(d, job("two.example", 1), "waits 15m0s", "") // the same receiver
	if !strings.Contains(r[0].Reply.Text, "big.example blocks mail from 203.0.113.1: 554 5.7.1 Client host") {
		t.Errorf("%+v", r)
	}
	w.later(15 * time.Minute)
	w.check(d, job("one.example", 1), "temporary", ":203.0.113.1 1")
	w.check(d, job("one.example", 1), "waits 30m0s", "")

	w.send = func(remote.Job) remote.Result { return taken }
	w.put(address("203.0.113.2", "b", nil))
	w.check(d, job("one.example", 1), "delivered", "b:203.0.113.2 1")
	w.later(30 * time.Minute)
	for range 20 { // until chance has tried it
		d.Deliver(context.Background(), job("one.example", 1))
	}
	if err := w.View(func(v directory.View) error {
		return v.EachMailRecord(directory.MailBlock, "", func(r *directorypb.MailRecord) error { return fmt.Errorf("%v is still there", r) })
	}); err != nil {
		t.Error(err)
	}
	w.outs()

	w.send = func(j remote.Job) remote.Result { // both at once: the other takes what the first may not bring
		if j.Source.Address == netip.MustParseAddr("203.0.113.1") {
			return blocked
		}
		return taken
	}
	for range 20 { // until chance has tried it
		for _, r := range d.Deliver(context.Background(), job("one.example", 3)) {
			if r.Kind != remote.Delivered {
				t.Errorf("%+v", r)
			}
		}
	}
	if outs := w.outs(); strings.Count(outs, "203.0.113.1") != 1 || strings.Count(outs, "203.0.113.2") != 20 {
		t.Errorf("tried by %s", outs)
	}
}

// TestOwnBlock: without addresses it is the node that is blocked.
func TestOwnBlock(t *testing.T) {
	w := newWorld(t)
	d := w.dispatcher(nil)
	w.send = func(remote.Job) remote.Result { return blocked }
	w.check(d, job("one.example", 1), "temporary", ":invalid IP 1")
	w.check(d, job("one.example", 1), "waits 15m0s", "")
	other := w.dispatcher(func(c *dispatch.Config) { c.Node = "b" })
	w.send = func(remote.Job) remote.Result { return taken }
	w.check(other, job("one.example", 1), "delivered", ":invalid IP 1")
}

// TestWarmUp: what is above a day's plan goes by another address, or waits for the next day (UTC).
func TestWarmUp(t *testing.T) {
	w := newWorld(t)
	d := w.dispatcher(nil)
	w.put(address("203.0.113.1", "a", warming(w.now, 5, 8)))
	w.check(d, job("one.example", 2), "delivered", ":203.0.113.1 2")
	r := w.check(d, job("two.example", 5), "delivered, waits 13h59m58s", ":203.0.113.1 3")
	if !strings.Contains(r[4].Reply.Text, "The warm-up of 203.0.113.1 allows no more mail to big.example today") {
		t.Errorf("%+v", r[4])
	}
	w.check(d, job("six.example", 1), "waits 5m0s", "")
	w.later(14 * time.Hour)
	w.check(d, job("one.example", 20), "delivered, waits 23h59m58s", ":203.0.113.1 8")
	w.put(address("203.0.113.2", "b", nil))
	w.check(d, job("one.example", 20), "delivered", "b:203.0.113.2 20")
	w.later(24 * time.Hour)
	w.put(address("203.0.113.2", "b", func(e *directorypb.Egress) { e.Paused = true }))
	w.check(d, job("one.example", 2000), "delivered", ":203.0.113.1 2000")
}

// TestGivenBack: what did not leave counts for nothing.
func TestGivenBack(t *testing.T) {
	w := newWorld(t)
	d := w.dispatcher(nil)
	w.put(address("203.0.113.1", "a", warming(w.now, 5)))
	w.send = func(remote.Job) remote.Result { return nobody }
	for range 5 {
		w.check(d, job("one.example", 5), "temporary", ":203.0.113.1 5")
	}
	w.send = func(remote.Job) remote.Result { return taken }
	w.check(d, job("one.example", 5), "delivered", ":203.0.113.1 5")
	w.check(d, job("one.example", 5), "waits 13h59m58s", "")
}

// TestMidnight: what was taken on one day and did not leave is not sent on the next on top of its own.
func TestMidnight(t *testing.T) {
	w := newWorld(t)
	d := w.dispatcher(nil)
	w.put(address("203.0.113.1", "a", warming(w.now, 5, 8)))
	w.later(14*time.Hour - 3*time.Second)
	w.send = func(remote.Job) remote.Result { w.now = w.now.Add(time.Second); return nobody } // with the lock of w
	w.check(d, job("one.example", 5), "temporary", ":203.0.113.1 5")
	w.send = func(remote.Job) remote.Result { return taken }
	w.check(d, job("one.example", 20), "delivered, waits 23h59m56s", ":203.0.113.1 8")
}

// TestRace: nodes that send at the same time send no more than the plan together.
func TestRace(t *testing.T) {
	w := newWorld(t)
	w.put(address("203.0.113.1", "a", warming(w.now, 1000)))
	var tasks sync.WaitGroup
	for _, node := range []cluster.NodeID{"a", "b", "c"} {
		d := w.dispatcher(func(c *dispatch.Config) { c.Node = node })
		for range 4 {
			tasks.Go(func() {
				for range 100 {
					d.Deliver(context.Background(), job("one.example", 3))
				}
			})
		}
	}
	tasks.Wait()
	sent := 0
	for _, j := range w.jobs {
		sent += len(j.Recipients)
	}
	if sent != 1000 { // 3600 were wanted
		t.Errorf("%d messages on a day of 1000", sent)
	}
}

// lane has no room.
type lane struct{ site string }

func (l *lane) Move(site string) (time.Time, bool) {
	l.site = site
	return time.Date(2026, 11, 21, 10, 0, 3, 0, time.UTC), false
}

// TestLane: what finds its receiver full waits as long as it is said.
func TestLane(t *testing.T) {
	w := newWorld(t)
	j, l := job("one.example", 1), new(lane)
	j.Lane = l
	w.check(w.dispatcher(nil), j, "waits 3s", "")
	if l.site != "big.example" {
		t.Error(l.site)
	}
}

// TestSweep: records that nobody goes by are removed, and no others.
func TestSweep(t *testing.T) {
	w := newWorld(t)
	volume := func(day string) *directorypb.MailRecord {
		return &directorypb.MailRecord{Name: egress.VolumeName(day, "203.0.113.1", "big.example"), Record: &directorypb.MailRecord_Volume{Volume: &directorypb.Volume{Taken: 1}}}
	}
	block := func(site string, until time.Time) *directorypb.MailRecord {
		return &directorypb.MailRecord{Name: egress.BlockName("203.0.113.1", site), Record: &directorypb.MailRecord_Block{Block: &directorypb.Block{Until: until.UnixMilli()}}}
	}
	w.put(volume("2026-11-01"), volume("2026-11-20"), volume("2026-11-21"), block("old.example", w.now.Add(-15*24*time.Hour)), block("new.example", w.now.Add(-time.Hour)))
	if err := dispatch.Sweep(context.Background(), w, w.now); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, kind := range []directory.MailKind{directory.MailVolume, directory.MailBlock} {
		if err := w.View(func(v directory.View) error {
			return v.EachMailRecord(kind, "", func(r *directorypb.MailRecord) error { left = append(left, r.Name); return nil })
		}); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(left, " "); got != "2026-11-20/203.0.113.1/big.example 2026-11-21/203.0.113.1/big.example 203.0.113.1/new.example" {
		t.Error(got)
	}
}
