package staging_test

import (
	"errors"
	"testing"
	"time"

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
	res, err := staging.Stage(b, &indexpb.StageChunkCommand{UploadId: []byte(id), Seq: seq, Chunk: []byte(chunk)}, time.UnixMilli(at))
	if err != nil {
		t.Fatal(err)
	}
	return res.Code
}

func verify(t *testing.T, b kv.Batch, uploads int, refs map[index.BodyID]uint64) {
	t.Helper()
	if got, err := staging.Verify(b, refs); err != nil || got != uploads {
		t.Errorf("%d uploads, want %d: %v", got, uploads, err)
	}
}

// keep keeps a body for refs users.
func keep(t *testing.T, b kv.Batch, in *indexpb.BodyInput, refs uint64) index.BodyID {
	t.Helper()
	p, code, err := staging.Prepare(b, in)
	if err != nil || code != indexpb.Code_CODE_OK {
		t.Fatal(code, err)
	}
	id, err := p.Assign(b)
	if err == nil {
		err = p.Commit(b, refs)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
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
			if err := staging.AddRefs(b, id, 1); err != nil {
				t.Fatal(err)
			}
			verify(t, b, 0, map[index.BodyID]uint64{id: 3})
			if got, err := staging.Chunk(b, id, 2); err != nil || got[0] != 2 {
				t.Errorf("chunk 2: %x, %v", got, err)
			}
			for range 3 {
				if err := staging.Release(b, id); err != nil {
					t.Fatal(err)
				}
			}
			verify(t, b, 0, nil)
			if err := staging.Release(b, id); !errors.Is(err, staging.ErrCorrupt) {
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
	if _, code, err := staging.Prepare(b, in); code != indexpb.Code_CODE_NO_UPLOAD || err != nil {
		t.Errorf("an upload with a hole: %v, %v", code, err)
	}
	stage(t, b, upload, 1, "b", 1)
	stage(t, b, upload, 1, "another", 1)
	verify(t, b, 1, nil)
	id := keep(t, b, in, 1)
	verify(t, b, 0, map[index.BodyID]uint64{id: 1})
	if got, err := staging.Chunk(b, id, 1); err != nil || string(got) != "b" {
		t.Errorf("what was staged first stays: %q, %v", got, err)
	}
	if _, code, _ := staging.Prepare(b, in); code != indexpb.Code_CODE_NO_UPLOAD {
		t.Errorf("an upload used twice: %v", code)
	}
}

func TestRefusals(t *testing.T) {
	b := newBatch(t)
	for _, in := range []*indexpb.BodyInput{
		nil, {Size: 1}, {Size: 25, ChunkSize: 10, Chunks: [][]byte{{1}}},
		{Size: 1 << 62, ChunkSize: 1}, {Size: 5, ChunkSize: 10, UploadId: []byte("short")},
	} {
		if _, code, err := staging.Prepare(b, in); code != indexpb.Code_CODE_INVALID || err != nil {
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
	verify(t, b, 0, nil)
}

func TestAbandonedUploadsAreDropped(t *testing.T) {
	b := newBatch(t)
	stage(t, b, "abandoned-upload", 0, "x", 1)
	stage(t, b, upload, 0, "y", 1)
	stage(t, b, upload, 1, "z", 9) // touched again
	res, err := staging.DropUploads(b, &indexpb.DropUploadsCommand{UntouchedSince: 5})
	if err != nil || res.More {
		t.Fatal(res, err)
	}
	verify(t, b, 1, nil)
}
