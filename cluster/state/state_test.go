package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, fs vfs.FS) *DB {
	t.Helper()
	d, err := Open("/state", Config{FS: fs, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func openClosed(t testing.TB) *DB {
	d := open(t, vfs.NewMem())
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// put commits keys with their values at an index.
func put(t testing.TB, g *Group, index int, pairs ...string) {
	t.Helper()
	b := g.NewBatch()
	defer b.Close()
	for i := 0; i < len(pairs); i += 2 {
		if err := b.Set([]byte(pairs[i]), []byte(pairs[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(clusterIndex(index)); err != nil {
		t.Fatal(err)
	}
}

// dump lists all keys of r but the applied index.
func dump(t testing.TB, r kv.Reader) string {
	t.Helper()
	it, err := r.Scan([]byte{0x10}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	var out bytes.Buffer
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			t.Fatal(err)
		}
		if len(v) > 20 {
			v = fmt.Appendf(nil, "%d bytes", len(v))
		}
		fmt.Fprintf(&out, "%s=%s ", it.Key(), v)
	}
	if err := it.Error(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func view(t testing.TB, g *Group) string {
	t.Helper()
	s := g.Snapshot()
	defer s.Close()
	return dump(t, s)
}

func TestGroupsDoNotMix(t *testing.T) {
	d := openClosed(t)
	put(t, d.Group(1), 1, "a", "one")
	put(t, d.Group(2), 1, "a", "two", "b", "two")
	put(t, d.Group(256), 1, "c", "last")
	if got := view(t, d.Group(1)); got != "a=one " {
		t.Errorf("group 1: %s", got)
	}
	b := d.Group(2).NewBatch()
	defer b.Close()
	if err := b.DeleteRange([]byte("a"), nil); err != nil {
		t.Fatal(err)
	}
	if got := dump(t, b); got != "" {
		t.Errorf("group 2 after its deletion: %s", got)
	}
	if err := b.Commit(2); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[int]string{1: "a=one ", 2: "", 256: "c=last "} {
		if got := view(t, d.Group(clusterGroup(id))); got != want {
			t.Errorf("group %d: %q, want %q", id, got, want)
		}
	}
}

func TestBatchReadsItsWrites(t *testing.T) {
	d := openClosed(t)
	g := d.Group(1)
	put(t, g, 1, "a", "1", "b", "1", "c", "1")
	b := g.NewBatch()
	defer b.Close()
	key := []byte("b")
	if err := errors.Join(b.Set(key, []byte("2")), b.Delete([]byte("a")), b.Set([]byte("empty"), nil)); err != nil {
		t.Fatal(err)
	}
	key[0] = 'x' // the arguments may be reused
	if got, want := dump(t, b), "b=2 c=1 empty= "; got != want {
		t.Errorf("batch shows %q, want %q", got, want)
	}
	if v, ok, err := b.Get([]byte("empty")); !ok || v == nil || len(v) != 0 || err != nil {
		t.Errorf("an empty value: %v %v %v", v, ok, err)
	}
	if _, ok, err := b.Get([]byte("a")); ok || err != nil {
		t.Errorf("a deleted key: %v %v", ok, err)
	}
	if got, want := view(t, g), "a=1 b=1 c=1 "; got != want {
		t.Errorf("before the commit others see %q, want %q", got, want)
	}
	it, err := b.Scan([]byte("a"), []byte("d"))
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	if !it.SeekLT([]byte("c")) || string(it.Key()) != "b" || !it.Last() || string(it.Key()) != "c" || it.SeekGE([]byte("cc")) || !it.Last() || !it.Prev() || string(it.Key()) != "b" {
		t.Error("the iterator stands elsewhere than it should")
	}
}

// TestCrashKeepsAPrefix crashes at every flush boundary: the applied index always tells exactly
// which batches are there.
func TestCrashKeepsAPrefix(t *testing.T) {
	fs := vfs.NewCrashableMem()
	d := open(t, fs)
	for i := 1; i <= 100; i++ {
		put(t, d.Group(1), i, fmt.Sprintf("k%03d", i), "v")
		if i == 60 {
			if err := d.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	after := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, after)
	defer d.Close()
	applied, err := d.Group(1).Applied()
	if err != nil {
		t.Fatal(err)
	}
	if applied < 60 {
		t.Errorf("applied %d, 60 was flushed", applied)
	}
	if got := bytes.Count([]byte(view(t, d.Group(1))), []byte("=")); got != int(applied) {
		t.Errorf("%d keys at applied index %d", got, applied)
	}
}

func TestFlushesCoalesce(t *testing.T) {
	var mu sync.Mutex
	flushes, gate := 0, make(chan struct{})
	var f flusher
	f.init(func() error {
		<-gate
		mu.Lock()
		defer mu.Unlock()
		flushes++
		return nil
	})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := f.run(); err != nil {
				t.Error(err)
			}
		})
	}
	close(gate)
	all.Wait()
	if flushes == 0 || flushes > 50 {
		t.Errorf("%d flushes for 50 callers", flushes)
	}
	// One runs, and all that come meanwhile share the next.
	gate = make(chan struct{})
	flushes = 0
	started := make(chan struct{})
	f.init(func() error {
		select {
		case started <- struct{}{}:
		default:
		}
		<-gate
		flushes++
		return nil
	})
	all.Go(func() { _ = f.run() })
	<-started
	for range 10 {
		all.Go(func() { _ = f.run() })
	}
	for waiting := false; !waiting; {
		f.mu.Lock()
		waiting = f.next != nil
		f.mu.Unlock()
	}
	close(gate)
	all.Wait()
	if flushes < 2 {
		t.Errorf("%d flushes: who came during one was not served by a later one", flushes)
	}
}

func TestExportImport(t *testing.T) {
	from, to := openClosed(t), openClosed(t)
	g := from.Group(1)
	big := string(bytes.Repeat([]byte("x"), 300<<10))
	put(t, g, 7, "a", "1", "big", big, "c", "3", "value of a blob", string(bytes.Repeat([]byte("y"), 5000)))
	if err := from.Flush(); err != nil { // so that sizes come from blob handles too
		t.Fatal(err)
	}
	put(t, g, 8, "a", "2", "d", big)

	e, err := g.Export()
	if err != nil {
		t.Fatal(err)
	}
	put(t, g, 9, "a", "later")
	stream, err := io.ReadAll(e)
	if err := errors.Join(err, e.Close()); err != nil {
		t.Fatal(err)
	}
	if int64(len(stream)) != e.Size || e.Applied != 8 {
		t.Fatalf("%d bytes at %d, want %d at 8", len(stream), e.Applied, e.Size)
	}
	dst := to.Group(1)
	put(t, dst, 3, "a", "old", "z", "old")
	put(t, to.Group(2), 3, "a", "other")
	old := dst.Snapshot()
	defer old.Close()
	if err := dst.Import(context.Background(), bytes.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	if got, want := view(t, dst), "a=2 big=307200 bytes c=3 d=307200 bytes value of a blob=5000 bytes "; got != want {
		t.Errorf("imported %q, want %q", got, want)
	}
	if got := view(t, to.Group(2)); got != "a=other " {
		t.Errorf("the neighbour: %q", got)
	}
	if applied, err := dst.Applied(); applied != 8 || err != nil {
		t.Errorf("applied %d, %v", applied, err)
	}
	if _, _, err := old.Get([]byte("z")); !errors.Is(err, ErrRestored) {
		t.Errorf("a snapshot from before: %v", err)
	}
	put(t, g, 9, "a", "2") // bring both to the same state
	put(t, dst, 9, "a", "2")
	wantSum, _, _ := g.Hash()
	gotSum, at, err := dst.Hash()
	if gotSum != wantSum || at != 9 || err != nil {
		t.Errorf("hash %x at %d, %v, want %x", gotSum, at, err, wantSum)
	}
}

func TestImportSurvivesACrash(t *testing.T) {
	from := openClosed(t)
	put(t, from.Group(1), 8, "a", "2")
	stream := export(t, from.Group(1))

	fs := vfs.NewCrashableMem()
	d := open(t, fs)
	put(t, d.Group(1), 3, "z", "old")
	if err := d.Group(1).Import(context.Background(), bytes.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	after := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, after)
	defer d.Close()
	if got := view(t, d.Group(1)); got != "a=2 " {
		t.Errorf("after the crash: %q", got)
	}
}

func TestEmptyGroup(t *testing.T) {
	d := openClosed(t)
	put(t, d.Group(1), 1, "a", "1")
	if err := d.Group(1).Drop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if applied, err := d.Group(1).Applied(); applied != 0 || err != nil || view(t, d.Group(1)) != "" {
		t.Errorf("after Drop: applied %d, %v", applied, err)
	}
	put(t, d.Group(1), 1, "b", "1")
	if got := view(t, d.Group(1)); got != "b=1 " {
		t.Errorf("after Drop and a new batch: %q", got)
	}
}

func export(t testing.TB, g *Group) []byte {
	t.Helper()
	e, err := g.Export()
	if err != nil {
		t.Fatal(err)
	}
	stream, err := io.ReadAll(e)
	if err := errors.Join(err, e.Close()); err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestMissingFileIsDamage(t *testing.T) {
	fs := vfs.NewMem()
	d := open(t, fs)
	put(t, d.Group(1), 1, "a", "1")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	names, _ := fs.List("/state")
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			if err := fs.Remove("/state/" + name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := Open("/state", Config{FS: fs}); !errors.Is(err, ErrDamaged) {
		t.Errorf("a missing table: %v", err)
	}
}
