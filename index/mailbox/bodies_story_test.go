package mailbox_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/partition"
)

// bodiesStory has bodies that go into packs, from pack to pack, and home again.
func (w *world) bodiesStory() (all []command.Command) {
	add := func(k command.Kind, p payload) { all = append(all, w.encode(k, p)); w.now = w.now.Add(time.Second) }
	deliver := func(size int, accounts ...uint64) {
		cmd := new(indexpb.DeliverCommand)
		cmd.Body, cmd.Summary = inline(size)
		for _, a := range accounts {
			cmd.Targets = append(cmd.Targets, &indexpb.DeliverTarget{Account: a})
		}
		add(command.Deliver, cmd)
	}
	mode := func(m indexpb.BlobMode) { add(command.SetBlobMode, &indexpb.SetBlobModeCommand{Mode: m}) }
	entry := func(body, offset uint64, chunks int) *indexpb.PackEntry {
		e := &indexpb.PackEntry{Body: body, Offset: offset}
		for range chunks {
			e.Lengths = append(e.Lengths, 3+8)
		}
		return e
	}
	id := func(n byte) []byte { return bytes.Repeat([]byte{n}, 16) }
	chunk := func(n byte) []byte { return []byte{10 * n, 1, 2} }
	v := uint32(epoch.Unix())

	deliver(25, 7, 8) // body 1, of 3 chunks
	deliver(5, 7)     // body 2
	add(command.StageChunk, &indexpb.StageChunkCommand{UploadId: []byte("upload-0-1-2-3-4"), Seq: 0, Chunk: []byte{9}})
	mode(indexpb.BlobMode_BLOB_MODE_LISTING)
	add(command.ListUsers, &indexpb.ListUsersCommand{Limit: 1})
	add(command.Copy, &indexpb.CopyCommand{Account: 7, MailboxId: 1, UidValidity: v, Uids: span(1, 1), To: "Archive"})
	deliver(15, 7) // body 4, of 2 chunks
	add(command.ListUsers, new(indexpb.ListUsersCommand))

	add(command.BeginPack, &indexpb.BeginPackCommand{Id: id(1)})
	add(command.PackBodies, &indexpb.PackBodiesCommand{Pack: 1, Entries: []*indexpb.PackEntry{entry(1, 40, 3)}})
	add(command.Expunge, &indexpb.ExpungeCommand{Account: 7, MailboxId: 1, UidValidity: v, Uids: span(2, 2)})
	add(command.PackBodies, &indexpb.PackBodiesCommand{Pack: 1, Whole: true, Size: 200, // a later leader begins again
		Entries: []*indexpb.PackEntry{entry(1, 40, 3), entry(2, 73, 1), entry(4, 84, 2)}})
	add(command.BeginPack, &indexpb.BeginPackCommand{Id: id(2), Key: []byte("01234567"), SealedKey: []byte("sealed"), Own: true}) // for body 5
	large, summary := inline(35)
	large.Chunks, large.Pack, large.PackSize = nil, 2, 999
	large.Entry = &indexpb.PackEntry{Offset: 50, Lengths: []uint32{19, 19, 19, 19}}
	add(command.Deliver, &indexpb.DeliverCommand{Body: large, Summary: summary, Targets: []*indexpb.DeliverTarget{{Account: 8}}})
	add(command.BeginPack, &indexpb.BeginPackCommand{Id: id(3)})
	add(command.AbandonPack, &indexpb.AbandonPackCommand{Pack: 3})
	add(command.ForgetPacks, &indexpb.ForgetPacksCommand{Packs: []uint64{1, 3}})

	mode(indexpb.BlobMode_BLOB_MODE_HOMING)
	add(command.UnpackBody, &indexpb.UnpackBodyCommand{Body: 1, Pack: 1, Chunks: [][]byte{chunk(0), chunk(1)}})
	add(command.UnpackBody, &indexpb.UnpackBodyCommand{Body: 4, Pack: 1, Chunks: [][]byte{chunk(0), chunk(1)}})
	mode(indexpb.BlobMode_BLOB_MODE_LISTING) // turns round
	add(command.BeginPack, &indexpb.BeginPackCommand{Id: id(4)})
	add(command.PackBodies, &indexpb.PackBodiesCommand{Pack: 4, From: 1, Entries: []*indexpb.PackEntry{entry(1, 40, 3)}, Whole: true, Size: 100})
	mode(indexpb.BlobMode_BLOB_MODE_HOMING)
	add(command.UnpackBody, &indexpb.UnpackBodyCommand{Body: 1, Pack: 4, Chunks: [][]byte{chunk(0), chunk(1)}})
	return all
}

// TestBodiesGolden pins the bytes of the commands of bodies in object storage, of their results, and of what
// they leave.
func TestBodiesGolden(t *testing.T) {
	w := newWorld(t)
	w.golden(w.bodiesStory(), "testdata/bodies.golden")
}

// TestReplicasAgreeOnBodies executes the story in one batch, and in a batch for each command.
func TestReplicasAgreeOnBodies(t *testing.T) {
	one := newWorld(t)
	many, p := openState(t).Group(9), partition.New(partition.Config{})
	for _, c := range one.bodiesStory() {
		_, err := one.p.Execute(one.b, c)
		b := many.NewBatch()
		if err == nil {
			_, err = p.Execute(b, c)
		}
		if err = errors.Join(err, b.Commit(c.Index), b.Close()); err != nil {
			t.Fatal(err)
		}
	}
	snap := many.Snapshot()
	defer snap.Close()
	if a, b := dump(t, one.b), dump(t, snap); !bytes.Equal(a, b) {
		t.Fatalf("one batch leaves\n%s\nmany leave\n%s", a, b)
	}
}
