// Package plan decides what a new cluster is made of, out of what packs say of themselves: whose mail it is, in
// which mailboxes, and which pack's word counts where several have the same body. It reads no pack and makes
// no mailbox: index/recovery does.
package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailbox"
)

// Account is the mail that is to come to one address.
type Account struct {
	Address   string
	Mailboxes []Mailbox // by name
}

// Mailbox is a mailbox to be made, or to be added to. Where an account had several of a name over
// time, their messages come together.
type Mailbox struct {
	Name       string
	SpecialUse index.SpecialUse
	Subscribed bool
	Messages   []Message // in the order in which they came
}

// Message is one message.
type Message struct {
	UID          index.UID // that it had
	Flags        index.Flags
	Keywords     []string
	InternalDate time.Time
	Copies       []Copy // of its body, the one of the latest pack first
}

// Copy is a body in a pack.
type Copy struct {
	Pack *pack.Contents
	Body *blobstore.Body
}

// boxKey names a mailbox for ever, within a partition.
type boxKey struct {
	account uint64 // as in the manifest: kept mail is of an account of its own there
	id      uint32
	name    string // of a mailbox without id: one that was yet to be made when a large message was put into a pack
	kept    bool
}

// merging is a partition's packs becoming accounts.
type merging struct {
	take   func(owner uint64) (address string, ok bool)
	kept   bool
	boxes  map[boxKey]*blobstore.Mailbox
	owners map[boxKey]uint64
	bodies map[uint64][]Copy
	mail   map[boxKey][]Message
}

// Merge says what the packs of one partition hold. take gives the address of an account, or that its mail
// is not wanted. Mail that was expunged and kept for undelete comes along only with kept. The order of
// packs does not matter.
//
// What the latest pack says of a body counts: who has it, and their flags. Older packs say what was before.
func Merge(packs []*pack.Contents, take func(owner uint64) (address string, ok bool), kept bool) []Account {
	m := merging{take: take, kept: kept, boxes: map[boxKey]*blobstore.Mailbox{}, owners: map[boxKey]uint64{},
		bodies: map[uint64][]Copy{}, mail: map[boxKey][]Message{}}
	packs = slices.SortedFunc(slices.Values(packs), latestFirst)
	for _, p := range packs {
		m.note(p)
	}
	for _, p := range packs {
		for i := range p.Manifest.Bodies {
			b := &p.Manifest.Bodies[i]
			if copies := m.bodies[b.Entry.Body]; copies[0].Body == b {
				m.file(p.Manifest, b, copies)
			}
		}
	}
	return m.accounts()
}

// latestFirst orders packs by when they were made. Of one moment, the id decides: on every run alike.
func latestFirst(a, b *pack.Contents) int {
	if c := b.Manifest.Created.Compare(a.Manifest.Created); c != 0 {
		return c
	}
	return slices.Compare(a.Pack.ID[:], b.Pack.ID[:])
}

// note remembers what the latest pack says of mailboxes, and where bodies are.
func (m *merging) note(p *pack.Contents) {
	for i := range p.Manifest.Mailboxes {
		box := &p.Manifest.Mailboxes[i]
		key := keyOf(p.Manifest, box)
		if m.boxes[key] == nil {
			m.boxes[key], m.owners[key] = box, Owner(p.Manifest.Accounts[box.Account].ID)
		}
	}
	for i := range p.Manifest.Bodies {
		b := &p.Manifest.Bodies[i]
		m.bodies[b.Entry.Body] = append(m.bodies[b.Entry.Body], Copy{p, b})
	}
}

// Owner is the account that a manifest's account stands for: kept mail may have one beside its owner's.
func Owner(account uint64) uint64 { return uint64(mailbox.OwnerOf(index.AccountID(account))) }

func keyOf(m *blobstore.Manifest, box *blobstore.Mailbox) boxKey {
	account := m.Accounts[box.Account].ID
	key := boxKey{account: account, id: box.ID, kept: box.Kept || Owner(account) != account}
	if box.ID == 0 {
		key.name = box.Name
	}
	return key
}

// file puts the messages that have a body into their mailboxes.
func (m *merging) file(manifest *blobstore.Manifest, b *blobstore.Body, copies []Copy) {
	for _, u := range b.Users {
		box := &manifest.Mailboxes[u.Mailbox]
		key := keyOf(manifest, box)
		if key.kept && !m.kept {
			continue
		}
		if _, ok := m.take(m.owners[key]); !ok {
			continue
		}
		message := Message{UID: index.UID(u.UID), Flags: index.Flags(u.Flags), InternalDate: u.InternalDate, Copies: copies}
		for _, k := range u.Keywords {
			message.Keywords = append(message.Keywords, box.Keywords[k])
		}
		m.mail[key] = append(m.mail[key], message)
	}
}

// accounts brings the mailboxes in order: by address, by name, and in each the mailboxes of that name one after
// the other as they were made, each by UID.
func (m *merging) accounts() []Account {
	keys := make([]boxKey, 0, len(m.boxes))
	for key := range m.boxes {
		_, ok := m.take(m.owners[key])
		if ok && (m.kept || !key.kept) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b boxKey) int {
		addressA, _ := m.take(m.owners[a])
		addressB, _ := m.take(m.owners[b])
		return cmp.Or(cmp.Compare(addressA, addressB), cmp.Compare(m.boxes[a].Name, m.boxes[b].Name), boolCompare(a.kept, b.kept),
			cmp.Compare(m.boxes[a].UIDValidity, m.boxes[b].UIDValidity), cmp.Compare(a.id, b.id), cmp.Compare(a.name, b.name),
			cmp.Compare(a.account, b.account))
	})
	var accounts []Account
	for _, key := range keys {
		address, _ := m.take(m.owners[key])
		if n := len(accounts); n == 0 || accounts[n-1].Address != address {
			accounts = append(accounts, Account{Address: address})
		}
		m.into(&accounts[len(accounts)-1], key)
	}
	return accounts
}

func (m *merging) into(a *Account, key boxKey) {
	box := m.boxes[key]
	if n := len(a.Mailboxes); n == 0 || a.Mailboxes[n-1].Name != box.Name {
		a.Mailboxes = append(a.Mailboxes, Mailbox{Name: box.Name})
	}
	to := &a.Mailboxes[len(a.Mailboxes)-1]
	if !key.kept { // a mailbox that keeps expunged mail has the name of another, and nothing else of it
		to.SpecialUse |= index.SpecialUse(box.SpecialUse)
		to.Subscribed = to.Subscribed || box.Subscribed
	}
	mail := m.mail[key]
	slices.SortStableFunc(mail, func(a, b Message) int {
		if a.UID == 0 || b.UID == 0 { // put into a pack before it was filed: behind the others, by date
			return cmp.Or(boolCompare(a.UID == 0, b.UID == 0), a.InternalDate.Compare(b.InternalDate),
				cmp.Compare(a.Copies[0].Body.Entry.Body, b.Copies[0].Body.Entry.Body))
		}
		return cmp.Compare(a.UID, b.UID)
	})
	// No message is there twice, whatever a manifest says of it.
	mail = slices.CompactFunc(mail, func(a, b Message) bool {
		return a.UID == b.UID && a.UID != 0 && a.Copies[0].Body == b.Copies[0].Body
	})
	to.Messages = append(to.Messages, mail...)
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
