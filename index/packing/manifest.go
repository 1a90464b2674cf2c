package packing

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/staging"
)

// describer makes a manifest of one moment of a partition.
type describer struct {
	r         kv.Reader
	p         *Partition
	m         *blobstore.Manifest
	accounts  map[index.AccountID]int
	mailboxes map[place]int // -1: of a deleted mailbox
}

type place struct {
	account index.AccountID
	mailbox index.MailboxID
}

// manifest describes bodies, by the account, mailbox and UID of their first users. Messages of deleted mailboxes
// that are not kept are left out of the users.
func (p *Partition) manifest(r kv.Reader, bodies []stored) (*blobstore.Manifest, error) {
	d := &describer{
		r: r, p: p, accounts: make(map[index.AccountID]int), mailboxes: make(map[place]int),
		m: &blobstore.Manifest{Group: p.Group(), Created: p.c.Clock().UTC().Truncate(time.Millisecond)},
	}
	users := make(map[index.BodyID][]staging.User, len(bodies))
	for _, b := range bodies {
		var err error
		if users[b.id], err = staging.Users(r, b.id); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(bodies, func(a, b stored) int { return byFirst(a.id, users[a.id], b.id, users[b.id]) })
	for _, b := range bodies {
		body := blobstore.Body{
			Entry: blobstore.Entry{Body: uint64(b.id), Offset: b.offset, Lengths: b.lengths}, Size: b.rec.Size, ChunkSize: b.rec.ChunkSize,
		}
		for _, u := range users[b.id] {
			user, ok, err := d.user(u)
			if err != nil {
				return nil, fmt.Errorf("message %d of mailbox %d of account %d: %w", u.UID, u.Mailbox, u.Account, err)
			}
			if ok {
				body.Users = append(body.Users, user)
			}
		}
		d.m.Bodies = append(d.m.Bodies, body)
	}
	return d.m, nil
}

// byFirst orders bodies by their first users, and those without by their ids, last.
func byFirst(a index.BodyID, x []staging.User, b index.BodyID, y []staging.User) int {
	if len(x) == 0 || len(y) == 0 {
		return cmp.Or(cmp.Compare(len(y), len(x)), cmp.Compare(a, b))
	}
	return cmp.Or(cmp.Compare(x[0].Account, y[0].Account), cmp.Compare(x[0].Mailbox, y[0].Mailbox),
		cmp.Compare(x[0].UID, y[0].UID), cmp.Compare(a, b))
}

// user describes a message, or ok false where its mailbox is deleted.
func (d *describer) user(u staging.User) (out blobstore.User, ok bool, err error) {
	box, err := d.mailbox(place{u.Account, u.Mailbox})
	if err != nil || box < 0 {
		return out, false, err
	}
	value, ok, err := d.r.Get(keys.Message(nil, keys.TableFlags, u.Account, u.Mailbox, u.UID))
	if err != nil || !ok {
		return out, false, err
	}
	var flags indexpb.FlagRecord
	if err := flags.UnmarshalVT(value); err != nil {
		return out, false, fmt.Errorf("flags: %w: %w", err, mailbox.ErrCorrupt)
	}
	s, ok, err := summary(d.r, u)
	if err != nil || !ok {
		return out, false, err
	}
	return blobstore.User{
		Mailbox: box, UID: uint32(u.UID), Flags: flags.System, Keywords: flags.Keywords,
		InternalDate: time.UnixMilli(s.InternalDate).UTC(), SaveDate: time.UnixMilli(s.SaveDate).UTC(),
	}, true, nil
}

// summary reads the summary of a message, or ok false.
func summary(r kv.Reader, u staging.User) (s *indexpb.Summary, ok bool, err error) {
	value, ok, err := r.Get(keys.Message(nil, keys.TableSummary, u.Account, u.Mailbox, u.UID))
	if err != nil || !ok {
		return nil, false, err
	}
	s = new(indexpb.Summary)
	if err := s.UnmarshalVTUnsafe(value); err != nil {
		return nil, false, fmt.Errorf("summary: %w: %w", err, mailbox.ErrCorrupt)
	}
	return s, true, nil
}

// mailbox gives a mailbox its place in the manifest, or -1 where it is deleted.
func (d *describer) mailbox(at place) (int, error) {
	if n, known := d.mailboxes[at]; known {
		return n, nil
	}
	owner := mailbox.OwnerOf(at.account)
	box := blobstore.Mailbox{ID: uint32(at.mailbox), Kept: owner != at.account}
	m, ok, err := mailbox.Load(d.r, at.account, at.mailbox)
	if err != nil {
		return 0, err
	}
	if ok {
		box.Name, box.UIDValidity, box.SpecialUse = m.Name, m.UIDValidity, uint32(m.SpecialUse)
		box.Keywords, box.Subscribed = m.Keywords, m.Subscribed
	} else if ok, err = d.waiting(at, &box); err != nil {
		return 0, err
	}
	if !ok {
		d.mailboxes[at] = -1
		return -1, nil
	}
	box.Account = d.account(owner)
	d.m.Mailboxes = append(d.m.Mailboxes, box)
	d.mailboxes[at] = len(d.m.Mailboxes) - 1
	return d.mailboxes[at], nil
}

// waiting fills in a deleted mailbox whose messages are yet to be filed with the kept ones.
func (d *describer) waiting(at place, box *blobstore.Mailbox) (bool, error) {
	value, ok, err := d.r.Get(keys.Kept(nil, at.account, at.mailbox))
	if err != nil || !ok {
		return false, err
	}
	var rec indexpb.KeptRecord
	if err := rec.UnmarshalVT(value); err != nil {
		return false, fmt.Errorf("kept mailbox %d of account %d: %w: %w", at.mailbox, at.account, err, mailbox.ErrCorrupt)
	}
	box.Name, box.Keywords, box.Kept = rec.Name, rec.Keywords, true
	return true, nil
}

// account gives an account its place in the manifest.
func (d *describer) account(a index.AccountID) int {
	if n, known := d.accounts[a]; known {
		return n
	}
	d.m.Accounts = append(d.m.Accounts, blobstore.Account{ID: uint64(a), Address: d.p.c.Address(a)})
	d.accounts[a] = len(d.m.Accounts) - 1
	return d.accounts[a]
}
