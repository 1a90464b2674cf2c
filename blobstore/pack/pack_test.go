package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/rookery-mail/rookery/blobstore"
)

// sample is a pack with a bit of everything. Its manifest is golden: it changes for no one.
type sample struct {
	pack     blobstore.Pack
	key      *Key
	keys     Keys
	manifest *blobstore.Manifest
	frames   map[uint64][][]byte
}

func newSample(sealed bool) sample {
	s := sample{pack: blobstore.Pack{Group: 7, ID: blobstore.PackID{0xab, 1, 2, 3, 15: 0xff}}}
	if sealed {
		cluster := ClusterKey{ID: blobstore.KeyID{1, 2, 3, 4, 5, 6, 7, 8}, Secret: [32]byte{9, 31: 1}}
		s.key = &Key{42, 31: 24}
		s.pack.Key, s.pack.SealedKey = cluster.ID, Seal(cluster, s.pack.ID, *s.key)
		s.keys = func(id blobstore.KeyID) (ClusterKey, error) {
			if id != cluster.ID {
				return ClusterKey{}, blobstore.ErrNoKey
			}
			return cluster, nil
		}
	}
	s.frames = map[uint64][][]byte{
		12: {[]byte("frame of the first body")},
		11: {bytes.Repeat([]byte("chunk 0 "), 100), bytes.Repeat([]byte("chunk 1 "), 50), []byte("2")},
		90: {},
		91: {bytes.Repeat([]byte{0}, 1000)},
	}
	day := time.Date(2026, 3, 14, 15, 9, 26, 535e6, time.UTC)
	s.manifest = &blobstore.Manifest{
		Cluster:  "c1a0",
		Created:  day.Add(24 * time.Hour),
		Accounts: []blobstore.Account{{ID: 3, Address: "ada@example.org"}, {ID: 1 << 40}},
		Mailboxes: []blobstore.Mailbox{
			{Account: 0, ID: 1, Name: "INBOX", UIDValidity: 77, Keywords: []string{"$Forwarded", "arbeit"}, Subscribed: true},
			{Account: 0, ID: 2, Name: "Entwürfe/Größe", UIDValidity: 1 << 31, SpecialUse: 4},
			{Account: 1, ID: 1, Name: "INBOX", UIDValidity: 78, Kept: true},
		},
		Bodies: []blobstore.Body{
			{Entry: blobstore.Entry{Body: 12}, Size: 100, ChunkSize: 131072, Users: []blobstore.User{
				{Mailbox: 0, UID: 1, Flags: 1, InternalDate: day, SaveDate: day.Add(time.Second)},
				{Mailbox: 2, UID: 4000000000, Keywords: nil, InternalDate: day.Add(-time.Hour), SaveDate: day}}},
			{Entry: blobstore.Entry{Body: 11}, Size: 300000, ChunkSize: 131072, Users: []blobstore.User{
				{Mailbox: 1, UID: 9, Flags: 31, InternalDate: time.Unix(0, 0).UTC(), SaveDate: day},
				{Mailbox: 0, UID: 2, Keywords: []uint32{1, 0}, InternalDate: day, SaveDate: day}}},
			{Entry: blobstore.Entry{Body: 90}},
			{Entry: blobstore.Entry{Body: 91}, Size: 1000, ChunkSize: 131072, Users: []blobstore.User{
				{Mailbox: 1, UID: 10, InternalDate: time.Time{}, SaveDate: time.Time{}}}},
		},
	}
	return s
}

// write makes the pack; the octets of a body that does not come to its end lie in it too.
func (s sample) write(t testing.TB) ([]byte, Summary) {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, s.pack, s.key)
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range []uint64{12, 11, 90, 91} {
		if i == 2 {
			w.Begin(1000)
			if err := w.Chunk([]byte("of a body that went away")); err != nil {
				t.Fatal(err)
			}
		}
		w.Begin(body)
		for _, frame := range s.frames[body] {
			if err := w.Chunk(frame); err != nil {
				t.Fatal(err)
			}
		}
		w.End()
	}
	summary, err := w.Finish(s.manifest)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), summary
}

func bothWays(t *testing.T, test func(*testing.T, sample)) {
	for _, sealed := range []bool{false, true} {
		t.Run(fmt.Sprintf("sealed=%v", sealed), func(t *testing.T) { test(t, newSample(sealed)) })
	}
}

