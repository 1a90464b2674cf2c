package lincheck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/clustertest"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ mailstore.Proposer = (*clustertest.Node)(nil)

const (
	accounts          = 4
	clientsPerAccount = 3
)

// begin makes the accounts and returns how each begins.
func (h *house) begin(accounts int) (*records, map[index.AccountID]account) {
	h.t.Helper()
	first := map[index.AccountID]account{}
	d := h.open()[0]
	for id := index.AccountID(1); int(id) <= accounts; id++ {
		all, err := d.store.Account(id).Mailboxes(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		var a account
		for _, m := range all {
			a.modSeq = max(a.modSeq, m.HighestModSeq)
			if i := slices.Index(boxNames[:], m.Name); i >= 0 {
				a.boxes[i] = box{next: m.UIDNext, modSeq: m.HighestModSeq}
			}
		}
		first[id] = a
	}
	return &records{t: h.t, all: map[index.AccountID][]porcupine.Operation{}}, first
}

// more waits until n further operations were answered.
func (r *records) more(h *house, n int) {
	h.t.Helper()
	count := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.answers
	}
	want := count() + n
	h.Eventually(fmt.Sprintf("%d more answers", n), func() error {
		if got := count(); got < want {
			return fmt.Errorf("%d of %d", got, want)
		}
		return nil
	})
}

// check has every account decided on.
func (r *records) check(h *house, first map[index.AccountID]account) {
	r.t.Helper()
	for id, history := range r.all {
		history = h.witness.settle(history)
		if got := verdict(first[id], history); got != porcupine.Ok {
			r.t.Errorf("account %d: %d operations: %v", id, len(history), got)
			explain(r.t, first[id], history)
		}
	}
	r.t.Logf("%d operations answered, %d without an answer", r.answers, r.unknown)
}

