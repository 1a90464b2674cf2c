package reader_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/blobstore/reader"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a bucket with packs in it, and what stands around it.
type store struct {
	memory *object.Memory
	fault  *object.Fault
	count  *object.Count
}

func newStore() *store {
	s := &store{memory: object.NewMemory()}
	s.fault = object.NewFault(s.memory)
	s.count = object.NewCount(s.fault)
	return s
}

func (s *store) gets() uint64 { return s.count.Counts().Of(object.KindGet) }

// packed is a pack that is in a store.
type packed struct {
	blobstore.Pack
	refs   []blobstore.Ref
	frames [][]byte
}

// put puts a pack of so many bodies of one chunk each into the store.
func (s *store) put(t testing.TB, number byte, bodies, size int, seal *pack.ClusterKey) *packed {
	t.Helper()
	random := rand.NewChaCha8([32]byte{number, byte(size)})
	p := &packed{Pack: blobstore.Pack{Group: 3, ID: blobstore.PackID{number, 7}}}
	var key *pack.Key
	if seal != nil {
		key = &pack.Key{number, 1}
		p.Key, p.SealedKey = seal.ID, pack.Seal(*seal, p.ID, *key)
	}
	var file bytes.Buffer
	w, err := pack.NewWriter(&file, p.Pack, key)
	if err != nil {
		t.Fatal(err)
	}
	m := &blobstore.Manifest{Pack: p.ID, Group: 3}
	for i := range bodies {
		frame := make([]byte, size)
		random.Read(frame) // never fails
		w.Begin(uint64(i + 1))
		if err := w.Chunk(frame); err != nil {
			t.Fatal(err)
		}
		e := w.End()
		m.Bodies = append(m.Bodies, blobstore.Body{Entry: e, Size: uint64(size), ChunkSize: uint32(size)})
		p.frames = append(p.frames, frame)
		p.refs = append(p.refs, blobstore.Ref{Pack: &p.Pack, Offset: int64(e.Offset), Length: int(e.Lengths[0])})
	}
	if _, err := w.Finish(m); err != nil {
		t.Fatal(err)
	}
	if err := s.memory.Put(t.Context(), p.Object(), bytes.NewReader(file.Bytes()), int64(file.Len())); err != nil {
		t.Fatal(err)
	}
	return p
}

// open makes a Reader that is closed with the test, or before.
func (s *store) open(t testing.TB, change func(*reader.Config)) *reader.Reader {
	t.Helper()
	c := reader.Config{Bucket: s.count, Dir: t.TempDir(), Timeout: time.Minute} // a machine may be slow
	if change != nil {
		change(&c)
	}
	r := reader.New(context.WithoutCancel(t.Context()), c)
	t.Cleanup(r.Close)
	return r
}

// read reads body i and holds it against what was put.
func (p *packed) read(t testing.TB, r *reader.Reader, i int) {
	t.Helper()
	frame, err := r.Chunk(t.Context(), p.refs[i])
	if err != nil {
		t.Fatalf("body %d: %v", i, err)
	}
	if !bytes.Equal(frame, p.frames[i]) {
		t.Fatalf("body %d: %d octets that are others", i, len(frame))
	}
}

func TestNeighboursComeTogether(t *testing.T) {
	s := newStore()
	p := s.put(t, 1, 1000, 3000, nil)
	r := s.open(t, nil)
	for i := range p.refs {
		p.read(t, r, i)
	}
	if got := s.gets(); got != 12 { // 1000 chunks of 3,008 octets and a header, in blocks of 256 KiB
		t.Errorf("%d GETs one by one, want 12", got)
	}
	ahead := s.open(t, nil)
	before := s.gets()
	ahead.Ahead(p.refs)
	for i := range p.refs {
		p.read(t, ahead, i)
	}
	if got := s.gets() - before; got != 1 {
		t.Errorf("%d GETs read ahead, want 1", got)
	}
	ahead.Close() // all is written
	if st := ahead.Stats(); st.Gets != 1 || st.Hits+st.Misses != 1000 || st.CachedBlocks != 12 || st.Damaged != 0 {
		t.Errorf("%+v", st)
	}
}

func TestChunkOfSeveralBlocks(t *testing.T) {
	s := newStore()
	p := s.put(t, 1, 5, 700<<10, nil)
	r := s.open(t, nil)
	for i := range p.refs {
		p.read(t, r, i)
	}
	if got := s.gets(); got != 5 {
		t.Errorf("%d GETs, want one for each", got)
	}
}

