package runner_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/partition"
	"github.com/rookery-mail/rookery/index/uidset"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/queue/story"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/runner"
	"github.com/rookery-mail/rookery/mta/shaping"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = time.Minute

// ada is the account whose mail it is, in partition 1.
const ada = index.AccountID(2)

// site is a partition with a store and its queue, whose sender is a function.
type site struct {
	t       *testing.T
	cluster *mailstoretest.Cluster
	store   *mailstore.Store
	queue   *queue.Queue
	config  runner.Config

	mu    sync.Mutex // guards what follows
	now   time.Time
	ids   int
	send  func(remote.Job) []remote.Result
	jobs  []string
	gives chan struct{} // gets one for each job
	body  error         // why no message can be read; nil: it can
}

func newSite(t *testing.T) *site {
	s := &site{t: t, now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), gives: make(chan struct{}, 100)}
	s.cluster = mailstoretest.NewExtendedCluster(t, func(g cluster.GroupID) []partition.Extension {
		q := queue.New()
		if g == 1 {
			s.queue = q
		}
		return []partition.Extension{q}
	})
	s.store = s.cluster.Store(func(c *mailstore.Config) { c.Clock = s.clock })
	s.config = runner.Config{
		Group: 1, Node: "a", Hostname: "mx.example.org", Proposer: s.cluster, Store: s, Sender: s, Lanes: shaping.New(shaping.Config{Clock: s.clock}), Wake: s.queue.Watch,
		Snapshot: func() (kv.Snapshot, error) { return s.cluster.Group(1).Snapshot(), nil },
		NewID:    func() (id cluster.CommandID) { copy(id[:], fmt.Sprintf("%016d", s.next())); return id },
		ReportID: func() mta.ID { return mta.ID(fmt.Sprintf("R%d", s.next())) },
		Clock:    s.clock,
	}
	return s
}

func (s *site) next() int { s.mu.Lock(); defer s.mu.Unlock(); s.ids++; return s.ids }

func (s *site) clock() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return s.now }

func (s *site) later(d time.Duration) { s.mu.Lock(); defer s.mu.Unlock(); s.now = s.now.Add(d) }

func (s *site) OpenStored(ctx context.Context, g cluster.GroupID, id index.BodyID) (mailstore.Body, error) {
	s.mu.Lock()
	err := s.body
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.store.OpenStored(ctx, g, id)
}

func (s *site) NewReport(ctx context.Context, a index.AccountID, trace []byte) runner.Incoming {
	return s.store.NewIncoming(ctx, []index.AccountID{a}, trace)
}

// Deliver notes the job and answers as send says.
func (s *site) Deliver(_ context.Context, j remote.Job) []remote.Result {
	s.mu.Lock()
	send := s.send
	s.mu.Unlock()
	r, err := j.Open()
	text, err2 := io.ReadAll(r)
	if err != nil || err2 != nil {
		s.t.Error(err, err2)
	}
	var to []string
	for _, r := range j.Recipients {
		to = append(to, r.Address)
	}
	s.mu.Lock()
	s.jobs = append(s.jobs, fmt.Sprintf("<%s> to %s, %d octets: %q", j.Envelope.From, strings.Join(to, " "), j.Envelope.Size, text))
	s.mu.Unlock()
	results := send(j)
	s.gives <- struct{}{}
	return results
}

// all answers each recipient with the same.
func all(r remote.Result) func(remote.Job) []remote.Result {
	return func(j remote.Job) []remote.Result {
		out := make([]remote.Result, len(j.Recipients))
		for i := range out {
			out[i] = r
		}
		return out
	}
}

var (
	taken   = remote.Result{Kind: remote.Delivered, Host: "mx.example.com", Reached: true, Reply: *mta.Replyf(250, mta.OK, "got it")}
	refused = remote.Result{Kind: remote.Permanent, Host: "mx.example.com", Reached: true, Reply: *mta.Replyf(550, mta.BadMailbox, "No such user")}
	nobody  = remote.Result{Kind: remote.Temporary, Reply: *mta.Replyf(0, "4.4.1", "No host could be reached")}
)

// run runs the worker until the test or stop ends it.
func (s *site) run(term uint64) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { runner.New(s.config).Run(ctx, term) })
	stop = sync.OnceFunc(func() { cancel(); tasks.Wait() })
	s.t.Cleanup(stop)
	return stop
}

// submit queues a message of ada's.
func (s *site) submit(to ...mta.Recipient) {
	s.t.Helper()
	in := s.store.NewIncoming(context.Background(), []index.AccountID{ada}, mta.ReturnPath("ada@example.org"))
	defer in.Discard()
	if _, err := io.WriteString(in, "Subject: plan\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"); err != nil {
		s.t.Fatal(err)
	}
	now := s.clock()
	sub := queue.Submission{Account: ada, ID: "Q1", Envelope: mta.Envelope{From: "ada@example.org", Return: mta.ReturnFull}, Recipients: to,
		Expires: now.Add(120 * time.Hour), Notice: now.Add(4 * time.Hour)}
	outcomes, err := in.Deliver(context.Background(), mailstore.Delivery{Received: now, Also: []*mailstore.Also{sub.Also()}})
	if err != nil || len(outcomes) != 1 || outcomes[0].Err != nil {
		s.t.Fatal(outcomes, err)
	}
}

