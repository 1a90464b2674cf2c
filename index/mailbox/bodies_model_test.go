package mailbox_test

import (
	"bytes"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/staging"
)

// packs is a store of objects, and what a packer has begun and not said yet.
type packs struct {
	objects map[uint64][]byte
	begun   []*begunPack
}

// begunPack is a pack whose object is made, with what is to be said of it.
type begunPack struct {
	number, from uint64
	entries      []*indexpb.PackEntry
	said         int // entries that were
}

// head stands in front of a pack's first chunk, sum behind each chunk.
var head, sum = []byte("head"), make([]byte, blobstore.SumSize)

// put makes the object of a pack that holds bodies, as chunks of each.
func (p *packs) put(number uint64, ids []index.BodyID, chunks func(index.BodyID) [][]byte) (entries []*indexpb.PackEntry) {
	object := slices.Clone(head)
	for _, id := range ids {
		e := &indexpb.PackEntry{Body: uint64(id), Offset: uint64(len(object))}
		for _, c := range chunks(id) {
			object = append(append(object, c...), sum...)
			e.Lengths = append(e.Lengths, uint32(len(c)+len(sum)))
		}
		entries = append(entries, e)
	}
	p.objects[number] = object
	return entries
}

// begin begins a pack, or returns 0 where bodies do not go into packs.
func (d *driver) begin(own bool) uint64 {
	return d.do(command.BeginPack, &indexpb.BeginPackCommand{Id: bytes.Repeat([]byte{7}, 16), Own: own}).Pack
}

// body is a body on its way in: inline, or in a pack of its own.
func (d *driver) body(size int) (*indexpb.BodyInput, *indexpb.Summary) {
	in, summary := inline(size)
	if size > 0 && draw(d, "large", false, false, true) {
		if n := d.begin(true); n != 0 {
			in.Pack, in.Entry = n, d.packs.put(n, []index.BodyID{0}, func(index.BodyID) [][]byte { return in.Chunks })[0]
			in.PackSize, in.Chunks = uint64(len(d.packs.objects[n])), nil
		}
	}
	return in, summary
}

// bodies reads the records of all bodies.
func (d *driver) bodies() map[index.BodyID]*indexpb.BodyRecord {
	all := make(map[index.BodyID]*indexpb.BodyRecord)
	prefix := keys.Whole(nil, keys.TableBody)
	it, err := d.b.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		d.Rand.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		id, err := keys.ReadBody(it.Key())
		if err != nil {
			d.Rand.Fatal(err)
		}
		if all[id], err = staging.Record(d.b, id); err != nil {
			d.Rand.Fatal(err)
		}
	}
	return all
}

// chunks reads a body from where its record says that it is.
func (d *driver) chunks(id index.BodyID, rec *indexpb.BodyRecord) (chunks [][]byte) {
	at := rec.Offset
	for n := range rec.Chunks {
		if rec.Pack == 0 {
			c, err := staging.Chunk(d.b, id, n)
			if err != nil {
				d.Rand.Fatal(err)
			}
			chunks = append(chunks, c)
			continue
		}
		end := at + uint64(rec.Lengths[n])
		object := d.packs.objects[rec.Pack]
		if end > uint64(len(object)) {
			d.Rand.Fatalf("body %d is not in the object of pack %d: %v", id, rec.Pack, rec)
		}
		chunks = append(chunks, object[at:end-uint64(len(sum))])
		at = end
	}
	return chunks
}

// compareBodies reads all bodies.
func (d *driver) compareBodies() {
	if err := mailbox.Verify(d.b); err != nil {
		d.Rand.Fatal(err)
	}
	for id, rec := range d.bodies() {
		want, _ := inline(int(rec.Size))
		d.same("body", d.chunks(id, rec), want.Chunks)
	}
	err := staging.Packs(d.b, func(n uint64, rec *indexpb.PackRecord) error {
		if rec.Covered > 0 {
			d.same("octets of a pack", rec.LiveBytes+rec.DeadBytes+uint64(len(head)), rec.Covered)
		}
		return nil
	})
	if err != nil {
		d.Rand.Fatal(err)
	}
}

// blobs does something with packs.
func (d *driver) blobs() {
	switch draw(d, "blobs", "mode", "list", "list", "list", "pack", "pack", "pack", "say", "say", "say", "abandon", "forget", "unpack", "unpack") {
	case "mode":
		d.do(command.SetBlobMode, &indexpb.SetBlobModeCommand{Mode: draw(d, "mode", 1, 1, 1, indexpb.BlobMode_BLOB_MODE_HOMING, indexpb.BlobMode_BLOB_MODE_EMBEDDED)})
	case "list":
		d.do(command.ListUsers, &indexpb.ListUsersCommand{Limit: uint32(draw(d, "list", 1, 2, 0))})
	case "pack":
		d.pack()
	case "say":
		d.say()
	case "abandon":
		if n := len(d.packs.begun); n > 0 {
			d.do(command.AbandonPack, &indexpb.AbandonPackCommand{Pack: d.packs.begun[n-1].number})
		}
	case "forget":
		d.forget()
	case "unpack":
		d.unpack()
	}
	d.compareBodies()
}

