package concordance_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	randv2 "math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/concordance"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/search"
	"github.com/rookery-mail/rookery/index/search/trigram"
	"github.com/rookery-mail/rookery/index/uidset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a store with an index whose disk can be lost.
type house struct {
	t      testing.TB
	store  *mailstore.Store
	config concordance.Config
	fs     *vfs.MemFS
	x      *concordance.Index
	sent   int
}

func newHouse(t testing.TB, change func(*concordance.Config)) *house {
	h := &house{t: t, store: mailstoretest.New(t), fs: vfs.NewCrashableMem()}
	h.config = concordance.Config{Identity: "test", Least: 8, Rest: -1, Open: h.openMailbox}
	if change != nil {
		change(&h.config)
	}
	h.open()
	t.Cleanup(func() {
		if err := h.x.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) openMailbox(ctx context.Context, a index.AccountID, m index.MailboxID) (concordance.Mailbox, error) {
	box, err := h.store.Account(a).OpenID(ctx, m)
	if err != nil {
		return nil, err
	}
	return box, nil
}

func (h *house) open() {
	h.t.Helper()
	h.config.FS = h.fs
	x, err := concordance.Open("search", h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	h.x = x
}

// crash loses what was not flushed, a part of it or none, and opens the index again.
func (h *house) crash(unsynced int) {
	h.t.Helper()
	after := h.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: randv2.New(randv2.NewPCG(1, uint64(h.sent)))})
	if err := h.x.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.fs = after
	h.open()
}

func (h *house) deliver(a index.AccountID, mailbox, text string) {
	h.t.Helper()
	h.sent++
	in := h.store.NewIncoming(h.t.Context(), []index.AccountID{a}, nil)
	defer in.Discard()
	io.WriteString(in, text)
	out, err := in.Deliver(h.t.Context(), mailstore.Delivery{Targets: []mailstore.Target{{Account: a, Address: fmt.Sprint(h.sent), Mailbox: mailbox}}})
	if err != nil || out[0].Err != nil {
		h.t.Fatal(err, out)
	}
}

func (h *house) box(a index.AccountID, name string) *mailstore.Mailbox {
	h.t.Helper()
	m, err := h.store.Account(a).Open(h.t.Context(), name)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

func (h *house) update(a index.AccountID, m index.MailboxID) {
	h.t.Helper()
	if err := h.x.Update(h.t.Context(), a, m); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) view(m *mailstore.Mailbox) access.View {
	h.t.Helper()
	v, err := m.View(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

func (h *house) expunge(m *mailstore.Mailbox, uids *uidset.Set) {
	h.t.Helper()
	if _, err := m.Store(h.t.Context(), mailstore.StoreRequest{UIDs: uids, Op: mailstore.Add, Flags: index.FlagDeleted}); err != nil {
		h.t.Fatal(err)
	}
	if _, err := m.Expunge(h.t.Context(), uids); err != nil {
		h.t.Fatal(err)
	}
}

// holding is the scan: the messages that have a text in their body.
func (h *house) holding(m *mailstore.Mailbox, uids *uidset.Set, text string) *uidset.Set {
	h.t.Helper()
	found, mu := uidset.New(), sync.Mutex{}
	err := m.Sift(h.t.Context(), uids, func() error { return nil }, func() func(*access.Message, access.Body) error {
		var r search.Reader
		return func(msg *access.Message, body access.Body) error {
			ok, err := r.Body(msg, body, search.Fold(text))
			if ok {
				mu.Lock()
				defer mu.Unlock()
				found.Add(msg.UID)
			}
			return err
		}
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return found
}

func bodyHas(text string) *trigram.Query { return trigram.Holding(search.Fold(text), trigram.Body) }

// narrowed checks that the index leaves out no message that has text, and returns how many are left.
func (h *house) narrowed(m *mailstore.Mailbox, text string) int {
	h.t.Helper()
	all := h.view(m).UIDs
	out := h.x.Narrow(2, m.Info(), all, bodyHas(text))
	if missed := h.holding(m, all, text); missed.Intersect(out).Len() != missed.Len() {
		h.t.Errorf("of %d messages with %q the index leaves %d", missed.Len(), text, missed.Intersect(out).Len())
	}
	if out.Intersect(all).Len() != out.Len() {
		h.t.Errorf("the index gives messages that were not asked for")
	}
	return out.Len()
}

func letter(n int) string {
	return fmt.Sprintf("Subject: letter %d\r\nMessage-ID: <%d@x>\r\n\r\nThe word of this one is quokka%dend.\r\n", n, n, n)
}

func (h *house) fill(n int) *mailstore.Mailbox {
	h.t.Helper()
	for range n {
		h.deliver(2, "INBOX", letter(h.sent))
	}
	return h.box(2, "INBOX")
}

func TestNarrow(t *testing.T) {
	h := newHouse(t, nil)
	m := h.fill(100)
	if n := h.narrowed(m, "quokka42end"); n != 100 {
		t.Error("before the first update:", n)
	}
	h.update(2, m.ID())
	if n := h.narrowed(m, "quokka42end"); n != 1 {
		t.Error("after it:", n)
	}
	if n := h.narrowed(m, "QUOKKA"); n != 100 {
		t.Error("what all have:", n)
	}
	if n := h.narrowed(m, "zebra"); n != 0 {
		t.Error("what none has:", n)
	}
	h.fill(7)
	if n := h.narrowed(m, "quokka42end"); n != 8 {
		t.Error("with new ones:", n)
	}
	some := uidset.Of(index.UIDRange{Lo: 1, Hi: 20})
	if out := h.x.Narrow(2, m.Info(), some, bodyHas("quokka15end")); out.Len() != 1 || !out.Contains(16) {
		t.Error("of some:", out.Len())
	}
	if out := h.x.Narrow(2, m.Info(), some, nil); out.Len() != 20 {
		t.Error("for nothing:", out.Len())
	}
	if s := h.x.Stats(); s.Mailboxes != 1 || s.Messages != 100 || s.Searches == 0 || s.Spared == 0 || s.Bytes == 0 {
		t.Errorf("%+v", s)
	}
}

// TestMerging: a mailbox that grows keeps few segments, and loses what was expunged.
func TestMerging(t *testing.T) {
	h := newHouse(t, nil)
	m := h.fill(8)
	h.update(2, m.ID())
	most := 0
	for range 40 {
		h.fill(8)
		h.update(2, m.ID())
		most = max(most, len(concordance.Segments(h.x, 2, m.ID())))
	}
	if most > 5 {
		t.Errorf("%d segments of %d messages", most, h.sent)
	}
	if n := h.narrowed(m, "quokka42end"); n != 1 {
		t.Error(n)
	}
	h.expunge(m, uidset.Of(index.UIDRange{Lo: 1, Hi: 300}))
	h.update(2, m.ID())
	left := 0
	for _, n := range concordance.Segments(h.x, 2, m.ID()) {
		left += n
	}
	if left != 28 {
		t.Errorf("%d messages are kept of 28", left)
	}
	h.expunge(m, uidset.Of(index.UIDRange{Lo: 1, Hi: 400}))
	h.update(2, m.ID())
	if segments := concordance.Segments(h.x, 2, m.ID()); len(segments) != 0 {
		t.Errorf("%v is kept of nothing", segments)
	}
	if keys := concordance.Keys(h.x); keys != 2 {
		t.Errorf("%d keys", keys)
	}
}

// TestGone: what is kept of a deleted mailbox or account goes.
func TestGone(t *testing.T) {
	h := newHouse(t, nil)
	inbox := h.fill(20)
	for i := range 20 {
		h.deliver(2, "Work", letter(i))
	}
	work := h.box(2, "Work")
	h.update(2, inbox.ID())
	h.update(2, work.ID())
	if err := h.store.Account(2).Delete(t.Context(), "Work"); err != nil {
		t.Fatal(err)
	}
	h.update(2, work.ID())
	if n := concordance.Segments(h.x, 2, work.ID()); len(n) != 0 || h.x.Stats().Mailboxes != 1 {
		t.Error("the mailbox is kept", n, h.x.Stats())
	}
	if n := h.narrowed(inbox, "quokka5end"); n != 1 {
		t.Error(n)
	}
	if err := h.store.DropAccount(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	h.update(2, inbox.ID())
	if keys := concordance.Keys(h.x); keys != 1 || h.x.Stats().Mailboxes != 0 {
		t.Errorf("%d keys", keys)
	}
}

// TestDamage: a damaged segment is found by the search that meets it, which opens all messages, and is made anew.
func TestDamage(t *testing.T) {
	for name, hurt := range map[string]func(*house, *mailstore.Mailbox){
		"postings":   func(h *house, m *mailstore.Mailbox) { concordance.Damage(h.x, 2, m.ID(), false) },
		"descriptor": func(h *house, m *mailstore.Mailbox) { concordance.Damage(h.x, 2, m.ID(), true) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, nil)
			m := h.fill(50)
			h.update(2, m.ID())
			hurt(h, m)
			if n := h.narrowed(m, "quokka5end"); n != 50 {
				t.Error("the damaged one was used:", n)
			}
			h.update(2, m.ID())
			if n := h.narrowed(m, "quokka5end"); n != 1 || h.x.Stats().Discarded != 1 {
				t.Error("it was not made anew:", n, h.x.Stats())
			}
			hurt(h, m)
			h.fill(50)
			if err := h.x.Update(t.Context(), 2, m.ID()); name == "postings" && !errors.Is(err, trigram.ErrFormat) {
				t.Error("merging damaged postings:", err)
			}
			h.update(2, m.ID())
			if n := h.narrowed(m, "quokka5end"); n != 1 {
				t.Error("not after a merge either:", n)
			}
		})
	}
}

// TestReopened: what was flushed is used again once it was held against the mailbox.
func TestReopened(t *testing.T) {
	h := newHouse(t, nil)
	m := h.fill(50)
	h.update(2, m.ID())
	if err := h.x.Close(); err != nil {
		t.Fatal(err)
	}
	h.open()
	if n := h.narrowed(m, "quokka5end"); n != 50 {
		t.Error("used without a look at the mailbox:", n)
	}
	h.update(2, m.ID())
	if n := h.narrowed(m, "quokka5end"); n != 1 || h.x.Stats().Messages != 0 {
		t.Error("made anew:", n, h.x.Stats())
	}
	h.config.Identity = "another"
	if err := h.x.Close(); err != nil {
		t.Fatal(err)
	}
	h.open()
	if keys := concordance.Keys(h.x); keys != 1 {
		t.Errorf("%d keys of another cluster", keys)
	}
}

// TestPutBack: a mailbox that was put back from a copy, and has other messages under the same UIDs since, is not
// searched by what was known of the old ones.
func TestPutBack(t *testing.T) {
	h := newHouse(t, nil)
	m := h.fill(50)
	h.update(2, m.ID())
	if err := h.x.Close(); err != nil {
		t.Fatal(err)
	}
	h.store = mailstoretest.New(t, func(c *mailstore.Config) {
		c.Clock = func() time.Time { return time.Now().Add(time.Hour) }
	})
	h.sent = 1000
	m = h.fill(80)
	h.open()
	h.update(2, m.ID())
	if h.x.Stats().Discarded != 1 {
		t.Error("the old segments are trusted")
	}
	if n := h.narrowed(m, "quokka1005end"); n != 1 {
		t.Error(n)
	}
}

// TestFull: a full disk is not written.
func TestFull(t *testing.T) {
	full := errors.New("full")
	h := newHouse(t, func(c *concordance.Config) { c.Full = func() error { return full } })
	m := h.fill(20)
	if err := h.x.Update(t.Context(), 2, m.ID()); !errors.Is(err, full) || concordance.Keys(h.x) != 1 {
		t.Error(err)
	}
}

// TestRun: what is searched is taken in, and kept up to date with what is delivered.
func TestRun(t *testing.T) {
	updates := make(chan error, 100)
	h := newHouse(t, func(c *concordance.Config) {
		c.Every = time.Millisecond
		c.Updated = func(_ index.AccountID, _ index.MailboxID, err error) { updates <- err }
	})
	m := h.fill(20)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { h.x.Run(ctx) })
	defer running.Wait()
	defer cancel()
	h.x.Touched(2) // nobody has searched there
	if n := h.narrowed(m, "quokka5end"); n != 20 {
		t.Error(n)
	}
	if err := <-updates; err != nil {
		t.Fatal(err)
	}
	if n := h.narrowed(m, "quokka5end"); n != 1 {
		t.Error(n)
	}
	h.fill(20)
	h.x.Touched(2)
	if err := <-updates; err != nil {
		t.Fatal(err)
	}
	if n := h.narrowed(m, "quokka25end"); n != 1 {
		t.Error("what was delivered:", n)
	}
}

// TestUnavailable: a mailbox that cannot be read now stays, and is used when it can be.
func TestUnavailable(t *testing.T) {
	down := false
	h := newHouse(t, nil)
	open := h.config.Open
	h.config.Open = func(ctx context.Context, a index.AccountID, m index.MailboxID) (concordance.Mailbox, error) {
		if down {
			return nil, cluster.ErrNoReplica
		}
		return open(ctx, a, m)
	}
	if err := h.x.Close(); err != nil {
		t.Fatal(err)
	}
	h.open()
	m := h.fill(20)
	h.update(2, m.ID())
	down = true
	if err := h.x.Update(t.Context(), 2, m.ID()); !errors.Is(err, cluster.ErrNoReplica) {
		t.Error(err)
	}
	down = false
	if n := h.narrowed(m, "quokka5end"); n != 1 {
		t.Error(n)
	}
}

// TestRandom does anything in any order, losing the disk in between, and looks for words after each step.
func TestRandom(t *testing.T) {
	for seed := range int64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewSource(seed))
			h := newHouse(t, nil)
			words := []string{"alpha", "BETA", "gämma", "日本語", "delta beta", "=?x", "zeta", "no such"}
			for range 40 {
				switch rnd.Intn(7) {
				case 0, 1, 2:
					for range rnd.Intn(40) {
						var text []string
						for range rnd.Intn(4) {
							text = append(text, words[rnd.Intn(len(words)-1)])
						}
						name := []string{"INBOX", "Work"}[rnd.Intn(2)]
						h.deliver(2, name, "Content-Type: text/plain; charset=utf-8\r\n\r\n"+strings.Join(text, " ")+fmt.Sprint(" q", h.sent))
					}
				case 3:
					m := h.box(2, "INBOX")
					lo := index.UID(1 + rnd.Intn(int(m.Info().UIDNext)))
					h.expunge(m, uidset.Of(index.UIDRange{Lo: lo, Hi: lo + index.UID(rnd.Intn(100))}))
				case 4, 5:
					for _, name := range []string{"INBOX", "Work"} {
						if m, err := h.store.Account(2).Open(t.Context(), name); err == nil {
							h.update(2, m.ID())
						}
					}
				case 6:
					h.crash(rnd.Intn(3) * 50)
				}
				for _, name := range []string{"INBOX", "Work"} {
					if m, err := h.store.Account(2).Open(t.Context(), name); err == nil {
						h.narrowed(m, words[rnd.Intn(len(words))])
						h.narrowed(m, fmt.Sprint(" q", rnd.Intn(h.sent+1)))
					}
				}
			}
		})
	}
}
