// Package packertest is a partition in memory for the tests of blobstore/packer, gc and scrub: bodies, packs and
// counters under the rules of the state machine in index/staging, without mailboxes, log or disk. It
// holds what a bucket has against what it knows.
package packertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
)

// ErrNoPack says that a pack is not there or not open, as the log does.
var ErrNoPack = errors.New("no such open pack")

// Partition is a partition in memory. The zero value is not ready: see New.
type Partition struct {
	group uint16
	now   func() time.Time

	mu       sync.Mutex // guards what follows
	hook     func(call string, after bool) error
	mode     blobstore.Mode
	bodies   map[uint64]*body
	packs    map[uint64]*record
	lastBody uint64
	lastPack uint64
	since    time.Time
	calls    map[string]int
}

type body struct {
	id      uint64
	account uint64
	mailbox uint32
	uid     uint32
	frames  [][]byte // as they were added: what every reader is to get
	pack    uint64   // 0: staged
	entry   blobstore.Entry
	home    int
}

type record struct {
	blobstore.PackInfo
	covered uint64
}

// New returns an empty partition in blobstore.Packed.
func New(group uint16, now func() time.Time) *Partition {
	return &Partition{
		group: group, now: now, mode: blobstore.Packed,
		bodies: map[uint64]*body{}, packs: map[uint64]*record{}, calls: map[string]int{},
	}
}

// Hook has fn asked before and after each call of the packer; its error becomes the call's. After a call
// it is as if the answer was lost. fn may be nil.
func (p *Partition) Hook(fn func(call string, after bool) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook = fn
}

// Calls says how often a method was called.
func (p *Partition) Calls(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[name]
}

// do runs fn as one call.
func (p *Partition) do(ctx context.Context, name string, fn func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	p.calls[name]++
	if p.hook != nil {
		if err := p.hook(name, false); err != nil {
			return err
		}
	}
	if err := fn(); err != nil {
		return err
	}
	if p.hook != nil {
		return p.hook(name, true)
	}
	return nil
}

// Add stages a body with one message.
func (p *Partition) Add(account uint64, mailbox, uid uint32, frames ...[]byte) (id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, staged := p.staged(); staged == 0 {
		p.since = p.now()
	}
	p.lastBody++
	b := &body{id: p.lastBody, account: account, mailbox: mailbox, uid: uid, frames: frames}
	p.bodies[b.id] = b
	return b.id
}

// Expunge takes a body's only message away.
func (p *Partition) Expunge(id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.bodies[id]
	delete(p.bodies, id)
	if b != nil && b.pack != 0 {
		p.die(b)
	}
}

// die moves a packed body from live to dead.
func (p *Partition) die(b *body) {
	r := p.packs[b.pack]
	n := octets(b.entry)
	r.LiveBytes -= n
	r.DeadBytes += n
	r.LiveBodies--
	p.settle(r)
}

// settle dooms a whole pack that nothing is live in.
func (p *Partition) settle(r *record) {
	if r.State == blobstore.PackWhole && r.LiveBodies == 0 {
		r.State, r.Since = blobstore.PackDoomed, p.now()
	}
}

func octets(e blobstore.Entry) (n uint64) {
	for _, l := range e.Lengths {
		n += uint64(l)
	}
	return n
}

func (p *Partition) staged() (bytes, bodies uint64) {
	for _, b := range p.bodies {
		if b.pack == 0 {
			bodies++
			for _, f := range b.frames {
				bytes += uint64(len(f))
			}
		}
	}
	return bytes, bodies
}

// Group is the partition's number.
func (p *Partition) Group() uint16 { return p.group }

// Status counts what is staged.
func (p *Partition) Status(ctx context.Context) (out blobstore.Backlog, err error) {
	err = p.do(ctx, "Status", func() error {
		out = blobstore.Backlog{Mode: p.mode, Since: p.since}
		out.Bytes, out.Bodies = p.staged()
		return nil
	})
	return out, err
}