// explain tells the first moment up to which no order is found, and what was going on before it.
func explain(t *testing.T, first account, history []porcupine.Operation) {
	t.Helper()
	byReturn := slices.Clone(history)
	slices.SortFunc(byReturn, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	bad := sort.Search(len(byReturn), func(i int) bool {
		return verdict(first, until(byReturn, byReturn[i].Return)) == porcupine.Illegal
	})
	for _, op := range byReturn[max(0, bad-20):min(len(byReturn), bad+1)] {
		t.Logf("%d–%d client %d: %v -> %v", op.Call, op.Return, op.ClientId, op.Input, op.Output)
	}
	for _, op := range byReturn[bad:] {
		if op.Call < byReturn[bad].Return && op.Return > byReturn[bad].Return {
			t.Logf("going on: %d–%d client %d: %v -> %v", op.Call, op.Return, op.ClientId, op.Input, op.Output)
		}
	}
}

// until is what of a history was known at a moment.
func until(history []porcupine.Operation, now int64) (out []porcupine.Operation) {
	for _, op := range history {
		if op.Call >= now {
			continue
		}
		if op.Return > now {
			if op.Input.(input).kind.reads() {
				continue
			}
			op.Return, op.Output = never, output{unknown: true}
		}
		out = append(out, op)
	}
	return out
}

// TestMailboxesAreLinearizable has clients on all nodes, several to an account, while leaders and
// others crash, stop, are cut off and come back.
func TestMailboxesAreLinearizable(t *testing.T) {
	h := open(t, nil)
	r, first := h.begin(accounts)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range accounts * clientsPerAccount {
		c := &client{id: i + 1, account: index.AccountID(1 + i%accounts), house: h, records: r,
			random: rand.New(rand.NewPCG(1, uint64(i)))}
		clients.Go(func() { c.run(ctx) })
	}
	start := time.Now()
	rounds, answers := 10, 100
	if testing.Short() {
		rounds = 4
	}
	for round := range rounds {
		r.more(h, answers)
		t.Logf("round %d after %v", round, time.Since(start))
		h.trouble(round, func() { r.more(h, answers) })
	}
	r.more(h, answers)
	stop()
	clients.Wait()
	for g := cluster.GroupID(1); g <= partitions; g++ {
		h.WaitEqual(g)
	}
	t.Logf("clients ended after %v", time.Since(start))
	r.check(h, first)
	t.Logf("decided after %v", time.Since(start))
	if r.unknown == 0 {
		t.Error("every operation was answered: the trouble was none")
	}
}

// trouble does something to the leader of a group, or to another node, lets work go on, and undoes it.
func (h *house) trouble(round int, meanwhile func()) {
	g := cluster.GroupID(1 + round%partitions)
	leader, follower := h.WaitLeader(g).ID, h.Follower(g).ID
	down := func(id cluster.NodeID, how func(cluster.NodeID)) {
		h.leave(id)
		how(id)
		meanwhile()
		h.Restart(id)
		h.enter(id)
	}
	switch round % 5 {
	case 0:
		down(leader, h.Crash)
	case 1:
		h.Cut(leader)
		meanwhile()
		h.Heal()
	case 2:
		down(follower, h.Crash)
	case 3:
		h.Cut(leader, follower)
		meanwhile()
		h.Heal()
	case 4:
		down(leader, h.Stop)
	}
}

// behind returns a door whose node was cut off before a message was delivered through another.
func behind(t *testing.T, h *house, r *records) *door {
	t.Helper()
	g, _ := locate(1)
	for _, d := range h.open() {
		if err := d.catchUp(t.Context(), g); err != nil { // they know the account
			t.Fatal(err)
		}
	}
	cut := h.Follower(g).ID
	h.Cut(cut)
	var old, other *door
	for _, d := range h.open() {
		if d.node.ID == cut {
			old = d
		} else {
			other = d
		}
	}
	if _, ok := r.do(t.Context(), 1, other, input{account: 1, kind: deliver, content: 1}, false); !ok {
		t.Fatal("the majority did not take the message")
	}
	return old
}

// TestStaleReadsAreRejected breaks the store: a node that is cut off is read without being fresh.
func TestStaleReadsAreRejected(t *testing.T) {
	for _, read := range []kind{list, view} {
		h := open(t, nil)
		r, first := h.begin(1)
		old := behind(t, h, r)
		if _, ok := r.do(t.Context(), 2, old, input{account: 1, kind: read}, true); !ok {
			t.Fatal("the node that is cut off does not serve what it has")
		}
		if got := verdict(first[1], r.all[1]); got != porcupine.Illegal {
			t.Errorf("a stale %v: %v", read, got)
		}
	}
}

// TestCutNodeIsNotFresh is the same with the store unbroken.
func TestCutNodeIsNotFresh(t *testing.T) {
	h := open(t, nil)
	r, first := h.begin(1)
	old := behind(t, h, r)
	if _, err := old.perform(t.Context(), input{account: 1, kind: list}, false); !errors.Is(err, errNotTried) || !expected(err) {
		t.Errorf("the node that is cut off answered %v", err)
	}
	h.Heal()
	h.Eventually("the node serves again", func() error {
		if _, ok := r.do(t.Context(), 2, old, input{account: 1, kind: list}, false); !ok {
			return cluster.ErrUnavailable
		}
		return nil
	})
	if got := verdict(first[1], r.all[1]); got != porcupine.Ok {
		t.Errorf("fresh reads: %v", got)
	}
}

// forgetful breaks the store: it proposes again with another identity, as if the first answer had
// been lost.
type forgetful struct{ mailstore.Proposer }

func (p forgetful) Propose(ctx context.Context, g cluster.GroupID, c command.Command) ([]byte, cluster.LogIndex, error) {
	if c.Kind == command.Append {
		again := c
		again.ID[0] ^= 0xff
		if _, _, err := p.Proposer.Propose(ctx, g, again); err != nil {
			return nil, 0, err
		}
	}
	return p.Proposer.Propose(ctx, g, c)
}

// TestSecondExecutionIsRejected holds that a retry under a new identity is found out.
func TestSecondExecutionIsRejected(t *testing.T) {
	h := open(t, func(p mailstore.Proposer) mailstore.Proposer { return forgetful{p} })
	r, first := h.begin(1)
	d := h.open()[0]
	for _, in := range []input{{account: 1, kind: appendTo, content: 1}, {account: 1, kind: list}} {
		if _, ok := r.do(t.Context(), 1, d, in, false); !ok {
			t.Fatal("no answer")
		}
	}
	if got := verdict(first[1], r.all[1]); got != porcupine.Illegal {
		t.Errorf("an append executed twice: %v", got)
	}
}
