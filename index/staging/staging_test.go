package staging_test

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/staging"
)

const upload = "upload-0-1-2-3-4"

func newBatch(t *testing.T) kv.Batch {
	t.Helper()
	db, err := state.Open("state", state.Config{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	b := db.Group(1).NewBatch()
	t.Cleanup(func() {
		if err := errors.Join(b.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func stage(t *testing.T, b kv.Batch, id string, seq uint32, chunk string, at int64) indexpb.Code {
	t.Helper()
	l := staging.NewLedger(b, at)
	return must(t, &l)(l.Stage(&indexpb.StageChunkCommand{UploadId: []byte(id), Seq: seq, Chunk: []byte(chunk)})).Code
}

// must finishes a command and gives its result.
func must(t *testing.T, l *staging.Ledger) func(*indexpb.Result, error) *indexpb.Result {
	t.Helper()
	return func(res *indexpb.Result, err error) *indexpb.Result {
		t.Helper()
		if err == nil {
			err = l.Finish()
		}
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
}

// verify holds the state against the number of users of each body, where users are not noted.
func verify(t *testing.T, b kv.Batch, refs map[index.BodyID]uint64) {
	t.Helper()
	v, err := staging.NewVerifier(b)
	if err != nil {
		t.Fatal(err)
	}
	for id, n := range refs {
		for range n {
			if err := v.User(id, staging.User{}); err != nil {
				t.Error(err)
			}
		}
	}
	if err := v.Finish(); err != nil {
		t.Error(err)
	}
}

// keep keeps a body for refs users.
func keep(t *testing.T, b kv.Batch, in *indexpb.BodyInput, refs uint64) index.BodyID {
	t.Helper()
	l := staging.NewLedger(b, 1)
	p, code, err := l.Prepare(in)
	if err != nil || code != indexpb.Code_CODE_OK {
		t.Fatal(code, err)
	}
	id, err := p.Assign(&l)
	if err == nil {
		err = p.Commit(&l, refs)
	}
	if err == nil {
		err = l.Finish()
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func prepare(b kv.Batch, in *indexpb.BodyInput) (*staging.Plan, indexpb.Code, error) {
	l := staging.NewLedger(b, 1)
	return l.Prepare(in)
}

func TestBodyGoesWithItsLastUser(t *testing.T) {
	for name, chunks := range map[string]int{"few chunks": 3, "many": 40} {
		t.Run(name, func(t *testing.T) {
			b := newBatch(t)
			in := &indexpb.BodyInput{Size: uint64(10*chunks - 1), ChunkSize: 10}
			for n := range chunks {
				in.Chunks = append(in.Chunks, []byte{byte(n), 1})
			}
			id := keep(t, b, in, 2)
			l := staging.NewLedger(b, 2)
			if err := l.AddRefs(id, 1); err != nil {
				t.Fatal(err)
			}
			verify(t, b, map[index.BodyID]uint64{id: 3})
			if got, err := staging.Chunk(b, id, 2); err != nil || got[0] != 2 {
				t.Errorf("chunk 2: %x, %v", got, err)
			}
			for range 3 {
				if err := l.Release(id); err != nil {
					t.Fatal(err)
				}
			}
			verify(t, b, nil)
			if err := l.Release(id); !errors.Is(err, staging.ErrCorrupt) {
				t.Errorf("a body without users: %v", err)
			}
		})
	}
}

func TestUploadBecomesABody(t *testing.T) {
	b := newBatch(t)
	in := &indexpb.BodyInput{Size: 25, ChunkSize: 10, UploadId: []byte(upload)}
	for _, seq := range []uint32{2, 0, 0} { // out of order, and one twice
		stage(t, b, upload, seq, string(rune('a'+seq)), 1)
	}
	if _, code, err := prepare(b, in); code != indexpb.Code_CODE_NO_UPLOAD || err != nil {
		t.Errorf("an upload with a hole: %v, %v", code, err)
	}
	stage(t, b, upload, 1, "b", 1)
	stage(t, b, upload, 1, "another", 1)
	verify(t, b, nil)
	id := keep(t, b, in, 1)
	verify(t, b, map[index.BodyID]uint64{id: 1})
	if got, err := staging.Chunk(b, id, 1); err != nil || string(got) != "b" {
		t.Errorf("what was staged first stays: %q, %v", got, err)
	}
	if _, code, _ := prepare(b, in); code != indexpb.Code_CODE_NO_UPLOAD {
		t.Errorf("an upload used twice: %v", code)
	}
}

func TestRefusals(t *testing.T) {
	b := newBatch(t)
	for _, in := range []*indexpb.BodyInput{
		nil, {Size: 1}, {Size: 25, ChunkSize: 10, Chunks: [][]byte{{1}}},
		{Size: 1 << 62, ChunkSize: 1}, {Size: 5, ChunkSize: 10, UploadId: []byte("short")},
	} {
		if _, code, err := prepare(b, in); code != indexpb.Code_CODE_INVALID || err != nil {
			t.Errorf("%v: %v, %v", in, code, err)
		}
	}
	for _, c := range []struct {
		id    string
		seq   uint32
		chunk string
	}{{"short", 0, "x"}, {upload, 0, ""}, {upload, staging.MaxChunks, "x"}} {
		if code := stage(t, b, c.id, c.seq, c.chunk, 1); code != indexpb.Code_CODE_INVALID {
			t.Errorf("%+v: %v", c, code)
		}
	}
	verify(t, b, nil)
}

func TestAbandonedUploadsAreDropped(t *testing.T) {
	b := newBatch(t)
	stage(t, b, "abandoned-upload", 0, "x", 1)
	stage(t, b, upload, 0, "y", 1)
	stage(t, b, upload, 1, "z", 9) // touched again
	l := staging.NewLedger(b, 10)
	if res := must(t, &l)(l.DropUploads(&indexpb.DropUploadsCommand{UntouchedSince: 5})); res.More {
		t.Fatal(res)
	}
	verify(t, b, nil)
	for id, want := range map[string]indexpb.Code{"abandoned-upload": indexpb.Code_CODE_NO_UPLOAD, upload: indexpb.Code_CODE_OK} {
		in := &indexpb.BodyInput{Size: 20, ChunkSize: 10, UploadId: []byte(id)}
		if id != upload {
			in.Size = 10
		}
		if _, code, err := prepare(b, in); code != want || err != nil {
			t.Errorf("%s: %v, %v", id, code, err)
		}
	}
}