func TestSealed(t *testing.T) {
	s := newStore()
	key := pack.ClusterKey{ID: blobstore.KeyID{1}, Secret: [32]byte{2}}
	p := s.put(t, 1, 10, 1000, &key)
	p.read(t, s.open(t, func(c *reader.Config) {
		c.Keys = func(blobstore.KeyID) (pack.ClusterKey, error) { return key, nil }
	}), 4)
	if _, err := s.open(t, nil).Chunk(t.Context(), p.refs[4]); !errors.Is(err, blobstore.ErrNoKey) {
		t.Errorf("without the key: %v", err)
	}
}

func TestConcurrentReadersFetchOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		p := s.put(t, 1, 10, 1000, nil)
		r := s.open(t, func(c *reader.Config) { c.Dir = "" })
		s.fault.Set(object.Faults{Slow: time.Second})
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() { p.read(t, r, i%10) })
		}
		all.Wait()
		if got := s.gets(); got != 1 {
			t.Errorf("%d GETs, want 1", got)
		}
		r.Close()
	})
}

func TestRestartFindsBlocks(t *testing.T) {
	s := newStore()
	p := s.put(t, 1, 500, 3000, nil)
	dir := t.TempDir()
	same := func(c *reader.Config) { c.Dir = dir }
	r := s.open(t, same)
	for i := range p.refs {
		p.read(t, r, i)
	}
	held := r.Stats()
	r.Close()
	stray := filepath.Join(dir, "01", "stray")
	if err := os.WriteFile(stray, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.fault.Set(object.Faults{Down: true})
	r = s.open(t, same)
	for i := range p.refs {
		p.read(t, r, i)
	}
	if st := r.Stats(); st.CachedBytes != held.CachedBytes || st.CachedBlocks != held.CachedBlocks || st.Gets != 0 {
		t.Errorf("%+v, before %+v", st, held)
	}
	if _, err := os.Stat(stray); !os.IsNotExist(err) {
		t.Errorf("a stray file stays: %v", err)
	}
}

func TestBoundOfOctets(t *testing.T) {
	s := newStore()
	p := s.put(t, 1, 150, 32<<10, nil)
	dir := t.TempDir()
	r := s.open(t, func(c *reader.Config) { c.Dir, c.Bytes = dir, 2<<20 })
	for i := range p.refs {
		p.read(t, r, i)
	}
	var on int64
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if info, infoErr := d.Info(); err == nil && infoErr == nil && !d.IsDir() {
			on += info.Size()
		}
		return nil
	})
	if st := r.Stats(); on > 2<<20 || on != st.CachedBytes || st.Evicted == 0 {
		t.Errorf("%d octets on the disk; %+v", on, st)
	}
}

func TestScanDoesNotFlush(t *testing.T) {
	s := newStore()
	often := s.put(t, 1, 16, 60<<10, nil) // 4 blocks, half of the cache
	scanned := s.put(t, 2, 120, 60<<10, nil)
	now := time.Unix(1e9, 0)
	r := s.open(t, func(c *reader.Config) { c.Bytes, c.Clock = 2<<20, func() time.Time { return now } })
	for range 2 {
		for i := range often.refs {
			often.read(t, r, i)
		}
		now = now.Add(time.Hour)
	}
	for i := range scanned.refs {
		scanned.read(t, r, i)
	}
	before := s.gets()
	for i := range often.refs {
		often.read(t, r, i)
	}
	if got := s.gets() - before; got != 0 {
		t.Errorf("%d GETs after a scan for what is read often", got)
	}
}

