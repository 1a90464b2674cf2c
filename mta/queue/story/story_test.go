package story_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/queue/story"
)

type tester interface {
	Helper()
	Cleanup(func())
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// newBatch is a batch that is never committed.
func newBatch(t tester) kv.Batch {
	t.Helper()
	db, err := state.Open("state", state.Config{FS: vfs.NewMem()})
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
	return b
}

// all is every key with its value.
func all(t tester, r kv.Reader) (out []string) {
	t.Helper()
	it, err := r.Scan([]byte{0x3a}, []byte{0x3c})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%x %x", it.Key(), value))
	}
	return out
}

// found are the numbers of the stories of a name.
func found(t tester, r kv.Reader, name string, from, to uint32, n int) (refs []story.Ref) {
	t.Helper()
	list, err := story.Find(r, name, from, to, n)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		refs = append(refs, s.Ref)
	}
	return refs
}

// TestModel: whatever days come, in any order, stories are found by their names and nothing else, until their days are forgotten; and a
// Book that was just made writes what one does that was there from the beginning.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b, twin := newBatch(rt), newBatch(rt)
		var book, fresh story.Book
		kept := map[story.Ref]string{}
		index, first := uint64(0), uint32(0)
		both := func(fn func(*story.Book, kv.Batch) error) {
			if err := errors.Join(fn(&book, b), fn(&fresh, twin)); err != nil {
				rt.Fatal(err)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"begin": func(rt *rapid.T) {
				fresh = story.Book{}
				day := rapid.Uint32Range(max(first, 10), max(first, 10)+2).Draw(rt, "day")
				for range rapid.SampledFrom([]int{1, 1, 1, 100}).Draw(rt, "how many") {
					index++
					ref := story.NewRef(day, index, 0)
					name := fmt.Sprintf("U%d@example.org", index%7)
					kept[ref] = name
					both(func(k *story.Book, w kv.Batch) error {
						return k.Begin(w, ref, &queuepb.StoryRecord{Id: fmt.Sprint("ID", index), Recipients: []string{name}})
					})
				}
			},
			"add": func(rt *rapid.T) {
				index++
				for ref := range kept {
					both(func(k *story.Book, w kv.Batch) error { return k.Add(w, ref, index, &queuepb.StoryRecord{At: 1}) })
					break
				}
			},
			"forget": func(rt *rapid.T) {
				first = rapid.Uint32Range(first, first+11).Draw(rt, "first")
				both(func(k *story.Book, w kv.Batch) error { return k.Forget(w, first) })
				for ref := range kept {
					if ref.Day < first {
						delete(kept, ref)
					}
				}
			},
			"": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "look") > 0 {
					return
				}
				if err := story.Verify(b); err != nil {
					rt.Fatal(err)
				}
				if a, c := all(rt, b), all(rt, twin); !slices.Equal(a, c) {
					rt.Fatalf("a Book that was there from the beginning has\n%q\nand a new one\n%q", a, c)
				}
				name := fmt.Sprintf("u%d@EXAMPLE.org", rapid.IntRange(0, 7).Draw(rt, "name"))
				want := 0
				for _, of := range kept {
					if bytes.EqualFold([]byte(of), []byte(name)) {
						want++
					}
				}
				if got := found(rt, b, name, 0, story.Never, 1<<20); len(got) != want {
					rt.Fatalf("%d stories of %s, not %d", len(got), name, want)
				}
			},
		})
	})
}

// TestFind: the latest come first, bounded, and each is whole.
func TestFind(t *testing.T) {
	b := newBatch(t)
	var book story.Book
	for i := uint64(1); i <= 600; i++ {
		ref := story.NewRef(uint32(20+i/300), i, 0)
		head := &queuepb.StoryRecord{Id: fmt.Sprint("ID", i), MessageId: fmt.Sprintf("<%d@example.org>", i), Sender: "ada@example.org", Recipients: []string{fmt.Sprintf("u%d@example.com", i)}}
		if err := errors.Join(book.Begin(b, ref, head), book.Add(b, ref, 1000+i, &queuepb.StoryRecord{At: int64(i)})); err != nil {
			t.Fatal(err)
		}
	}
	if err := story.Verify(b); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ID17", "id17", "<17@example.org>", "17@EXAMPLE.org", "U17@example.com"} {
		list, err := story.Find(b, name, 0, 100, 10)
		if err != nil || len(list) != 1 || len(list[0].Pieces) != 2 || list[0].Pieces[0].Id != "ID17" || list[0].Pieces[1].At != 17 {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
	if got := found(t, b, "ada@example.org", 0, 100, 3); !slices.Equal(got, []story.Ref{story.NewRef(22, 600, 0), story.NewRef(21, 599, 0), story.NewRef(21, 598, 0)}) {
		t.Errorf("the latest: %v", got)
	}
	if got := found(t, b, "ada@example.org", 20, 20, 1000); len(got) != 299 {
		t.Errorf("%d stories of the first day", len(got))
	}
	for _, name := range []string{"", "example.org", "nobody@example.org"} {
		if got := found(t, b, name, 0, 100, 10); len(got) != 0 {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// TestNever: none are kept, until they are to be again.
func TestNever(t *testing.T) {
	b := newBatch(t)
	var book story.Book
	keeps := func(day uint32, want bool) {
		t.Helper()
		if got, err := book.Keeps(b, day); got != want || err != nil {
			t.Errorf("keeps day %d: %v, %v", day, got, err)
		}
	}
	stale := func(first uint32, want bool) {
		t.Helper()
		if got, err := story.Stale(b, first); got != want || err != nil {
			t.Errorf("stale before %d: %v, %v", first, got, err)
		}
	}
	keeps(20, true)
	stale(20, false)
	if err := book.Begin(b, story.NewRef(20, 1, 0), &queuepb.StoryRecord{Id: "A"}); err != nil {
		t.Fatal(err)
	}
	stale(20, false)
	stale(21, true)
	stale(story.Never, true)
	if err := book.Forget(b, story.Never); err != nil {
		t.Fatal(err)
	}
	keeps(20, false)
	keeps(story.Never, false)
	stale(story.Never, false)
	stale(21, true)
	if len(all(t, b)) != 1 {
		t.Errorf("what is left: %q", all(t, b))
	}
	if err := book.Forget(b, 21); err != nil {
		t.Fatal(err)
	}
	keeps(20, false)
	keeps(21, true)
	stale(21, false)
}
