package mailstoretest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/staging"
)

// Pack puts all staged bodies of a partition into packs of up to most bodies each, in the order of their
// arrival, and says so to the partition. It returns the packs. What packs really (blobstore/packer) takes its
// time and checks what it does.
func (c *Cluster) Pack(t testing.TB, g cluster.GroupID, bucket object.Bucket, most int) []blobstore.Pack {
	t.Helper()
	c.change(t, g, command.SetBlobMode, &indexpb.SetBlobModeCommand{Mode: indexpb.BlobMode_BLOB_MODE_LISTING})
	for c.change(t, g, command.ListUsers, &indexpb.ListUsersCommand{}).More {
	}
	ids := c.bodies(t, g, 0)
	var packs []blobstore.Pack
	for len(ids) > 0 {
		n := min(most, len(ids))
		packs = append(packs, c.pack(t, g, bucket, ids[:n], 0, nil))
		ids = ids[n:]
	}
	return packs
}

// Repack puts the bodies of the pack with the number from, in their old object, into a new one.
func (c *Cluster) Repack(t testing.TB, g cluster.GroupID, bucket object.Bucket, from uint64, old blobstore.Pack) blobstore.Pack {
	t.Helper()
	return c.pack(t, g, bucket, c.bodies(t, g, from), from, &old)
}

// bodies lists those of a pack, or the staged ones.
func (c *Cluster) bodies(t testing.TB, g cluster.GroupID, in uint64) (ids []index.BodyID) {
	t.Helper()
	c.look(t, g, func(r kv.Reader) error {
		prefix := keys.Whole(nil, keys.TableBody)
		it, err := r.Scan(prefix, keys.After(nil, prefix))
		if err != nil {
			return err
		}
		defer it.Close()
		for ok := it.First(); ok; ok = it.Next() {
			id, err := keys.ReadBody(it.Key())
			if err != nil {
				return err
			}
			rec, err := staging.Record(r, id)
			if err != nil {
				return err
			}
			if rec.Pack == in && rec.Chunks > 0 {
				ids = append(ids, id)
			}
		}
		return it.Error()
	})
	return ids
}

func (c *Cluster) pack(t testing.TB, g cluster.GroupID, bucket object.Bucket, ids []index.BodyID, from uint64, old *blobstore.Pack) blobstore.Pack {
	t.Helper()
	p := blobstore.Pack{Group: uint16(g)}
	binary.BigEndian.PutUint64(p.ID[:], c.packed.Add(1))
	p.ID[15] = byte(g)
	begun := c.change(t, g, command.BeginPack, &indexpb.BeginPackCommand{Id: p.ID[:]})
	var file bytes.Buffer
	w, err := pack.NewWriter(&file, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := &blobstore.Manifest{Pack: p.ID, Group: p.Group, Created: time.Unix(1e9, 0)}
	cmd := &indexpb.PackBodiesCommand{Pack: begun.Pack, From: from, Whole: true}
	c.look(t, g, func(r kv.Reader) error {
		for _, id := range ids {
			rec, err := staging.Record(r, id)
			if err != nil {
				return err
			}
			w.Begin(uint64(id))
			at := int64(rec.Offset)
			for n := range rec.Chunks {
				frame, err := chunk(t.Context(), r, bucket, old, id, rec, n, at)
				if err == nil {
					err = w.Chunk(frame)
				}
				if err != nil {
					return err
				}
				if old != nil {
					at += int64(rec.Lengths[n])
				}
			}
			e := w.End()
			m.Bodies = append(m.Bodies, blobstore.Body{Entry: e, Size: rec.Size, ChunkSize: rec.ChunkSize})
			cmd.Entries = append(cmd.Entries, &indexpb.PackEntry{Body: e.Body, Offset: e.Offset, Lengths: e.Lengths})
		}
		return nil
	})
	sum, err := w.Finish(m)
	if err == nil {
		err = bucket.Put(t.Context(), p.Object(), bytes.NewReader(file.Bytes()), sum.Size)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd.Size = uint64(sum.Size)
	c.change(t, g, command.PackBodies, cmd)
	return p
}

// chunk reads a frame from the state, or at an offset of the old pack.
func chunk(ctx context.Context, r kv.Reader, bucket object.Bucket, old *blobstore.Pack, id index.BodyID, rec *indexpb.BodyRecord, n uint32, at int64) ([]byte, error) {
	if old == nil {
		return staging.Chunk(r, id, n)
	}
	octets := make([]byte, rec.Lengths[n])
	from, err := bucket.Get(ctx, old.Object(), at, int64(len(octets)))
	if err != nil {
		return nil, err
	}
	defer from.Close()
	for read := 0; read < len(octets); {
		n, err := from.Read(octets[read:])
		if read += n; err != nil && read < len(octets) {
			return nil, err
		}
	}
	return pack.Open(octets, blobstore.Ref{Pack: old, Offset: at, Length: len(octets)}, nil)
}

// look calls fn with a moment of a partition.
func (c *Cluster) look(t testing.TB, g cluster.GroupID, fn func(kv.Reader) error) {
	t.Helper()
	snap := c.groups[g].Snapshot()
	defer snap.Close()
	if err := fn(snap); err != nil {
		t.Fatal(err)
	}
}

// change applies a command, which has to be accepted.
func (c *Cluster) change(t testing.TB, g cluster.GroupID, k command.Kind, p interface{ MarshalVT() ([]byte, error) }) *indexpb.Result {
	t.Helper()
	data, err := p.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command.Command{Kind: k, Time: time.Unix(1e9, 0), Payload: data}
	binary.BigEndian.PutUint64(cmd.ID[:], c.packed.Add(1))
	cmd.ID[15] = 0xb1
	encoded, _, err := c.Propose(t.Context(), g, cmd)
	res := new(indexpb.Result)
	if err == nil {
		err = res.UnmarshalVT(encoded)
	}
	if err == nil && res.Code != indexpb.Code_CODE_OK {
		err = fmt.Errorf("%v: %s", res.Code, res.Text)
	}
	if err != nil {
		t.Fatalf("%v: %v", k, err)
	}
	return res
}