func TestRoundTrip(t *testing.T) {
	bothWays(t, func(t *testing.T, s sample) {
		octets, summary := s.write(t)
		c, err := Read(bytes.NewReader(octets), int64(len(octets)), s.keys)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(c.Manifest, s.manifest) {
			t.Errorf("manifest\n%+v\ninstead of\n%+v", c.Manifest, s.manifest)
		}
		if !reflect.DeepEqual(c.Pack, s.pack) {
			t.Errorf("pack %+v instead of %+v", c.Pack, s.pack)
		}
		found, err := c.Verify(bytes.NewReader(octets), nil)
		if err != nil || found != summary || found.Size != int64(len(octets)) {
			t.Errorf("Verify: %+v, %v; written was %+v", found, err, summary)
		}
		s.open(t, c, octets)
	})
}

func (s sample) open(t *testing.T, c *Contents, octets []byte) {
	t.Helper()
	for _, b := range c.Manifest.Bodies {
		at := b.Offset
		for i, n := range b.Lengths {
			ref := blobstore.Ref{Pack: &c.Pack, Offset: int64(at), Length: int(n)}
			frame, err := Open(octets[at:at+uint64(n)], ref, c.Key)
			if err != nil || !bytes.Equal(frame, s.frames[b.Entry.Body][i]) {
				t.Errorf("chunk %d of body %d: %q, %v", i, b.Entry.Body, frame, err)
			}
			if int(n) != len(frame)+c.Pack.Overhead() {
				t.Errorf("chunk of %d octets for a frame of %d", n, len(frame))
			}
			// The same octets as if they lay elsewhere.
			ref.Offset++
			if _, err := Open(octets[at:at+uint64(n)], ref, c.Key); !errors.Is(err, blobstore.ErrDamaged) {
				t.Errorf("chunk of another place: %v", err)
			}
			ref.Offset--
			ref.Pack = &blobstore.Pack{ID: blobstore.PackID{1}}
			if _, err := Open(octets[at:at+uint64(n)], ref, c.Key); !errors.Is(err, blobstore.ErrDamaged) {
				t.Errorf("chunk of another pack: %v", err)
			}
			at += uint64(n)
		}
	}
}

// TestDamage turns each octet of a pack: Read or Verify says so.
func TestDamage(t *testing.T) {
	bothWays(t, func(t *testing.T, s sample) {
		octets, _ := s.write(t)
		for i := range octets {
			if i > 200 && i < len(octets)-500 && i%13 != 0 {
				continue // one octet of a chunk is like another
			}
			octets[i] ^= 0x40
			c, err := Read(bytes.NewReader(octets), int64(len(octets)), s.keys)
			if err == nil {
				_, err = c.Verify(bytes.NewReader(octets), nil)
			}
			if !errors.Is(err, blobstore.ErrDamaged) && !errors.Is(err, blobstore.ErrFormat) {
				t.Errorf("octet %d of %d turned: %v", i, len(octets), err)
			}
			octets[i] ^= 0x40
		}
	})
}

func TestCutShort(t *testing.T) {
	bothWays(t, func(t *testing.T, s sample) {
		octets, _ := s.write(t)
		c, err := Read(bytes.NewReader(octets), int64(len(octets)), s.keys)
		if err != nil {
			t.Fatal(err)
		}
		for n := range octets {
			if n > 200 && n < len(octets)-500 && n%13 != 0 {
				continue
			}
			if _, err := Read(bytes.NewReader(octets[:n]), int64(n), s.keys); !errors.Is(err, blobstore.ErrDamaged) {
				t.Errorf("Read of the first %d octets of %d: %v", n, len(octets), err)
			}
			if _, err := Read(bytes.NewReader(octets[:n]), int64(len(octets)), s.keys); !errors.Is(err, blobstore.ErrDamaged) {
				t.Errorf("Read of %d octets that should be %d: %v", n, len(octets), err)
			}
			if _, err := c.Verify(bytes.NewReader(octets[:n]), nil); !errors.Is(err, blobstore.ErrDamaged) {
				t.Errorf("Verify of the first %d octets of %d: %v", n, len(octets), err)
			}
		}
		longer := append(bytes.Clone(octets), 0)
		if _, err := c.Verify(bytes.NewReader(longer), nil); !errors.Is(err, blobstore.ErrDamaged) {
			t.Errorf("Verify of an octet more: %v", err)
		}
	})
}

