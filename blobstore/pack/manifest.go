package pack

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/rookery-mail/rookery/blobstore"
)

// The limits of a manifest. A Writer refuses more, a reader does not believe it.
const (
	MaxBodies = 1 << 19
	MaxUsers  = 1 << 20 // of all bodies together

	maxPlaces   = 1 << 18 // accounts, mailboxes
	maxKeywords = 1 << 20 // of all mailboxes together
	maxChunks   = 1 << 20 // of all bodies together
)

// The columns of a manifest, which FORMAT.md lists. Numbers are for ever; a reader skips what it does not know.
const (
	columnPack = iota + 1
	columnCluster
	columnGroup
	columnCreated
	columnAccounts
	columnMailboxes
	columnIDs
	columnGaps
	columnSizes
	columnChunkSizes
	columnChunks
	columnLengths
	columnUsers
	columnUserMailboxes
	columnUIDs
	columnFlags
	columnKeywords
	columnInternalDates
	columnSaveDates
	columnLast
)

// The bits of a mailbox in a manifest.
const (
	bitSubscribed = 1
	bitKept       = 2
)

// encodeManifest writes m, whose bodies lie one behind the other from start on, but for gaps.
func encodeManifest(m *blobstore.Manifest, start uint64) []byte {
	var c [columnLast][]byte
	c[columnPack] = m.Pack[:]
	c[columnCluster] = []byte(m.Cluster)
	c[columnGroup] = binary.AppendUvarint(nil, uint64(m.Group))
	c[columnCreated] = binary.AppendVarint(nil, m.Created.UnixMilli())
	c[columnAccounts] = encodeAccounts(m.Accounts)
	c[columnMailboxes] = encodeMailboxes(m.Mailboxes)
	encodeBodies(&c, m.Bodies, start)
	encodeUsers(&c, m.Bodies)
	var out []byte
	for tag, octets := range c {
		if len(octets) > 0 {
			out = append(binary.AppendUvarint(binary.AppendUvarint(out, uint64(tag)), uint64(len(octets))), octets...)
		}
	}
	return out
}

func encodeAccounts(accounts []blobstore.Account) []byte {
	b := binary.AppendUvarint(nil, uint64(len(accounts)))
	for _, a := range accounts {
		b = appendText(binary.AppendUvarint(b, a.ID), a.Address)
	}
	return b
}

func encodeMailboxes(mailboxes []blobstore.Mailbox) []byte {
	b := binary.AppendUvarint(nil, uint64(len(mailboxes)))
	for _, m := range mailboxes {
		b = binary.AppendUvarint(b, uint64(m.Account))
		b = appendText(binary.AppendUvarint(b, uint64(m.ID)), m.Name)
		b = binary.AppendUvarint(b, uint64(m.UIDValidity))
		b = binary.AppendUvarint(b, uint64(m.SpecialUse))
		var bits uint64
		if m.Subscribed {
			bits |= bitSubscribed
		}
		if m.Kept {
			bits |= bitKept
		}
		b = binary.AppendUvarint(binary.AppendUvarint(b, bits), uint64(len(m.Keywords)))
		for _, k := range m.Keywords {
			b = appendText(b, k)
		}
	}
	return b
}

func encodeBodies(c *[columnLast][]byte, bodies []blobstore.Body, at uint64) {
	c[columnIDs] = binary.AppendUvarint(nil, uint64(len(bodies)))
	var last uint64
	for i := range bodies {
		b := &bodies[i]
		c[columnIDs] = binary.AppendVarint(c[columnIDs], int64(b.Entry.Body-last))
		c[columnGaps] = binary.AppendUvarint(c[columnGaps], b.Offset-at)
		c[columnSizes] = binary.AppendUvarint(c[columnSizes], b.Size)
		c[columnChunkSizes] = binary.AppendUvarint(c[columnChunkSizes], uint64(b.ChunkSize))
		c[columnChunks] = binary.AppendUvarint(c[columnChunks], uint64(len(b.Lengths)))
		at, last = b.Offset, b.Entry.Body
		for _, n := range b.Lengths {
			c[columnLengths] = binary.AppendUvarint(c[columnLengths], uint64(n))
			at += uint64(n)
		}
	}
}

func encodeUsers(c *[columnLast][]byte, bodies []blobstore.Body) {
	var last blobstore.User
	var lastDate int64
	for i := range bodies {
		c[columnUsers] = binary.AppendUvarint(c[columnUsers], uint64(len(bodies[i].Users)))
		for _, u := range bodies[i].Users {
			c[columnUserMailboxes] = binary.AppendVarint(c[columnUserMailboxes], int64(u.Mailbox)-int64(last.Mailbox))
			c[columnUIDs] = binary.AppendVarint(c[columnUIDs], int64(u.UID)-int64(last.UID))
			c[columnFlags] = binary.AppendUvarint(c[columnFlags], uint64(u.Flags))
			c[columnKeywords] = binary.AppendUvarint(c[columnKeywords], uint64(len(u.Keywords)))
			for _, k := range u.Keywords {
				c[columnKeywords] = binary.AppendUvarint(c[columnKeywords], uint64(k))
			}
			date := u.InternalDate.UnixMilli()
			c[columnInternalDates] = binary.AppendVarint(c[columnInternalDates], date-lastDate)
			c[columnSaveDates] = binary.AppendVarint(c[columnSaveDates], u.SaveDate.UnixMilli()-date)
			last, lastDate = u, date
		}
	}
}

// window is how far back the compression of a manifest looks, in octets.
const window = 1 << 20

// compress and decompress are zstd (RFC 8878) over whole manifests.
func compress(octets []byte) ([]byte, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("compress the manifest: %w", err)
	}
	defer e.Close()
	return e.EncodeAll(octets, nil), nil
}

func decompress(octets []byte, size int) ([]byte, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(max(size, window))))
	if err != nil {
		return nil, fmt.Errorf("decompress the manifest: %w", err)
	}
	defer d.Close()
	out, err := d.DecodeAll(octets, nil)
	if err != nil || len(out) != size {
		return nil, fmt.Errorf("manifest of %d octets instead of %d (%v): %w", len(out), size, err, blobstore.ErrDamaged)
	}
	return out, nil
}
