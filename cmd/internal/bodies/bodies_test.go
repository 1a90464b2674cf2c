package bodies_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/packertest"
	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/cmd/internal/bodies"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a directory that changes and the stores that its settings name, by URL.
type house struct {
	t *testing.T

	mu      sync.Mutex // guards what follows
	store   directorytest.Store
	machine *directory.Machine
	wakes   []chan struct{}
	buckets map[string]object.Bucket
}

func newHouse(t *testing.T) *house {
	return &house{t: t, machine: directory.New(), buckets: map[string]object.Bucket{}}
}

// do executes a command in the directory and tells those who watch it.
func (h *house) do(c command.Command, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, err := h.machine.Execute(&h.store, c); err != nil {
		h.t.Fatal(err)
	}
	for _, wake := range h.wakes {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

func (h *house) view(fn func(directory.View) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fn(directory.View{R: &h.store})
}

func (h *house) watch() (<-chan struct{}, func()) {
	wake := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wakes = append(h.wakes, wake)
	return wake, func() {}
}

func (h *house) open(s setting.Setting) (object.Bucket, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if b := h.buckets[s.URL]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("there is no %s", s.URL)
}

// use sets the store, with packs that are only made on request.
func (h *house) use(url string, change func(*setting.Setting)) {
	h.t.Helper()
	s := setting.Default()
	s.URL, s.Credentials = url, setting.CredentialsEnv
	if change != nil {
		change(&s)
	}
	text, err := s.Text()
	if err != nil {
		h.t.Fatal(err)
	}
	h.do(directory.SetBlobStore(text))
}

// serve runs a service, and the work of a leader for partitions, until the test ends or stop is called.
func (h *house) serve(partitions ...bodies.Partition) (s *bodies.Service, stop func()) {
	h.t.Helper()
	dir := h.t.TempDir()
	s = bodies.New(bodies.Config{Node: "n1", Cluster: "c1", CacheDir: filepath.Join(dir, "blobs"), CacheBytes: 16 << 20,
		SpoolDir: filepath.Join(dir, "packing"), View: h.view, Watch: h.watch, Open: h.open, Again: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(h.t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	for _, p := range partitions {
		running.Go(func() { s.Lead(ctx, p) })
	}
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	h.t.Cleanup(stop)
	return s, stop
}

// packs has the service pack all that is staged in a partition.
func packs(t *testing.T, s *bodies.Service, p *packertest.Partition) {
	t.Helper()
	eventually(t, "the body is packed", func() error {
		if w := s.Flush(t.Context()); len(w.Problems) > 0 {
			return fmt.Errorf("problems %q", w.Problems)
		}
		if _, staged := p.Bodies(); staged > 0 {
			return errors.New("it is staged")
		}
		return nil
	})
}

// eventually waits until check returns nil.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("%s: never; at the end: %v", what, err)
}

// leads waits until the service works for so many partitions.
func leads(t *testing.T, s *bodies.Service, want int) {
	t.Helper()
	eventually(t, "the partitions are led", func() error {
		if got := len(s.Report(t.Context()).Partitions); got != want {
			return fmt.Errorf("%d of %d", got, want)
		}
		return nil
	})
}

// TestSettingIsFollowed: without a setting nothing is done; with one what is staged is packed and read again, in the
// next store too; and what comes home does so from the store that it is in.
func TestSettingIsFollowed(t *testing.T) {
	h := newHouse(t)
	one, two := object.NewMemory(), object.NewMemory()
	h.buckets["s3://one"], h.buckets["s3://two"] = one, two
	p := packertest.New(3, time.Now)
	if err := p.SetMode(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	s, _ := h.serve(p)
	id := blobstore.PackID{1}
	if _, err := s.Chunk(t.Context(), blobstore.Ref{Pack: &blobstore.Pack{ID: id}, Length: 9}); !errors.Is(err, blobstore.ErrUnavailable) {
		t.Errorf("without a setting: %v", err)
	}
	body := p.Add(1, 2, 3, []byte("a frame that is long enough"))
	h.use("s3://one", nil)
	packs(t, s, p)
	ref := place(t, p, body)
	if frame, err := s.Chunk(t.Context(), ref); err != nil || string(frame) != "a frame that is long enough" {
		t.Errorf("the body is %q, %v", frame, err)
	}
	r := s.Report(t.Context())
	if len(r.Partitions) != 1 || r.Partitions[0].Mode != "packed" || r.Partitions[0].Packs != 1 || r.Partitions[0].LiveBodies != 1 {
		t.Errorf("report %+v", r.Partitions)
	}
	if !r.Node.Up || r.Node.Packed != 1 || r.Node.Requests["put"] != 1 || r.Keys["0000000000000000"] != 1 {
		t.Errorf("report %+v, keys %v", r.Node, r.Keys)
	}
	copyAll(t, one, two)
	h.use("s3://two", nil)
	eventually(t, "the other store is in use", func() error {
		_, err := s.Chunk(t.Context(), ref)
		return err
	})
	leads(t, s, 1)
	if again := s.Report(t.Context()).Node; again.Packed != 1 || again.Requests["put"] != 1 {
		t.Errorf("what was counted is forgotten with the store: %+v", again)
	}
	h.use("s3://two", func(s *setting.Setting) { s.Embedded = true })
	eventually(t, "the body is home", func() error {
		if mode, _ := p.State(); mode != blobstore.Embedded {
			return fmt.Errorf("the mode is %v", mode)
		}
		return nil
	})
}

// place is where the first chunk of a body lies.
func place(t *testing.T, p *packertest.Partition, body uint64) blobstore.Ref {
	t.Helper()
	_, packs := p.State()
	for _, info := range packs {
		m, err := p.Describe(t.Context(), info.Number, []uint64{body})
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Bodies) == 1 {
			e := m.Bodies[0].Entry
			return blobstore.Ref{Pack: &info.Pack, Offset: int64(e.Offset), Length: int(e.Lengths[0])}
		}
	}
	t.Fatalf("body %d is in no pack", body)
	return blobstore.Ref{}
}

func copyAll(t *testing.T, from, to object.Bucket) {
	t.Helper()
	err := from.List(t.Context(), "", func(i object.Info) error {
		r, err := from.Get(t.Context(), i.Name, 0, -1)
		if err != nil {
			return err
		}
		defer r.Close()
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		return to.Put(t.Context(), i.Name, bytes.NewReader(data), i.Size)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestStoreThatCannotBeOpened: it is said, all that needs it fails for now, and it is opened once it can be.
func TestStoreThatCannotBeOpened(t *testing.T) {
	h := newHouse(t)
	p := packertest.New(1, time.Now)
	p.Add(1, 2, 3, []byte("a frame"))
	s, _ := h.serve(p)
	h.use("s3://away", nil)
	eventually(t, "it is said", func() error { // between two attempts there is no store at all
		n := s.Report(t.Context()).Node
		if _, err := s.Problem(); err == nil || n.Up || n.LastError == "" {
			return fmt.Errorf("the store is up: %+v", n)
		}
		if w := s.Flush(t.Context()); w.Left != 1 || len(w.Problems) != 1 {
			return fmt.Errorf("flushed: %+v", w)
		}
		return nil
	})
	if _, staged := p.Bodies(); staged != 1 {
		t.Errorf("%d bodies are staged", staged)
	}
	h.mu.Lock()
	h.buckets["s3://away"] = object.NewMemory()
	h.mu.Unlock()
	eventually(t, "the body is packed", func() error {
		if w := s.Flush(t.Context()); w.Left > 0 || len(w.Problems) > 0 {
			return fmt.Errorf("flushed: %+v", w)
		}
		if _, staged := p.Bodies(); staged > 0 {
			return errors.New("it is staged")
		}
		return nil
	})
}

// TestStoreThatComesBack: nobody has to ask it for that to be known.
func TestStoreThatComesBack(t *testing.T) {
	h := newHouse(t)
	store := object.NewFault(object.NewMemory())
	h.buckets["s3://one"] = store
	store.Set(object.Faults{Down: true})
	s, _ := h.serve()
	h.use("s3://one", nil)
	eventually(t, "the store is down", func() error {
		_, err := s.Chunk(t.Context(), blobstore.Ref{Pack: &blobstore.Pack{ID: blobstore.PackID{1}}, Length: 9})
		if !errors.Is(err, blobstore.ErrUnavailable) {
			return fmt.Errorf("a chunk: %w", err)
		}
		if _, err := s.Problem(); err == nil {
			return errors.New("no problem")
		}
		return nil
	})
	store.Set(object.Faults{})
	eventually(t, "the store is up", func() error {
		_, err := s.Problem()
		return err
	})
}

// TestEncryption: packs are under the key that the setting names; after a rotation those of the old key are written
// anew when it is retired; one under a key that is gone is not read.
func TestEncryption(t *testing.T) {
	h := newHouse(t)
	h.buckets["s3://one"] = object.NewMemory()
	p := packertest.New(1, time.Now)
	ids := map[string]directory.BlobKey{}
	for i, name := range []string{"first", "second"} {
		k := directory.BlobKey{ID: [8]byte{byte(i + 1)}, Key: [32]byte{byte(i + 11)}, Created: time.Unix(1, 0).UTC()}
		ids[name] = k
		h.do(directory.PutBlobKey(k))
	}
	under := func(name string) func(*setting.Setting) {
		return func(s *setting.Setting) { s.Encrypt, s.Key = true, fmt.Sprintf("%x", ids[name].ID) }
	}
	s, _ := h.serve(p)
	body := p.Add(1, 2, 3, []byte("a secret"))
	h.use("s3://one", under("first"))
	leads(t, s, 1)
	if w := s.Flush(t.Context()); w.Left > 0 || len(w.Problems) > 0 {
		t.Fatalf("flushed: %+v", w)
	}
	old := place(t, p, body)
	if old.Pack.Key != ids["first"].ID {
		t.Errorf("the pack is under key %x", old.Pack.Key)
	}
	h.use("s3://one", func(s *setting.Setting) {
		under("second")(s)
		s.Retiring = []string{fmt.Sprintf("%x", ids["first"].ID)}
	})
	eventually(t, "the pack is written anew", func() error {
		if w := s.Collect(t.Context(), -1); w.Left > 0 || len(w.Problems) > 0 {
			return fmt.Errorf("collected: %+v", w)
		}
		if at := place(t, p, body); at.Pack.Key != ids["second"].ID {
			return fmt.Errorf("it is under key %x", at.Pack.Key)
		}
		return nil
	})
	if frame, err := s.Chunk(t.Context(), place(t, p, body)); err != nil || string(frame) != "a secret" {
		t.Errorf("the body is %q, %v", frame, err)
	}
	h.do(directory.DeleteBlobKey(ids["first"].ID))
	lost := *old.Pack
	lost.ID[0]++ // one whose key was not unsealed before
	if _, err := s.Chunk(t.Context(), blobstore.Ref{Pack: &lost, Offset: old.Offset, Length: old.Length}); !errors.Is(err, blobstore.ErrNoKey) {
		t.Errorf("without the key: %v", err)
	}
}
