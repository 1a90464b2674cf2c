package raftlog

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, c Config) *DB {
	t.Helper()
	d, err := Open("/log", c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func group(t testing.TB, d *DB, g cluster.GroupID) *Log {
	t.Helper()
	l, err := d.Group(g)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// fresh opens an empty database in memory for the length of the test.
func fresh(t testing.TB) *DB {
	d := open(t, Config{FS: vfs.NewMem()})
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func entries(from, to uint64, size int) (out []*raft.Log) {
	for i := from; i <= to; i++ {
		out = append(out, &raft.Log{
			Index: i, Term: 1 + i/10, Type: raft.LogCommand, AppendedAt: time.Unix(1000, int64(i)).UTC(),
			Data: bytes.Repeat([]byte{byte(i)}, size),
		})
	}
	return out
}

func store(t testing.TB, l *Log, logs []*raft.Log) {
	t.Helper()
	if err := l.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
}

// wantLog checks that l holds exactly first..last, as entries makes them.
func wantLog(t *testing.T, l *Log, first, last uint64, size int) {
	t.Helper()
	gotFirst, _ := l.FirstIndex()
	gotLast, _ := l.LastIndex()
	if gotFirst != first || gotLast != last {
		t.Fatalf("log %d to %d, want %d to %d", gotFirst, gotLast, first, last)
	}
	for _, want := range entries(first, last, size) {
		var got raft.Log
		if err := l.GetLog(want.Index, &got); err != nil {
			t.Fatalf("entry %d: %v", want.Index, err)
		}
		if got.Index != want.Index || got.Term != want.Term || got.Type != want.Type ||
			!got.AppendedAt.Equal(want.AppendedAt) || !bytes.Equal(got.Data, want.Data) {
			t.Fatalf("entry %d came back as %+v", want.Index, got)
		}
	}
	for _, i := range []uint64{first - 1, last + 1} {
		if err := l.GetLog(i, new(raft.Log)); err != raft.ErrLogNotFound {
			t.Errorf("entry %d, which is not there: %v", i, err)
		}
	}
}

func TestLogSurvivesReopen(t *testing.T) {
	fs := vfs.NewCrashableMem()
	d := open(t, Config{FS: fs, CacheBytes: 2000})
	l := group(t, d, 3)
	store(t, l, entries(1, 100, 3000))
	store(t, group(t, d, 4), entries(1, 5, 10))
	wantLog(t, l, 1, 100, 3000)
	if err := l.DeleteRange(1, 20); err != nil {
		t.Fatal(err)
	}
	if err := l.DeleteRange(91, 100); err != nil {
		t.Fatal(err)
	}
	if err := l.PutSnapshot(Snapshot{Index: 25, Term: 3}); err != nil {
		t.Fatal(err)
	}
	store(t, l, entries(91, 95, 3000))
	wantLog(t, l, 21, 95, 3000)
	bytesHeld, newest := l.Bytes(), l.Newest(10_000)
	grown, n := l.Growth()

	after := fs.CrashClone(vfs.CrashCloneCfg{}) // what was not synced is lost
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, Config{FS: after})
	defer d.Close()
	l = group(t, d, 3)
	wantLog(t, l, 21, 95, 3000)
	wantLog(t, group(t, d, 4), 1, 5, 10)
	if l.Bytes() != bytesHeld || l.Newest(10_000) != newest || newest != 3 {
		t.Errorf("%d bytes held, %d newest; before %d and %d", l.Bytes(), l.Newest(10_000), bytesHeld, newest)
	}
	if b, k := l.Growth(); b != grown || k != n || k != 70 {
		t.Errorf("grown by %d bytes, %d entries since the snapshot; before %d, %d", b, k, grown, n)
	}
	if s, ok := l.Snapshot(); !ok || s.Index != 25 || s.Term != 3 {
		t.Errorf("snapshot record %+v, %v", s, ok)
	}
}

func TestHolesAreRefused(t *testing.T) {
	l := group(t, fresh(t), 1)
	store(t, l, entries(1, 10, 10))
	if err := l.StoreLogs(entries(12, 13, 10)); err == nil {
		t.Error("a gap was stored")
	}
	if err := l.StoreLogs(entries(10, 11, 10)); err == nil {
		t.Error("an entry was replaced")
	}
	if err := l.DeleteRange(4, 6); err == nil {
		t.Error("the middle was deleted")
	}
	wantLog(t, l, 1, 10, 10)
	if err := l.DeleteRange(1, 10); err != nil {
		t.Fatal(err)
	}
	store(t, l, entries(50, 51, 10)) // after a snapshot came in
	wantLog(t, l, 50, 51, 10)
}

func TestStableStore(t *testing.T) {
	fs := vfs.NewCrashableMem()
	d := open(t, Config{FS: fs})
	l := group(t, d, 1)
	if v, err := l.GetUint64([]byte("CurrentTerm")); v != 0 || err != nil {
		t.Errorf("a term never set: %d, %v", v, err)
	}
	if err := errors.Join(l.SetUint64([]byte("CurrentTerm"), 7), l.Set([]byte("LastVoteCand"), []byte("n2"))); err != nil {
		t.Fatal(err)
	}
	after := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, Config{FS: after})
	defer d.Close()
	l = group(t, d, 1)
	if v, err := l.GetUint64([]byte("CurrentTerm")); v != 7 || err != nil {
		t.Errorf("term %d, %v, want 7", v, err)
	}
	if v, err := l.Get([]byte("LastVoteCand")); string(v) != "n2" || err != nil {
		t.Errorf("vote %q, %v, want n2", v, err)
	}
	if v, err := group(t, d, 2).Get([]byte("LastVoteCand")); v != nil || err != nil {
		t.Errorf("the vote of another group: %q, %v", v, err)
	}
}

func TestDrop(t *testing.T) {
	d := fresh(t)
	for _, g := range []cluster.GroupID{1, 2} {
		l := group(t, d, g)
		store(t, l, entries(1, 3, 10))
		if err := errors.Join(l.SetUint64([]byte("CurrentTerm"), 7), l.PutSnapshot(Snapshot{Index: 2, Term: 1})); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Drop(1); err != nil {
		t.Fatal(err)
	}
	l := group(t, d, 1)
	if last, _ := l.LastIndex(); last != 0 {
		t.Errorf("the dropped log goes to %d", last)
	}
	if term, _ := l.GetUint64([]byte("CurrentTerm")); term != 0 {
		t.Errorf("the dropped term is %d", term)
	}
	if _, ok := l.Snapshot(); ok {
		t.Error("the dropped snapshot record is there")
	}
	wantLog(t, group(t, d, 2), 1, 3, 10)
}

func TestWatch(t *testing.T) {
	l := group(t, fresh(t), 1)
	store(t, l, entries(1, 5, 100))
	due := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	grown := l.Watch(1000, 100)
	if due(grown) {
		t.Error("due before the limit")
	}
	store(t, l, entries(6, 10, 100))
	if !due(grown) {
		t.Error("not due above the limit of bytes")
	}
	if err := l.PutSnapshot(Snapshot{Index: 10, Term: 2}); err != nil {
		t.Fatal(err)
	}
	store(t, l, entries(11, 11, 100))
	if due(grown) {
		t.Error("due after the snapshot")
	}
	for i := uint64(12); i <= 111; i++ {
		store(t, l, entries(i, i, 0))
	}
	if !due(grown) {
		t.Error("not due above the limit of entries")
	}
}

// TestConcurrentGroupsShareFsyncs appends to many groups at once.
func TestConcurrentGroupsShareFsyncs(t *testing.T) {
	d, err := Open(t.TempDir(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	before, err := d.Fsyncs()
	if err != nil {
		t.Fatal(err)
	}
	const groups, each = 16, 50
	var all sync.WaitGroup
	for g := range groups {
		l := group(t, d, cluster.GroupID(g))
		all.Go(func() {
			for i := uint64(1); i <= each; i++ {
				if err := l.StoreLogs(entries(i, i, 1000)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	after, _ := d.Fsyncs()
	t.Logf("%d commits, %d fsyncs", groups*each, after-before)
	if after == before || after-before > groups*each/2 {
		t.Errorf("%d commits took %d fsyncs", groups*each, after-before)
	}
}

// diskFS tells how much room there is.
type diskFS struct {
	vfs.FS
	mu   sync.Mutex
	free uint64
}

func (d *diskFS) set(free uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = free
}

func (d *diskFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return vfs.DiskUsage{AvailBytes: d.free}, nil
}

func TestFullDisk(t *testing.T) {
	fs := &diskFS{FS: vfs.NewMem(), free: 1000}
	d := open(t, Config{FS: fs, ReserveBytes: 100, SpaceEvery: time.Nanosecond})
	defer d.Close()
	l := group(t, d, 1)
	for _, c := range []struct {
		free            uint64
		propose, append bool // are accepted
	}{{1000, true, true}, {99, false, true}, {49, false, false}, {99, false, true}, {100, true, true}} {
		fs.set(c.free)
		if err := d.Full(); (err == nil) != c.propose || (err != nil && !errors.Is(err, cluster.ErrStorageFull)) {
			t.Errorf("%d free: Full gives %v", c.free, err)
		}
		last, _ := l.LastIndex()
		err := l.StoreLogs(entries(last+1, last+1, 10))
		if (err == nil) != c.append || (err != nil && !errors.Is(err, cluster.ErrStorageFull)) {
			t.Errorf("%d free: StoreLogs gives %v", c.free, err)
		}
		if err := l.SetUint64([]byte("CurrentTerm"), 1); err != nil {
			t.Errorf("%d free: a term is refused, which would stop Raft: %v", c.free, err)
		}
	}
}

func TestCorruptDatabase(t *testing.T) {
	fs := vfs.NewMem()
	d := open(t, Config{FS: fs})
	store(t, group(t, d, 1), entries(1, 100, 500))
	if err := d.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	names, _ := fs.List("/log")
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			if err := fs.Remove("/log/" + name); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err := Open("/log", Config{FS: fs})
	var c *CorruptError
	if !errors.As(err, &c) || !c.All || !strings.Contains(err.Error(), "--group all") {
		t.Errorf("a missing table: %v", err)
	}
}

// overwrite damages the middle of a file.
func overwrite(t *testing.T, fs vfs.FS, name string) {
	t.Helper()
	f, err := fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 16), info.Size()/2); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCorruptTable(t *testing.T) {
	fs := vfs.NewMem()
	d := open(t, Config{FS: fs})
	store(t, group(t, d, 1), entries(1, 100, 500))
	if err := d.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	names, _ := fs.List("/log")
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			overwrite(t, fs, "/log/"+name)
		}
	}
	d, err := Open("/log", Config{FS: fs})
	if err == nil {
		_, err = d.Group(1)
		defer d.Close()
	}
	var c *CorruptError
	if !errors.As(err, &c) {
		t.Errorf("a damaged table: %v", err)
	}
}

func TestRecentIsBounded(t *testing.T) {
	r := recent{max: 10_000}
	for i := uint64(1); i <= 100; i++ {
		r.append(entries(i, i, 1000))
		if r.bytes > r.max {
			t.Fatalf("%d bytes after entry %d", r.bytes, i)
		}
	}
	var out raft.Log
	if r.get(50, &out) || !r.get(100, &out) || out.Index != 100 || r.get(101, &out) {
		t.Error("the newest entries are not the ones kept")
	}
	r.keep(1, 97)
	if r.get(98, &out) || !r.get(97, &out) {
		t.Error("keep dropped the wrong ones")
	}
	r.append(entries(98, 98, 2))
	if !r.get(98, &out) || len(out.Data) != 2 {
		t.Error("an entry that follows a cut is not the new one")
	}
}