// TestVerifyNames tells which bodies are damaged, and of what is the store's fault.
func TestVerifyNames(t *testing.T) {
	bothWays(t, func(t *testing.T, s sample) {
		octets, _ := s.write(t)
		c, err := Read(bytes.NewReader(octets), int64(len(octets)), s.keys)
		if err != nil {
			t.Fatal(err)
		}
		octets[c.Manifest.Bodies[1].Offset+900] ^= 1
		octets[c.Manifest.Bodies[3].Offset] ^= 1
		var bad []uint64
		_, err = c.Verify(bytes.NewReader(octets), func(b blobstore.Body) { bad = append(bad, b.Entry.Body) })
		if !errors.Is(err, blobstore.ErrDamaged) || !reflect.DeepEqual(bad, []uint64{11, 91}) {
			t.Errorf("damaged are %v, %v", bad, err)
		}
		broken := errors.New("the network")
		_, err = c.Verify(io.MultiReader(bytes.NewReader(octets[:100]), failing{broken}), nil)
		if !errors.Is(err, broken) || errors.Is(err, blobstore.ErrDamaged) {
			t.Errorf("a reader that fails: %v", err)
		}
		if _, err := Read(failing{broken}, int64(len(octets)), s.keys); !errors.Is(err, broken) || errors.Is(err, blobstore.ErrDamaged) {
			t.Errorf("a store that fails: %v", err)
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)          { return 0, f.err }
func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestNoKey(t *testing.T) {
	s := newSample(true)
	octets, _ := s.write(t)
	other := func(id blobstore.KeyID) (ClusterKey, error) { return ClusterKey{ID: id, Secret: [32]byte{1}}, nil }
	none := func(blobstore.KeyID) (ClusterKey, error) { return ClusterKey{}, blobstore.ErrNoKey }
	for name, keys := range map[string]Keys{"nil": nil, "none": none, "another secret": other} {
		if _, err := Read(bytes.NewReader(octets), int64(len(octets)), keys); !errors.Is(err, blobstore.ErrNoKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, word := range []string{"ada@example.org", "INBOX", "chunk 1", "frame of"} {
		if bytes.Contains(octets, []byte(word)) {
			t.Errorf("%q can be read in an encrypted pack", word)
		}
	}
}

// TestLargeManifest has a manifest that does not fit into the first read of the tail.
func TestLargeManifest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	m := &blobstore.Manifest{Created: time.UnixMilli(0).UTC(), Accounts: []blobstore.Account{{ID: 1}}, Mailboxes: []blobstore.Mailbox{{Name: "INBOX"}}}
	var b bytes.Buffer
	w, err := NewWriter(&b, blobstore.Pack{Group: 1, ID: blobstore.PackID{1}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 20000 {
		id := random.Uint64()
		w.Begin(id)
		if err := w.Chunk([]byte{1}); err != nil {
			t.Fatal(err)
		}
		w.End()
		m.Bodies = append(m.Bodies, blobstore.Body{Entry: blobstore.Entry{Body: id}, Size: random.Uint64(), Users: []blobstore.User{{UID: random.Uint32(), InternalDate: time.UnixMilli(random.Int64N(1 << 40)).UTC(), SaveDate: time.UnixMilli(0).UTC()}}})
	}
	if _, err := w.Finish(m); err != nil {
		t.Fatal(err)
	}
	c, err := Read(bytes.NewReader(b.Bytes()), int64(b.Len()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Footer.Length <= TailSize || !reflect.DeepEqual(c.Manifest, m) {
		t.Errorf("manifest of %d octets came back as another", c.Footer.Length)
	}
	if _, err := c.Verify(bytes.NewReader(b.Bytes()), nil); err != nil {
		t.Error(err)
	}
}

func TestWriterOutOfOrder(t *testing.T) {
	s := newSample(true)
	if _, err := NewWriter(io.Discard, s.pack, nil); err == nil {
		t.Error("a sealed pack without its key")
	}
	if _, err := NewWriter(io.Discard, blobstore.Pack{}, s.key); err == nil {
		t.Error("a key without a sealed key")
	}
	w, err := NewWriter(io.Discard, blobstore.Pack{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Chunk([]byte("x")); err == nil {
		t.Error("a chunk of no body")
	}
	w.Begin(1)
	for _, n := range []int{0, MaxChunk + 1} {
		if err := w.Chunk(make([]byte, n)); err == nil {
			t.Errorf("a chunk of %d octets", n)
		}
	}
	w.End()
	if _, err := w.Finish(&blobstore.Manifest{}); err == nil {
		t.Error("a manifest without a body that was written")
	}
	if _, err := w.Finish(&blobstore.Manifest{Bodies: []blobstore.Body{{Entry: blobstore.Entry{Body: 1}}, {Entry: blobstore.Entry{Body: 2}}}}); err != nil {
		t.Errorf("a manifest with a body that was not written: %v", err)
	}
	if _, err := w.Finish(&blobstore.Manifest{}); err == nil {
		t.Error("finished twice")
	}
}

type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	n := min(len(p), f.left)
	f.left -= n
	if n < len(p) {
		return n, errors.New("disk full")
	}
	return n, nil
}

// TestWriterDiskFull fails at whatever octet the disk is full, and stays failed.
func TestWriterDiskFull(t *testing.T) {
	frame := []byte(strings.Repeat("x", 50))
	m := blobstore.Manifest{Bodies: []blobstore.Body{{Entry: blobstore.Entry{Body: 1}}}}
	for room := 0; ; room++ {
		w, err := NewWriter(&full{room}, blobstore.Pack{}, nil)
		if err != nil {
			continue
		}
		w.Begin(1)
		err = w.Chunk(frame)
		w.End()
		_, last := w.Finish(&m)
		if err != nil && last == nil {
			t.Fatalf("with room for %d octets the manifest was written behind a chunk that was not", room)
		}
		if last == nil {
			if room < len(frame) {
				t.Errorf("a pack in %d octets", room)
			}
			return
		}
	}
}

// TestOverhead holds what a pack adds to compressed bodies of 2 KiB below 5 %.
func TestOverhead(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		s := newSample(sealed)
		random := rand.New(rand.NewPCG(3, 4))
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			t.Fatal(err)
		}
		w, err := NewWriter(io.Discard, s.pack, s.key)
		if err != nil {
			t.Fatal(err)
		}
		var frames int
		m := typical(random, 2000)
		for i := range m.Bodies {
			frame := e.EncodeAll(letter(random, int(m.Bodies[i].Size)), nil)
			frames += len(frame)
			w.Begin(m.Bodies[i].Entry.Body)
			if err := w.Chunk(frame); err != nil {
				t.Fatal(err)
			}
			w.End()
		}
		summary, err := w.Finish(m)
		if err != nil {
			t.Fatal(err)
		}
		over := float64(summary.Size)/float64(frames) - 1
		t.Logf("sealed=%v: %d bodies, %.0f octets compressed each, %.1f octets or %.2f %% on top", sealed, len(m.Bodies),
			float64(frames)/float64(len(m.Bodies)), (float64(summary.Size)-float64(frames))/float64(len(m.Bodies)), 100*over)
		if over >= 0.05 || over <= 0 {
			t.Errorf("sealed=%v: overhead of %.2f %%", sealed, 100*over)
		}
		e.Close()
	}
}

// typical is a manifest of n bodies of about 2 KiB in 200 mailboxes of 100 accounts.
func typical(random *rand.Rand, n int) *blobstore.Manifest {
	m := &blobstore.Manifest{Cluster: "5f0c1d2e3b4a59687786a5b4c3d2e1f0", Created: time.UnixMilli(1.8e12).UTC()}
	for i := range 100 {
		m.Accounts = append(m.Accounts, blobstore.Account{ID: uint64(i * 16), Address: fmt.Sprintf("user%04d@example.org", i)})
		for j, name := range []string{"INBOX", "Archive/2026"} {
			m.Mailboxes = append(m.Mailboxes, blobstore.Mailbox{Account: i, ID: uint32(j + 1), Name: name, UIDValidity: 1.7e9, Keywords: []string{"$Forwarded", "NonJunk"}})
		}
	}
	date := time.UnixMilli(1.79e12)
	for i := range n {
		date = date.Add(time.Duration(random.IntN(60000)) * time.Millisecond)
		m.Bodies = append(m.Bodies, blobstore.Body{
			Entry: blobstore.Entry{Body: uint64(5000 + i + random.IntN(3)*n)}, Size: uint64(1800 + random.IntN(500)), ChunkSize: 128 << 10,
			Users: []blobstore.User{{Mailbox: i * len(m.Mailboxes) / n, UID: uint32(i), Flags: uint32(random.IntN(4)), InternalDate: date, SaveDate: date.Add(time.Duration(random.IntN(2000)) * time.Millisecond)}},
		})
	}
	return m
}

// letter is a message of n octets that compresses to about a half.
func letter(random *rand.Rand, n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <u%x@example.net>\r\nTo: <u%x@example.org>\r\nMessage-ID: <%x.%x@example.net>\r\nSubject: %x\r\n\r\n",
		random.Uint32(), random.Uint32(), random.Uint64(), random.Uint64(), random.Uint32())
	for b.Len() < n {
		// Few words are frequent, as in any language.
		word := int(4000 * math.Pow(random.Float64(), 4))
		b.Write([]byte{byte('a' + word%26), byte('e' + word%7), byte('a' + word/26%26), byte('a' + word/700), byte('a' + word%3), ' '})
	}
	return b.Bytes()[:n]
}