func to(address string, n mta.Notify) mta.Recipient {
	return mta.Recipient{Address: address, Notify: n}
}

// await waits until what the queue has is as wanted: a line for each open recipient.
func (s *site) await(want string) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		changed := s.queue.Watch()
		got := s.show()
		if got == want {
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Until(deadline)):
			s.t.Fatalf("the queue has\n%s\nand not\n%s", got, want)
		}
	}
}

func (s *site) show() string {
	snap := s.cluster.Group(1).Snapshot()
	defer snap.Close()
	var lines []string
	err := queue.Entries(snap, 0, func(id queue.EntryID, _ *queuepb.EntryRecord) (bool, error) {
		_, list, _, err := queue.Entry(snap, id)
		for _, r := range list {
			lines = append(lines, fmt.Sprintf("%s after %d attempts: %s", r.Record.Address, r.Record.Attempts, r.Record.Last.GetText()))
		}
		return true, err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// inbox is what ada got.
func (s *site) inbox() []string {
	s.t.Helper()
	m, err := s.store.Account(ada).Open(context.Background(), "INBOX")
	if err != nil {
		s.t.Fatal(err)
	}
	var texts []string
	err = m.Bodies(context.Background(), uidset.Of(index.UIDRange{Lo: 1, Hi: 1 << 30}), func(_ mailstore.Message, b mailstore.Body) error {
		octets, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		texts = append(texts, string(octets))
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return texts
}

func TestDelivered(t *testing.T) {
	s := newSite(t)
	s.send = all(taken)
	s.run(1)
	s.submit(to("bob@example.com", 0), to("joe@example.com", 0))
	s.await("")
	want := `<ada@example.org> to bob@example.com joe@example.com, 56 octets: "Subject: plan\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"`
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := strings.Join(s.jobs, "\n"); !strings.HasPrefix(got, "<ada@example.org> to bob@example.com joe@example.com") || !strings.HasSuffix(got, want[strings.Index(want, ": \""):]) {
		t.Errorf("jobs:\n%s", got)
	}
}

// TestReported: who is refused is reported to the sender, once, and only where that is wanted.
func TestReported(t *testing.T) {
	s := newSite(t)
	s.send = func(j remote.Job) []remote.Result {
		return map[string][]remote.Result{"example.com": {refused, taken}, "example.net": {refused}}[j.Destination]
	}
	s.run(1)
	s.submit(to("bob@example.com", 0), to("joe@example.com", mta.NotifySuccess|mta.NotifyFailure), to("eve@example.net", mta.NotifyNever))
	s.await("")
	texts := s.inbox()
	if len(texts) != 1 {
		t.Fatalf("%d reports", len(texts))
	}
	for _, want := range []string{"Return-Path: <>\r\n", "It could not be delivered to:\r\n\r\n  <bob@example.com>\r\n    mx.example.com said: 550 5.1.1 No such user",
		"Action: failed\r\nStatus: 5.1.1", "Final-Recipient: rfc822; joe@example.com\r\nAction: relayed", "Subject: plan\r\n", "\r\n\r\nhello\r\n"} {
		if !strings.Contains(texts[0], want) {
			t.Errorf("no %q in\n%s", want, texts[0])
		}
	}
	if strings.Contains(texts[0], "eve@") {
		t.Error("of one who was never to be told of")
	}
}

// TestReportHasStory: a report has a story of its own, and that of the message says where to look.
func TestReportHasStory(t *testing.T) {
	s := newSite(t)
	s.send = all(refused)
	s.config.Told = func(a queue.Arrival) *mailstore.Around { a.Node = "a"; return a.Told() }
	s.submit(to("bob@example.com", 0))
	s.run(1)
	s.await("")
	snap := s.cluster.Group(1).Snapshot()
	defer snap.Close()
	list, err := story.Find(snap, "ada@example.org", 0, story.Never-1, 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d stories, %v", len(list), err)
	}
	head := list[0].Pieces[0]
	if !strings.HasPrefix(head.Id, "R") || len(head.Events) != 2 || head.Events[0].Client != "the queue, about Q1" || head.Events[1].Uid != 1 {
		t.Errorf("%v", head)
	}
}

// TestComesBack: what cannot be reached is tried again when its time has come, its delay is told once, and
// in the end it is given up, with a report.
func TestComesBack(t *testing.T) {
	s := newSite(t)
	s.send = all(nobody)
	stop := s.run(1)
	s.submit(to("bob@example.com", 0))
	s.await("bob@example.com after 1 attempts: No host could be reached")
	stop()
	s.later(5 * time.Hour)
	stop = s.run(2)
	s.await("bob@example.com after 2 attempts: No host could be reached")
	s.awaitInbox(1)
	stop()
	s.later(200 * time.Hour)
	s.run(3)
	s.await("")
	texts := s.inbox()
	if len(texts) != 2 || !strings.Contains(texts[0], "Action: delayed") || !strings.Contains(texts[1], "Action: failed") {
		t.Errorf("%d reports: %q", len(texts), texts)
	}
}

// TestReturned: what an operator has returned is tried no more, and its sender is told why, once.
func TestReturned(t *testing.T) {
	s := newSite(t)
	s.submit(to("bob@example.com", 0), to("eve@example.net", mta.NotifyNever))
	data, err := (&queuepb.EditCommand{Edit: queuepb.Edit_EDIT_BOUNCE, Entries: []uint64{1}, Why: "Sent by a stolen account"}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.cluster.Propose(t.Context(), 1, command.Command{ID: s.config.NewID(), Kind: command.EditQueue, Time: s.clock(), Payload: data}); err != nil {
		t.Fatal(err)
	}
	s.run(1)
	s.await("")
	texts := s.inbox()
	if len(texts) != 1 || !strings.Contains(texts[0], "Action: failed\r\nStatus: 5.0.0") || !strings.Contains(texts[0], "Sent by a stolen account") || strings.Contains(texts[0], "eve@") {
		t.Errorf("%d reports: %q", len(texts), texts)
	}
	if len(s.jobs) != 0 {
		t.Errorf("it was tried: %q", s.jobs)
	}
}

// awaitInbox waits until ada has n reports: each comes in a step with a change of the queue.
func (s *site) awaitInbox(n int) {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		changed := s.queue.Watch()
		got := len(s.inbox())
		if got >= n {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			s.t.Fatalf("%d reports, not %d", got, n)
		}
	}
}

// TestNextLeader: an attempt that was under way when its leader went is made again by the next.
func TestNextLeader(t *testing.T) {
	s := newSite(t)
	hang := make(chan struct{})
	s.send = func(j remote.Job) []remote.Result { <-hang; return all(taken)(j) }
	stop := s.run(1)
	s.submit(to("bob@example.com", 0))
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		begun := len(s.jobs) == 1
		s.mu.Unlock()
		if begun {
			break
		}
		select {
		case <-deadline:
			t.Fatal("no attempt")
		case <-time.After(time.Millisecond):
		}
	}
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	s.run(2)
	deadline = time.After(patience)
	for {
		s.mu.Lock()
		begun := len(s.jobs) == 2
		s.mu.Unlock()
		if begun {
			break
		}
		select {
		case <-deadline:
			t.Fatal("the next leader does not try")
		case <-time.After(time.Millisecond):
		}
	}
	close(hang)
	s.await("")
	<-stopped
}

// TestManyForDead: a destination that does not answer is asked now and then, whatever waits for it, and does not keep
// others from theirs.
func TestManyForDead(t *testing.T) {
	s := newSite(t)
	s.send = func(j remote.Job) []remote.Result {
		if j.Destination == "dead.example" {
			return all(nobody)(j)
		}
		return all(taken)(j)
	}
	stop := s.run(1)
	s.submit(to("x@dead.example", 0))
	s.await("x@dead.example after 1 attempts: No host could be reached")
	for i := range 20 {
		s.submit(to(fmt.Sprintf("y%d@dead.example", i), 0))
	}
	s.submit(to("bob@example.com", 0))
	deadline := time.Now().Add(patience)
	for strings.Contains(s.show(), "bob@") {
		if time.Now().After(deadline) {
			t.Fatal("a dead destination holds others up")
		}
		time.Sleep(time.Millisecond)
	}
	stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) != 2 {
		t.Errorf("%d attempts: %q", len(s.jobs), s.jobs)
	}
}

// TestPostponed: an attempt that was not made is no failure: nothing is counted, the destination stays open, and the
// sender hears of the delay and of the end all the same.
func TestPostponed(t *testing.T) {
	s := newSite(t)
	s.send = func(j remote.Job) []remote.Result {
		r := remote.Result{Kind: remote.Temporary, Postponed: s.clock().Add(time.Hour), Reply: *mta.Replyf(0, "4.7.0", "The budget of the day is spent")}
		return all(r)(j)
	}
	stop := s.run(1)
	s.submit(to("bob@example.com", 0))
	s.await("bob@example.com after 0 attempts: The budget of the day is spent")
	snap := s.cluster.Group(1).Snapshot()
	d, err := queue.Destination(snap, "example.com")
	_ = snap.Close()
	if err != nil || d.ClosedUntil != 0 || d.Failures != 0 || d.Next != s.clock().Add(time.Hour).UnixMilli() {
		t.Errorf("%v, %v", d, err)
	}
	stop()
	s.later(5 * time.Hour)
	stop = s.run(2)
	s.awaitInbox(1)
	stop()
	s.later(200 * time.Hour)
	s.run(3)
	s.await("")
	if texts := s.inbox(); len(texts) != 2 || !strings.Contains(texts[1], "Action: failed") {
		t.Errorf("%d reports: %q", len(texts), texts)
	}
}
