package models_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/bayes/bayespb"
	"github.com/rookery-mail/rookery/mta/bayes/models"
	"github.com/rookery-mail/rookery/mta/bayes/training"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a cluster of partitions 1 and 2; odd accounts are in 1.
type house struct {
	t    *testing.T
	db   *state.DB
	next uint64

	mu   sync.Mutex // guards what follows
	down map[cluster.GroupID]bool
	hold chan struct{} // snapshots wait for it; nil: they do not
	now  time.Time
	took int // snapshots
}

func newHouse(t *testing.T) *house {
	db, err := state.Open("state", state.Config{FS: vfs.NewMem(), CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &house{t: t, db: db, down: map[cluster.GroupID]bool{}, now: time.Unix(1_800_000_000, 0)}
}

func locate(a index.AccountID) cluster.GroupID { return cluster.GroupID(2 - a%2) }

func (h *house) models(c models.Config) *models.Models {
	c.Snapshot = func(g cluster.GroupID) (kv.Snapshot, error) {
		h.mu.Lock()
		hold, down := h.hold, h.down[g]
		h.took++
		h.mu.Unlock()
		if hold != nil {
			<-hold
		}
		if down {
			return nil, cluster.ErrUnavailable
		}
		return h.db.Group(g).Snapshot(), nil
	}
	c.Partitions = func() ([]cluster.GroupID, error) { return []cluster.GroupID{1, 2}, nil }
	c.Locate = func(a index.AccountID) (cluster.GroupID, error) {
		if a == 99 {
			return 0, index.ErrNoAccount
		}
		return locate(a), nil
	}
	c.Least = func() int { return 5 }
	c.Clock = func() time.Time {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.now
	}
	m := models.New(c)
	h.t.Cleanup(m.Close)
	return m
}

// learn has an account learn n messages of each kind, and the partition too.
func (h *house) learn(a index.AccountID, n int, spam, ham string) {
	h.t.Helper()
	for i := range n {
		h.train(a, bayespb.Class_CLASS_SPAM, fmt.Sprint(spam, " s", i))
		h.train(a, bayespb.Class_CLASS_HAM, fmt.Sprint(ham, " h", i))
	}
}

func (h *house) train(a index.AccountID, class bayespb.Class, text string) {
	h.t.Helper()
	h.next++
	key := make([]byte, bayes.KeySize)
	binary.BigEndian.PutUint64(key, h.next)
	payload, err := (&bayespb.TrainCommand{Action: bayespb.Action_ACTION_LEARN, Account: uint64(a), Key: key, Class: class,
		Tokens: training.Pack(letter(text).Sorted()), SharedDay: 1000}).MarshalVT()
	if err != nil {
		h.t.Fatal(err)
	}
	b := h.db.Group(locate(a)).NewBatch()
	c := command.Command{Kind: command.Train, Time: time.Unix(1_800_000_000, 0), Payload: payload, Index: cluster.LogIndex(h.next)}
	_, err = training.New().Execute(mailbox.Begin(b, c.Time), b, c)
	if err := errors.Join(err, b.Commit(c.Index), b.Close()); err != nil {
		h.t.Fatal(err)
	}
}

func letter(text string) *bayes.Tokens {
	return bayes.Tokenize([]byte("From: a@example.net\r\n\r\n" + text + "\r\n"))
}

// likely is the probability that the models see, or -1.
func likely(m *models.Models, a index.AccountID, text string) float64 {
	o, ok := m.Classify(context.Background(), a, letter(text))
	if !ok {
		return -1
	}
	return o.Probability
}

// TestKnow: before anything is known, and where it is too little, there is no reason to read a message.
func TestKnow(t *testing.T) {
	h := newHouse(t)
	m := h.models(models.Config{})
	know := func(a index.AccountID, want bool) {
		t.Helper()
		if got := m.Of(context.Background(), a).Know(); got != want {
			t.Errorf("account %d: %v", a, got)
		}
		if _, ok := m.Classify(context.Background(), a, letter("pills")); ok != want {
			t.Errorf("account %d: classified: %v", a, ok)
		}
	}
	know(0, false)
	know(1, false)
	h.learn(2, 4, "pills", "minutes")
	m.Refresh(context.Background())
	know(0, false)
	know(2, false)
	h.learn(4, 5, "pills", "minutes")
	know(0, false) // not read yet
	know(4, true)
	m.Refresh(context.Background())
	know(0, true)
	know(1, true)
}

// TestSumOfPartitions: what accounts of all partitions learnt counts for everybody.
func TestSumOfPartitions(t *testing.T) {
	h := newHouse(t)
	m := h.models(models.Config{})
	if p := likely(m, 3, "pills offer"); p != -1 {
		t.Errorf("before anything was read: %v", p)
	}
	h.learn(1, 3, "pills offer", "minutes meeting")
	h.learn(2, 3, "pills offer", "minutes meeting")
	m.Refresh(context.Background())
	if c := m.Cluster(); c.Spam != 6 || c.Ham != 6 {
		t.Errorf("the cluster knows %d and %d messages", c.Spam, c.Ham)
	}
	for _, a := range []index.AccountID{0, 3, 4, 99} {
		if p := likely(m, a, "pills offer"); p < 0.8 {
			t.Errorf("account %d: %v", a, p)
		}
		if p := likely(m, a, "minutes meeting"); p < 0 || p > 0.2 {
			t.Errorf("account %d: %v", a, p)
		}
	}
}

// TestPartitionOutOfReach: what it learnt before counts on, and what comes later once it is back.
func TestPartitionOutOfReach(t *testing.T) {
	h := newHouse(t)
	m := h.models(models.Config{})
	h.learn(1, 5, "pills", "minutes")
	h.learn(2, 5, "pills", "minutes")
	m.Refresh(context.Background())
	h.mu.Lock()
	h.down[2] = true
	h.mu.Unlock()
	h.learn(1, 1, "pills", "minutes")
	h.learn(2, 1, "pills", "minutes")
	m.Refresh(context.Background())
	if c := m.Cluster(); c.Spam != 11 {
		t.Errorf("%d messages, of which five are of the partition that is away", c.Spam)
	}
	h.mu.Lock()
	h.down[2] = false
	h.mu.Unlock()
	m.Refresh(context.Background())
	if c := m.Cluster(); c.Spam != 12 {
		t.Errorf("%d messages once it is back", c.Spam)
	}
}

// TestOwnModel: an account's own view counts for it alone, and is read anew after a while.
func TestOwnModel(t *testing.T) {
	h := newHouse(t)
	m := h.models(models.Config{})
	h.learn(1, 6, "pills", "minutes")
	m.Refresh(context.Background())
	if p := likely(m, 2, "pills"); p < 0.6 {
		t.Errorf("before it learns: %v", p)
	}
	h.learn(2, 20, "minutes", "pills")
	took := h.took
	if p := likely(m, 2, "pills"); p < 0.6 || h.took != took {
		t.Errorf("read anew at once: %v", p)
	}
	if o, ok, err := m.Explain(2, letter("pills")); !ok || err != nil || o.Probability > 0.4 {
		t.Errorf("as it is now: %v, %v, %v", o.Probability, ok, err)
	}
	h.mu.Lock()
	h.now = h.now.Add(models.DefaultRefresh)
	h.mu.Unlock()
	if p := likely(m, 2, "pills"); p > 0.4 {
		t.Errorf("after a while: %v", p)
	}
	if p := likely(m, 4, "pills"); p < 0.6 {
		t.Errorf("another account: %v", p)
	}
	if _, _, err := m.Explain(99, letter("pills")); !errors.Is(err, index.ErrNoAccount) {
		t.Errorf("nobody's: %v", err)
	}
}

// TestPatience: a model that does not come is as none, and nothing waits for it longer than it may.
func TestPatience(t *testing.T) {
	h := newHouse(t)
	m := h.models(models.Config{Patience: time.Millisecond})
	h.learn(1, 6, "pills", "minutes")
	m.Refresh(context.Background())
	h.mu.Lock()
	h.hold = make(chan struct{})
	h.mu.Unlock()
	h.learn(2, 20, "minutes", "pills")
	if p := likely(m, 2, "pills"); p < 0.6 {
		t.Errorf("by the cluster's model: %v", p)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if o, ok := m.Classify(over, 4, letter("pills")); !ok || o.Probability < 0.6 {
		t.Errorf("after its end: %v, %v", o, ok)
	}
	close(h.hold)
	m.Close()
	if p := likely(m, 2, "pills"); p > 0.4 {
		t.Errorf("once it is here: %v", p)
	}
}

// TestFew: memory is bounded, whatever the number of accounts.
func TestFew(t *testing.T) {
	h := newHouse(t)
	m := h.models(models.Config{Tokens: 100})
	for a := index.AccountID(1); a < 50; a++ {
		h.train(a, bayespb.Class_CLASS_SPAM, fmt.Sprint("word", a))
		likely(m, a, "pills")
	}
	took := h.took
	likely(m, 49, "pills")
	if h.took != took {
		t.Error("the last one is not remembered")
	}
	likely(m, 1, "pills")
	if h.took == took {
		t.Error("the first one is remembered still")
	}
}
