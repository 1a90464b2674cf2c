package pack

import (
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
)

// decodeManifest reads what encodeManifest wrote, or returns blobstore.ErrDamaged. It checks that what refers to
// accounts, mailboxes and keywords refers to some; where bodies may lie is asked by place.
func decodeManifest(octets []byte, start uint64) (*blobstore.Manifest, error) {
	c, err := splitColumns(octets)
	if err != nil {
		return nil, err
	}
	m := &blobstore.Manifest{
		Cluster: string(c[columnCluster].octets),
		Group:   uint16(c[columnGroup].below(1 << 16)),
		Created: time.UnixMilli(c[columnCreated].signed()).UTC(),
	}
	if copy(m.Pack[:], c[columnPack].octets) != len(c[columnPack].octets) || len(c[columnPack].octets) != len(m.Pack) {
		return nil, fmt.Errorf("manifest: pack id of %d octets: %w", len(c[columnPack].octets), blobstore.ErrDamaged)
	}
	c[columnPack].octets, c[columnCluster].octets = nil, nil
	m.Accounts = decodeAccounts(&c[columnAccounts])
	m.Mailboxes = decodeMailboxes(&c[columnMailboxes], len(m.Accounts))
	m.Bodies = decodeBodies(c, start)
	if err := firstError(c); err != nil {
		return nil, err
	}
	decodeUsers(c, m)
	for tag := range c {
		if err := c[tag].end(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func splitColumns(octets []byte) (*[columnLast]column, error) {
	var c [columnLast]column
	all := column{octets: octets}
	for len(all.octets) > 0 {
		tag, n := all.number(), all.number()
		if n > uint64(len(all.octets)) {
			all.fail(fmt.Sprintf("a column of %d octets", n))
		}
		if all.err != nil {
			return nil, all.err
		}
		if tag < columnLast {
			c[tag].octets = all.octets[:n]
		}
		all.octets = all.octets[n:]
	}
	return &c, nil
}

func firstError(c *[columnLast]column) error {
	for tag := range c {
		if c[tag].err != nil {
			return c[tag].err
		}
	}
	return nil
}

func decodeAccounts(c *column) []blobstore.Account {
	var accounts []blobstore.Account
	for range c.count(maxPlaces) {
		accounts = append(accounts, blobstore.Account{ID: c.number(), Address: c.text()})
	}
	return accounts
}

func decodeMailboxes(c *column, accounts int) []blobstore.Mailbox {
	var mailboxes []blobstore.Mailbox
	left := maxKeywords
	for range c.count(maxPlaces) {
		m := blobstore.Mailbox{Account: int(c.below(uint64(accounts)))}
		m.ID = uint32(c.below(1 << 32))
		m.Name = c.text()
		m.UIDValidity = uint32(c.below(1 << 32))
		m.SpecialUse = uint32(c.below(1 << 32))
		bits := c.number()
		m.Subscribed, m.Kept = bits&bitSubscribed != 0, bits&bitKept != 0
		m.Keywords = c.texts(&left)
		if c.err != nil {
			return nil
		}
		mailboxes = append(mailboxes, m)
	}
	return mailboxes
}

func decodeBodies(c *[columnLast]column, at uint64) []blobstore.Body {
	n := c[columnIDs].count(MaxBodies)
	if n == 0 {
		return nil
	}
	bodies := make([]blobstore.Body, 0, n)
	var last uint64
	chunks := 0
	for range n {
		b := blobstore.Body{Size: c[columnSizes].number(), ChunkSize: uint32(c[columnChunkSizes].below(1 << 32))}
		b.Entry.Body = last + uint64(c[columnIDs].signed())
		b.Offset = at + c[columnGaps].below(MaxSize)
		at, last = b.Offset, b.Entry.Body
		count := int(c[columnChunks].below(uint64(min(maxChunks, chunks+len(c[columnLengths].octets))-chunks) + 1))
		chunks += count
		if count > 0 {
			b.Lengths = make([]uint32, count)
		}
		for i := range b.Lengths {
			b.Lengths[i] = uint32(c[columnLengths].below(MaxChunk + blobstore.SealSize + 1))
			at += uint64(b.Lengths[i])
		}
		if firstError(c) != nil || at > MaxSize {
			c[columnGaps].fail("bodies lie beyond the end")
			return nil
		}
		bodies = append(bodies, b)
	}
	return bodies
}

func decodeUsers(c *[columnLast]column, m *blobstore.Manifest) {
	var last blobstore.User
	var lastDate int64
	left := MaxUsers
	for i := range m.Bodies {
		n := int(c[columnUsers].below(uint64(min(left, len(c[columnUIDs].octets))) + 1))
		left -= n
		if n == 0 {
			continue
		}
		users := make([]blobstore.User, 0, n)
		for range n {
			last.Mailbox += int(c[columnUserMailboxes].signed())
			last.UID = uint32(int64(last.UID) + c[columnUIDs].signed())
			last.Flags = uint32(c[columnFlags].below(1 << 32))
			if last.Mailbox < 0 || last.Mailbox >= len(m.Mailboxes) {
				c[columnUserMailboxes].fail("no such mailbox")
				return
			}
			last.Keywords = decodeKeywords(&c[columnKeywords], len(m.Mailboxes[last.Mailbox].Keywords))
			lastDate += c[columnInternalDates].signed()
			last.InternalDate = time.UnixMilli(lastDate).UTC()
			last.SaveDate = time.UnixMilli(lastDate + c[columnSaveDates].signed()).UTC()
			users = append(users, last)
		}
		m.Bodies[i].Users = users
	}
}

func decodeKeywords(c *column, known int) []uint32 {
	n := c.count(known)
	if n == 0 {
		return nil
	}
	places := make([]uint32, n)
	for i := range places {
		places[i] = uint32(c.below(uint64(known)))
	}
	return places
}