func TestDamage(t *testing.T) {
	dirty := func(t *testing.T, dir string) { // one octet of each cached block
		if err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			octets, err := os.ReadFile(name)
			if err == nil {
				for i := range octets {
					octets[i] ^= 1
				}
				err = os.WriteFile(name, octets, 0o600)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("in the cache", func(t *testing.T) {
		s, dir := newStore(), t.TempDir()
		p := s.put(t, 1, 10, 1000, nil)
		p.read(t, s.open(t, func(c *reader.Config) { c.Dir = dir }), 0)
		dirty(t, dir)
		r := s.open(t, func(c *reader.Config) { c.Dir = dir })
		p.read(t, r, 3)
		p.read(t, r, 4)
		if st := r.Stats(); st.Damaged != 1 || st.Lost != 0 || st.Gets != 1 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("a file cut short", func(t *testing.T) {
		s, dir := newStore(), t.TempDir()
		p := s.put(t, 1, 10, 1000, nil)
		r := s.open(t, func(c *reader.Config) { c.Dir = dir })
		p.read(t, r, 0)
		r.Close()
		names, err := filepath.Glob(filepath.Join(dir, "*", "*"))
		if err != nil || len(names) != 1 {
			t.Fatal(names, err)
		}
		if err := os.Truncate(names[0], 5000); err != nil {
			t.Fatal(err)
		}
		p.read(t, s.open(t, func(c *reader.Config) { c.Dir = dir }), 9)
	})
	t.Run("once on the way", func(t *testing.T) {
		s := newStore()
		p := s.put(t, 1, 1, 250<<10, nil) // its middle is that of the block
		s.fault.Set(object.Faults{CorruptGets: true, Times: 1})
		r := s.open(t, nil)
		p.read(t, r, 0)
		p.read(t, r, 0)
		if st := r.Stats(); st.Damaged != 1 || st.Lost != 0 || st.Gets != 2 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("in the store", func(t *testing.T) {
		s := newStore()
		p := s.put(t, 1, 10, 1000, nil)
		s.memory.Flip(p.Object(), p.refs[5].Offset+10)
		r := s.open(t, nil)
		for range 2 {
			if _, err := r.Chunk(t.Context(), p.refs[5]); !errors.Is(err, blobstore.ErrDamaged) {
				t.Errorf("a damaged chunk: %v", err)
			}
		}
		p.read(t, r, 6)
		if st := r.Stats(); st.Lost != 2 || st.Down {
			t.Errorf("%+v", st)
		}
	})
	t.Run("cut short in the store", func(t *testing.T) {
		s := newStore()
		p := s.put(t, 1, 10, 100<<10, nil)
		if err := s.memory.Put(t.Context(), p.Object(), bytes.NewReader(make([]byte, 300<<10)), 300<<10); err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{3, 7} { // across the end, and behind it
			if _, err := s.open(t, nil).Chunk(t.Context(), p.refs[i]); !errors.Is(err, blobstore.ErrDamaged) {
				t.Errorf("body %d: %v", i, err)
			}
		}
	})
	t.Run("gone", func(t *testing.T) {
		s := newStore()
		p := s.put(t, 1, 10, 1000, nil)
		if err := s.memory.Delete(t.Context(), p.Object()); err != nil {
			t.Fatal(err)
		}
		r := s.open(t, nil)
		_, err := r.Chunk(t.Context(), p.refs[0])
		if !errors.Is(err, blobstore.ErrDamaged) || r.Stats().Down {
			t.Errorf("%v; %+v", err, r.Stats())
		}
	})
	t.Run("no place", func(t *testing.T) {
		s := newStore()
		p := s.put(t, 1, 1, 1000, nil)
		for _, ref := range []blobstore.Ref{{}, {Pack: &p.Pack}, {Pack: &p.Pack, Offset: -1, Length: 5}, {Pack: &p.Pack, Length: 1 << 30}} {
			if _, err := s.open(t, nil).Chunk(t.Context(), ref); !errors.Is(err, blobstore.ErrDamaged) {
				t.Errorf("%+v: %v", ref, err)
			}
		}
	})
}

func TestOutage(t *testing.T) {
	down := func(t *testing.T, faults object.Faults, first time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			s := newStore()
			p := s.put(t, 1, 100, 30<<10, nil)
			r := s.open(t, func(c *reader.Config) { c.Timeout = reader.DefaultTimeout })
			p.read(t, r, 0)
			s.fault.Set(faults)
			var waited []time.Duration
			for i := 20; i < 60; i += 10 {
				began := time.Now()
				if _, err := r.Chunk(t.Context(), p.refs[i]); !errors.Is(err, blobstore.ErrUnavailable) {
					t.Errorf("body %d: %v", i, err)
				}
				waited = append(waited, time.Since(began))
			}
			if want := []time.Duration{first, 0, 0, 0}; fmt.Sprint(waited) != fmt.Sprint(want) {
				t.Errorf("waited %v, want %v", waited, want)
			}
			if !r.Stats().Down {
				t.Error("the store counts as working")
			}
			p.read(t, r, 1) // of the cached block
			s.fault.Heal()
			time.Sleep(2 * reader.DefaultTimeout)
			synctest.Wait()
			p.read(t, r, 20)
			if r.Stats().Down {
				t.Error("the store counts as down")
			}
			r.Close()
		})
	}
	t.Run("refuses", func(t *testing.T) { down(t, object.Faults{Down: true}, 150*time.Millisecond) })
	t.Run("throttles", func(t *testing.T) { down(t, object.Faults{SlowDown: true}, 150*time.Millisecond) })
	t.Run("does not answer", func(t *testing.T) { down(t, object.Faults{Slow: time.Hour}, reader.DefaultTimeout*9/10) })
}

// TestPassingFailures: what fails once or twice is asked for again.
func TestPassingFailures(t *testing.T) {
	for name, faults := range map[string]object.Faults{
		"refused":   {Down: true, Times: 2},
		"throttled": {SlowDown: true, Times: 2},
		"cut off":   {BreakGets: true, Times: 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			p := s.put(t, 1, 100, 30<<10, nil)
			r := s.open(t, nil)
			s.fault.Set(faults)
			p.read(t, r, 50)
			if st := r.Stats(); st.Failed != 2 || st.Gets != 3 || st.Down {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestDeniedIsAnAnswer(t *testing.T) {
	s := newStore()
	p := s.put(t, 1, 10, 1000, nil)
	s.fault.Set(object.Faults{Deny: []object.Kind{object.KindGet}})
	r := s.open(t, nil)
	for range 2 {
		if _, err := r.Chunk(t.Context(), p.refs[0]); !errors.Is(err, blobstore.ErrUnavailable) {
			t.Errorf("denied: %v", err)
		}
	}
	s.fault.Heal()
	p.read(t, r, 0)
}

func TestCancelledInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		p := s.put(t, 1, 10, 1000, nil)
		r := s.open(t, nil)
		s.fault.Set(object.Faults{Slow: 5 * time.Second})
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, context.Canceled)
		defer cancel()
		began := time.Now()
		_, err := r.Chunk(ctx, p.refs[0])
		if !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		p.read(t, r, 0) // what was begun is of use to others
		if got := s.gets(); got != 1 {
			t.Errorf("%d GETs, want 1", got)
		}
		r.Close()
	})
}

func TestCloseEndsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		p := s.put(t, 1, 10, 1000, nil)
		r := s.open(t, nil)
		s.fault.Set(object.Faults{Slow: time.Hour})
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := r.Chunk(t.Context(), p.refs[0]); !errors.Is(err, blobstore.ErrUnavailable) {
				t.Errorf("closed meanwhile: %v", err)
			}
		})
		synctest.Wait()
		r.Close()
		all.Wait()
		if _, err := r.Chunk(t.Context(), p.refs[0]); !errors.Is(err, blobstore.ErrUnavailable) {
			t.Errorf("closed before: %v", err)
		}
	})
}

