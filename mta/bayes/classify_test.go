package bayes_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/mta/bayes"
)

// learnt makes a model of messages.
func learnt(spam, ham []string) *bayes.Model {
	counts := map[uint64]bayes.Count{}
	for _, text := range spam {
		for _, id := range message(text).Sorted() {
			c := counts[id]
			c.Spam++
			counts[id] = c
		}
	}
	for _, text := range ham {
		for _, id := range message(text).Sorted() {
			c := counts[id]
			c.Ham++
			counts[id] = c
		}
	}
	return model(uint64(len(spam)), uint64(len(ham)), counts)
}

func model(spam, ham uint64, counts map[uint64]bayes.Count) *bayes.Model {
	ids := make([]uint64, 0, len(counts))
	for id := range counts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	b := bayes.NewBuilder(spam, ham, len(ids))
	for _, id := range ids {
		b.Add(id, counts[id])
	}
	return b.Model()
}

func message(text string) *bayes.Tokens {
	return bayes.Tokenize([]byte("From: a@example.net\r\nSubject: note\r\n\r\n" + text + "\r\n"))
}

func several(n int, format string) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf(format, i))
	}
	return out
}

// TestStories: whose word counts, and what for.
func TestStories(t *testing.T) {
	cluster := learnt(several(60, "cheap pills order today number%d"), several(60, "minutes of the meeting attached number%d"))
	pharmacist := learnt(several(60, "lottery winner number%d"), several(60, "pills order delivered pharmacy number%d"))
	beginner := learnt(several(3, "anything%d"), several(60, "minutes%d"))
	const least = 50
	for _, c := range []struct {
		name             string
		account, cluster *bayes.Model
		text             string
		ok               bool
		low, high        float64
		of               string // of the first token
	}{
		{"nobody knows anything", nil, nil, "cheap pills", false, 0.5, 0.5, ""},
		{"too few of one kind", beginner, beginner, "anything1", false, 0.5, 0.5, ""},
		{"the cluster alone", nil, cluster, "order cheap pills today", true, 0.9, 1, bayes.OfCluster},
		{"the cluster, what is wanted", beginner, cluster, "minutes of our meeting are attached", true, 0, 0.1, bayes.OfCluster},
		{"an account that sees it otherwise", pharmacist, cluster, "pills order", true, 0, 0.2, bayes.OfAccount},
		{"the same account, of what it knows nothing", pharmacist, cluster, "cheap today", true, 0.7, 1, bayes.OfCluster},
		{"words that are new to all", pharmacist, cluster, "xylophone quartet", true, 0.3, 0.7, ""},
	} {
		o, ok := bayes.Classify(c.account, c.cluster, message(c.text), least)
		if ok != c.ok || o.Probability < c.low || o.Probability > c.high {
			t.Errorf("%s: %v %+v", c.name, ok, o)
		}
		if c.of != "" && (len(o.Tokens) == 0 || o.Tokens[0].Of != c.of) {
			t.Errorf("%s: %+v", c.name, o.Tokens)
		}
		if (o.Score > 0) != (o.Probability > 0.6) || (o.Score < 0) != (o.Probability < 0.4) {
			t.Errorf("%s: %v points for %v", c.name, o.Score, o.Probability)
		}
	}
}

// TestExplained: the weightiest tokens come first, with what was learnt of them.
func TestExplained(t *testing.T) {
	m := learnt(several(50, "cheap pills n%d"), several(50, "meeting n%d"))
	o, _ := bayes.Classify(nil, m, message("cheap meeting "+strings.Join(several(40, "n%d"), " ")), 50)
	if len(o.Tokens) == 0 || len(o.Tokens) > 15 {
		t.Fatalf("%d tokens", len(o.Tokens))
	}
	for i, e := range o.Tokens[1:] {
		if math.Abs(e.Probability-0.5) > math.Abs(o.Tokens[i].Probability-0.5)+1e-6 {
			t.Errorf("%+v before %+v", o.Tokens[i], e)
		}
	}
	i := slices.IndexFunc(o.Tokens, func(e bayes.Evidence) bool { return e.Text == "cheap" })
	if i < 0 || i > 1 || o.Tokens[i].Spam != 50 || o.Tokens[i].Ham != 0 {
		t.Errorf("the weightiest are %+v", o.Tokens[:2])
	}
}

// TestModel holds models, and sums of them, against maps.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var models []*bayes.Model
		want := map[uint64]bayes.Count{}
		var spam, ham uint64
		for range rapid.IntRange(0, 5).Draw(t, "models") {
			if rapid.IntRange(0, 9).Draw(t, "nil") == 0 {
				models = append(models, nil)
				continue
			}
			counts := map[uint64]bayes.Count{}
			for range rapid.IntRange(0, 60).Draw(t, "tokens") {
				id := rapid.SampledFrom([]uint64{1, 1 << 63, 1<<64 - 1, 77}).Draw(t, "base") + rapid.Uint64Range(0, 9).Draw(t, "id")<<rapid.SampledFrom([]int{0, 58, 62}).Draw(t, "shift")
				counts[id] = bayes.Count{Spam: rapid.Uint32Range(0, 4).Draw(t, "spam"), Ham: rapid.Uint32Range(1, 4).Draw(t, "ham")}
			}
			for id, c := range counts {
				w := want[id]
				want[id] = bayes.Count{Spam: w.Spam + c.Spam, Ham: w.Ham + c.Ham}
			}
			models = append(models, model(2, 3, counts))
			spam, ham = spam+2, ham+3
		}
		sum := bayes.Sum(1000, models...)
		if sum.Spam != spam || sum.Ham != ham || sum.Len() != len(want) {
			t.Fatalf("%d %d %d, want %d %d %d", sum.Spam, sum.Ham, sum.Len(), spam, ham, len(want))
		}
		for id, c := range want {
			if got := sum.Count(id); got != c {
				t.Fatalf("%x: %v, want %v", id, got, c)
			}
			if _, there := want[id+1]; !there && sum.Count(id+1) != (bayes.Count{}) {
				t.Fatalf("%x is known", id+1)
			}
		}
		few := bayes.Sum(len(want)/2, models...)
		if few.Len() > len(want)/2 || few.Spam != spam {
			t.Fatalf("%d of %d tokens are left", few.Len(), len(want))
		}
	})
}
