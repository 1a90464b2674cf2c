package training

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/bayes/bayespb"
)

// trained is what the oracle knows of a training.
type trained struct {
	class  bayespb.Class
	ids    []uint64
	shared bool
}

// TestAgainstSums holds models against the sums over the trainings that stand, of each account and of all.
func TestAgainstSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, limits{account: 1000, partition: 1000, remembered: 1000})
		stand := map[uint64]map[string]trained{1: {}, 2: {}}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			account := rapid.Uint64Range(1, 2).Draw(t, "account")
			name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "message")
			class := rapid.SampledFrom([]bayespb.Class{bayespb.Class_CLASS_SPAM, bayespb.Class_CLASS_HAM}).Draw(t, "class")
			old, known := stand[account][name]
			if rapid.IntRange(0, 3).Draw(t, "retract") == 0 {
				res := w.retract(account, name, class)
				if res.Changed != (known && old.class == class) {
					t.Fatalf("retracted: %v, it was %v", res, old)
				}
				if res.Changed {
					delete(stand[account], name)
				}
				continue
			}
			ids := rapid.SliceOfNDistinct(rapid.Uint64Range(1, 30), 1, 6, rapid.ID[uint64]).Draw(t, "tokens")
			res := w.learn(account, name, class, rapid.Uint32Range(0, 3).Draw(t, "shared"), ids...)
			if res.Changed == (known && old.class == class) || res.Was != old.class {
				t.Fatalf("learnt: %v, it was %v", res, old)
			}
			if res.Changed {
				stand[account][name] = trained{class, ids, res.Shared}
			}
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "hours")) * time.Hour)
		}
		all := map[string]trained{}
		for account, list := range stand {
			for name, tr := range list {
				if tr.shared {
					all[fmt.Sprint(account, name)] = tr
				}
			}
			compare(t, w, index.AccountID(account), list)
		}
		compare(t, w, Common, all)
	})
}

func compare(t *rapid.T, w *world, a index.AccountID, stand map[string]trained) {
	t.Helper()
	want := map[uint64]bayes.Count{}
	var spam, ham uint64
	for _, tr := range stand {
		if tr.class == bayespb.Class_CLASS_SPAM {
			spam++
		} else {
			ham++
		}
		for _, id := range tr.ids {
			c := want[id]
			if tr.class == bayespb.Class_CLASS_SPAM {
				c.Spam++
			} else {
				c.Ham++
			}
			want[id] = c
		}
	}
	m, rec, err := Load(w.b, a)
	if err != nil {
		t.Fatal(err)
	}
	if m.Spam != spam || m.Ham != ham || m.Len() != len(want) || int(rec.Tokens) != len(want) {
		t.Fatalf("model of %d: %s\nwant %d/%d and %v", a, w.dump(a), spam, ham, want)
	}
	for id, c := range want {
		if m.Count(id) != c {
			t.Fatalf("token %d of model %d: %v, want %v", id, a, m.Count(id), c)
		}
	}
}

// TestBounds: models and memory stay within their bounds, and what they count of themselves is true, whatever is learnt.
func TestBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := limits{account: 20, partition: 25, remembered: 4}
		w := newWorld(t, l)
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			account := rapid.Uint64Range(1, 2).Draw(t, "account")
			name := fmt.Sprint("m", rapid.IntRange(0, i).Draw(t, "message"))
			class := bayespb.Class(rapid.IntRange(1, 2).Draw(t, "class"))
			if rapid.IntRange(0, 4).Draw(t, "retract") == 0 {
				w.retract(account, name, bayespb.Class_CLASS_NONE)
			} else {
				w.learn(account, name, class, 100, rapid.SliceOfN(rapid.Uint64Range(1, 200), 1, 15).Draw(t, "tokens")...)
			}
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "hours")) * time.Hour)
			for a, most := range map[index.AccountID]uint32{Common: l.partition, index.AccountID(account): l.account} {
				w.dump(a)
				if rec, err := Model(w.b, a); err != nil || rec.Tokens > most || rec.Remembered > l.remembered {
					t.Fatalf("model of %d: %v, %v", a, rec, err)
				}
			}
		}
	})
}

// TestBothReplicas: what goes from a full model does not hang on anything but the log.
func TestBothReplicas(t *testing.T) {
	var dumps []string
	for range 2 {
		w := newWorld(t, limits{account: 10, partition: 12, remembered: 5})
		for i := range uint64(60) {
			w.learn(1+i%2, fmt.Sprint(i%17), bayespb.Class(1+i%2), 5, i*7%50, i*11%50, i*13%50)
			w.now = w.now.Add(7 * time.Hour)
		}
		dumps = append(dumps, w.dump(0)+w.dump(1)+w.dump(2))
	}
	if dumps[0] != dumps[1] {
		t.Errorf("one replica has\n%s\nthe other\n%s", dumps[0], dumps[1])
	}
}