func TestBrokenDisk(t *testing.T) {
	s := newStore()
	p := s.put(t, 1, 1000, 3000, nil)
	t.Run("no folder", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r := s.open(t, func(c *reader.Config) { c.Dir = filepath.Join(file, "blobs") })
		before := s.gets()
		for i := range p.refs {
			p.read(t, r, i)
		}
		if st := r.Stats(); st.CachedBytes != 0 || st.DiskFailed == 0 || s.gets()-before > 12 {
			t.Errorf("%d GETs; %+v", s.gets()-before, st)
		}
	})
	t.Run("cannot be written", func(t *testing.T) {
		dir, now := t.TempDir(), time.Unix(1e9, 0)
		r := s.open(t, func(c *reader.Config) { c.Dir, c.Clock = dir, func() time.Time { return now } })
		inTheWay := filepath.Join(dir, "01") // of the folder for the pack's blocks
		if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		p.read(t, r, 0)
		p.read(t, r, 500)
		if st := r.Stats(); st.CachedBlocks != 0 || st.DiskFailed != 1 {
			t.Errorf("%+v", st)
		}
		if err := os.Remove(inTheWay); err != nil {
			t.Fatal(err)
		}
		p.read(t, r, 700) // the disk is left alone for a while
		now = now.Add(time.Hour)
		p.read(t, r, 900)
		r.Close()
		if st := r.Stats(); st.CachedBlocks != 1 || st.DiskFailed != 1 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("taken away", func(t *testing.T) {
		dir := t.TempDir()
		r := s.open(t, func(c *reader.Config) { c.Dir = dir })
		for i := range p.refs {
			p.read(t, r, i)
		}
		r.Close()
		r = s.open(t, func(c *reader.Config) { c.Dir = dir })
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for i := range p.refs {
				p.read(t, r, i)
			}
		}
		if st := r.Stats(); st.CachedBlocks != 12 || st.DiskFailed != 12 {
			t.Errorf("%+v", st)
		}
	})
}
