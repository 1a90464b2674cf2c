package training

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/mta/bayes/bayespb"
)

// tester is a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Cleanup(func())
	Error(args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// world executes commands in a batch that is never committed.
type world struct {
	t    tester
	b    kv.Batch
	m    *Machine
	now  time.Time
	next uint64
}

func newWorld(t tester, l limits) *world {
	t.Helper()
	db, err := state.Open("state", state.Config{FS: vfs.NewMem(), CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	b := db.Group(1).NewBatch()
	t.Cleanup(func() {
		_ = b.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{t: t, b: b, m: &Machine{limits: l}, now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}
}

// key is the key of a message by a short name.
func key(name string) []byte { return []byte(fmt.Sprintf("%-16s", name)) }

// do executes a command and returns its result.
func (w *world) do(cmd *bayespb.TrainCommand) *bayespb.TrainResult {
	w.t.Helper()
	payload, err := cmd.MarshalVT()
	if err != nil {
		w.t.Fatal(err)
	}
	w.next++
	c := command.Command{Kind: command.Train, Time: w.now, Payload: payload, Index: cluster.LogIndex(w.next)}
	encoded, err := w.m.Execute(mailbox.Begin(w.b, c.Time), w.b, c)
	if err != nil {
		w.t.Fatal(err)
	}
	res := new(bayespb.TrainResult)
	if err := res.UnmarshalVT(encoded); err != nil {
		w.t.Fatal(err)
	}
	return res
}

func (w *world) learn(account uint64, name string, class bayespb.Class, shared uint32, ids ...uint64) *bayespb.TrainResult {
	w.t.Helper()
	slices.Sort(ids)
	return w.do(&bayespb.TrainCommand{Action: bayespb.Action_ACTION_LEARN, Account: account, Key: key(name), Class: class,
		Tokens: Pack(slices.Compact(ids)), SharedDay: shared})
}

func (w *world) retract(account uint64, name string, class bayespb.Class) *bayespb.TrainResult {
	w.t.Helper()
	return w.do(&bayespb.TrainCommand{Action: bayespb.Action_ACTION_RETRACT, Account: account, Key: key(name), Class: class})
}

// counts are all tokens of a model, as text.
func (w *world) counts(a index.AccountID) string {
	w.t.Helper()
	m, rec, err := Load(w.b, a)
	if err != nil {
		w.t.Fatal(err)
	}
	var out strings.Builder
	for id := range uint64(300) {
		if c := m.Count(id); c.Spam+c.Ham > 0 {
			fmt.Fprintf(&out, " %d:%d/%d", id, c.Spam, c.Ham)
		}
	}
	if m.Len() != int(rec.Tokens) {
		w.t.Fatalf("model of %d says that it has %d tokens, and has %d", a, rec.Tokens, m.Len())
	}
	return fmt.Sprintf("%d spam, %d ham;%s", rec.Spam, rec.Ham, out.String())
}

// dump is everything that is kept of an account but when it changed last.
func (w *world) dump(a index.AccountID) string {
	w.t.Helper()
	rec, err := Model(w.b, a)
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := Trainings(w.b, a, 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s", w.counts(a))
	if a != Common {
		fmt.Fprintf(&out, "; the common model has %d/%d", rec.SharedSpam, rec.SharedHam)
	}
	for _, t := range list {
		fmt.Fprintf(&out, "\n    %d %s %v shared=%v %v", t.Record.Number, bytes.TrimSpace(t.Key[:]), t.Record.Class, t.Record.Shared, unpack(t.Record.Tokens))
	}
	if len(list) != int(rec.Remembered) || w.rows(tableTraining, a) != len(list) {
		w.t.Fatalf("account %d remembers %d, and %d, and %d trainings", a, rec.Remembered, len(list), w.rows(tableTraining, a))
	}
	return out.String()
}

func (w *world) rows(table byte, a index.AccountID) (n int) {
	w.t.Helper()
	prefix := inAccount(nil, table, uint64(a))
	it, err := w.b.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		w.t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n
}