// pack makes the object of some bodies that are in one place.
func (d *driver) pack() {
	all := d.bodies()
	from := uint64(0)
	if len(d.packs.objects) > 0 && draw(d, "rewrite", false, true) {
		from = rapid.SampledFrom(slices.Sorted(maps.Keys(d.packs.objects))).Draw(d.Rand, "from")
	}
	var ids []index.BodyID
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if rec := all[id]; rec.Pack == from && rec.Chunks > 0 && draw(d, "take", true, true, false) {
			ids = append(ids, id)
		}
	}
	if draw(d, "backwards", false, true) {
		slices.Reverse(ids)
	}
	n := d.begin(false)
	if n == 0 {
		return
	}
	entries := d.packs.put(n, ids, func(id index.BodyID) [][]byte { return d.chunks(id, all[id]) })
	d.packs.begun = append(d.packs.begun, &begunPack{number: n, from: from, entries: entries})
}

// say enters bodies of a pack that was begun, perhaps some that were entered before.
func (d *driver) say() {
	if len(d.packs.begun) == 0 {
		return
	}
	p := d.packs.begun[rapid.IntRange(0, len(d.packs.begun)-1).Draw(d.Rand, "begun")]
	first := rapid.IntRange(0, p.said).Draw(d.Rand, "first")
	end := rapid.IntRange(p.said, len(p.entries)).Draw(d.Rand, "end")
	cmd := &indexpb.PackBodiesCommand{Pack: p.number, From: p.from, Entries: p.entries[first:end], Whole: end == len(p.entries), Size: uint64(len(d.packs.objects[p.number]))}
	if res := d.do(command.PackBodies, cmd); res.Code != indexpb.Code_CODE_OK && res.Code != indexpb.Code_CODE_NO_PACK {
		d.Rand.Fatal(res)
	}
	p.said = end
}

// forget deletes the objects of packs that are doomed, and has their records dropped.
func (d *driver) forget() {
	cmd := new(indexpb.ForgetPacksCommand)
	err := staging.Packs(d.b, func(n uint64, rec *indexpb.PackRecord) error {
		cmd.Packs = append(cmd.Packs, n)
		if blobstore.PackState(rec.State) == blobstore.PackDoomed {
			delete(d.packs.objects, n)
			d.packs.begun = slices.DeleteFunc(d.packs.begun, func(p *begunPack) bool { return p.number == n })
		}
		return nil
	})
	if err != nil {
		d.Rand.Fatal(err)
	}
	d.do(command.ForgetPacks, cmd) // of those that are not doomed none is forgotten
	left := 0
	_ = staging.Packs(d.b, func(uint64, *indexpb.PackRecord) error { left++; return nil })
	d.same("objects", left, len(d.packs.objects))
}

// unpack brings home some chunks of a body.
func (d *driver) unpack() {
	for id, rec := range d.packedBodies() {
		chunks := d.chunks(id, rec)
		first := rapid.IntRange(0, int(rec.Home)).Draw(d.Rand, "first chunk")
		end := rapid.IntRange(first, len(chunks)).Draw(d.Rand, "last chunk")
		d.do(command.UnpackBody, &indexpb.UnpackBodyCommand{Body: uint64(id), Pack: rec.Pack, First: uint32(first), Chunks: chunks[first:end]})
		return
	}
}

// packedBodies calls yield with the bodies in packs, by id.
func (d *driver) packedBodies() func(func(index.BodyID, *indexpb.BodyRecord) bool) {
	return func(yield func(index.BodyID, *indexpb.BodyRecord) bool) {
		all := d.bodies()
		for _, id := range slices.Sorted(maps.Keys(all)) {
			if rec := all[id]; rec.Pack != 0 && !yield(id, rec) {
				return
			}
		}
	}
}

// comeHome brings all bodies home, and looks whether anything is left of packs.
func (d *driver) comeHome() {
	home := &indexpb.SetBlobModeCommand{Mode: indexpb.BlobMode_BLOB_MODE_HOMING}
	d.do(command.SetBlobMode, home)
	for id, rec := range d.packedBodies() {
		res := d.do(command.UnpackBody, &indexpb.UnpackBodyCommand{Body: uint64(id), Pack: rec.Pack, Chunks: d.chunks(id, rec)})
		d.same("unpack", res.Code, indexpb.Code_CODE_OK)
	}
	d.same("home", d.do(command.SetBlobMode, home).More, false)
	for _, p := range d.packs.begun {
		d.do(command.AbandonPack, &indexpb.AbandonPackCommand{Pack: p.number})
	}
	_ = staging.Packs(d.b, func(n uint64, _ *indexpb.PackRecord) error {
		d.do(command.AbandonPack, &indexpb.AbandonPackCommand{Pack: n})
		return nil
	})
	d.forget()
	d.same("objects", len(d.packs.objects), 0)
	d.compareBodies()
	blobs, err := staging.Blobs(d.b)
	if err != nil || blobs != nil && (blobs.Mode != 0 || blobs.StagedBytes != 0) {
		d.Rand.Fatal(blobs, err)
	}
}