// Pick gives the oldest staged bodies.
func (p *Partition) Pick(ctx context.Context, bytes int64, bodies int) (out *blobstore.Manifest, err error) {
	err = p.do(ctx, "Pick", func() error {
		var picked []*body
		for _, b := range p.byID() {
			if b.pack == 0 && bytes > 0 && len(picked) < bodies {
				picked = append(picked, b)
				for _, f := range b.frames {
					bytes -= int64(len(f))
				}
			}
		}
		out = p.manifest(picked)
		return nil
	})
	return out, err
}

// Describe gives those of ids that lie in a pack; all of them without ids.
func (p *Partition) Describe(ctx context.Context, pack uint64, ids []uint64) (out *blobstore.Manifest, err error) {
	err = p.do(ctx, "Describe", func() error {
		asked := make(map[uint64]bool, len(ids))
		for _, id := range ids {
			asked[id] = true
		}
		var found []*body
		for _, b := range p.byID() {
			if b.pack == pack && (ids == nil || asked[b.id]) {
				found = append(found, b)
			}
		}
		out = p.manifest(found)
		return nil
	})
	return out, err
}

// Entries gives the places of those of ids that lie in a pack; of all without ids.
func (p *Partition) Entries(ctx context.Context, pack uint64, ids []uint64) (out []blobstore.Entry, err error) {
	err = p.do(ctx, "Entries", func() error {
		for _, b := range p.byID() {
			if b.pack == pack && (ids == nil || slices.Contains(ids, b.id)) {
				out = append(out, b.entry)
			}
		}
		return nil
	})
	return out, err
}

func (p *Partition) byID() []*body {
	out := make([]*body, 0, len(p.bodies))
	for _, b := range p.bodies {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b *body) int { return cmp.Compare(a.id, b.id) })
	return out
}

func (p *Partition) manifest(bodies []*body) *blobstore.Manifest {
	slices.SortFunc(bodies, func(a, b *body) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.mailbox, b.mailbox), cmp.Compare(a.uid, b.uid))
	})
	m := &blobstore.Manifest{Group: p.group}
	for i, b := range bodies {
		if i == 0 || bodies[i-1].account != b.account {
			m.Accounts = append(m.Accounts, blobstore.Account{ID: b.account, Address: fmt.Sprintf("a%d@example.org", b.account)})
		}
		if i == 0 || bodies[i-1].account != b.account || bodies[i-1].mailbox != b.mailbox {
			m.Mailboxes = append(m.Mailboxes, blobstore.Mailbox{
				Account: len(m.Accounts) - 1, ID: b.mailbox, Name: fmt.Sprintf("Box %d", b.mailbox), UIDValidity: 1,
			})
		}
		out := blobstore.Body{ChunkSize: 128 << 10, Users: []blobstore.User{{
			Mailbox: len(m.Mailboxes) - 1, UID: b.uid, InternalDate: time.UnixMilli(0), SaveDate: time.UnixMilli(0),
		}}}
		out.Entry = blobstore.Entry{Body: b.id}
		for _, f := range b.frames {
			out.Size += uint64(len(f))
			out.Lengths = append(out.Lengths, uint32(len(f)))
		}
		if b.pack != 0 {
			out.Entry = b.entry
			out.Lengths = slices.Clone(b.entry.Lengths)
		}
		m.Bodies = append(m.Bodies, out)
	}
	return m
}

// Frame gives a chunk of a staged body.
func (p *Partition) Frame(ctx context.Context, id uint64, chunk uint32) (out []byte, err error) {
	err = p.do(ctx, "Frame", func() error {
		b := p.bodies[id]
		if b == nil || b.pack != 0 || int(chunk) >= len(b.frames) {
			return fmt.Errorf("chunk %d of body %d is not staged", chunk, id)
		}
		out = b.frames[chunk]
		return nil
	})
	return out, err
}
