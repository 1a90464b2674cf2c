package staging

import (
	"fmt"
	"math"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// Ledger keeps a partition's bodies while one command executes. Records that the command changes are
// held in memory and written by Finish, once each.
//
// In mode EMBEDDED it counts nothing and notes no users. In the others a body that is staged is counted
// in the BlobRecord, and each message that has a body is noted as its user. In LISTING that is so for
// those that came after it began, and for the messages before, up to the cursor.
//
// Invariant: a staged body that has chunks is counted exactly if one of its users is noted.
type Ledger struct {
	b   kv.Batch
	now int64 // the command's time in Unix milliseconds

	blobs  *indexpb.BlobRecord // nil: there is none
	loaded bool                // blobs is read
	dirty  bool                // blobs was changed
	packs  []*pack             // that the command touched
	key    [32]byte            // a buffer
}

// User is a message that has a body.
type User struct {
	Account index.AccountID
	Mailbox index.MailboxID
	UID     index.UID
}

// QueueAccount stands for the outbound queue among the users of bodies: Mailbox and UID are then the upper and the
// lower half of an entry's id (mta/queue). No account and no kept mail has that id.
const QueueAccount = index.AccountID(math.MaxUint64 - 1)

// Used is a body with one of its users.
type Used struct {
	Body index.BodyID
	User User
}

// NewLedger returns the ledger of a command that carries the time now, in Unix milliseconds.
func NewLedger(b kv.Batch, now int64) Ledger { return Ledger{b: b, now: now} }

// Finish writes the records that the command changed. A pack that is whole and that nobody uses is
// doomed.
func (l *Ledger) Finish() error {
	for _, p := range l.packs {
		if err := l.writePack(p); err != nil {
			return fmt.Errorf("write pack %d: %w", p.number, err)
		}
	}
	if !l.dirty {
		return nil
	}
	value, err := l.blobs.MarshalVT()
	if err != nil {
		return fmt.Errorf("encode account of bodies: %w", err)
	}
	return l.b.Set(keys.Blobs(l.key[:0]), value)
}

// active returns the BlobRecord, or nil in mode EMBEDDED.
func (l *Ledger) active() (*indexpb.BlobRecord, error) {
	if !l.loaded {
		value, ok, err := l.b.Get(keys.Blobs(l.key[:0]))
		if err != nil {
			return nil, fmt.Errorf("read account of bodies: %w", err)
		}
		if ok {
			if l.blobs, err = decodeBlobs(value); err != nil {
				return nil, err
			}
		}
		l.loaded = true
	}
	if l.blobs == nil || l.blobs.Mode == indexpb.BlobMode_BLOB_MODE_EMBEDDED {
		return nil, nil
	}
	return l.blobs, nil
}

// Blobs reads a partition's account of its bodies, or returns nil where there is none: it was never in
// another mode than EMBEDDED.
func Blobs(r kv.Reader) (*indexpb.BlobRecord, error) {
	value, ok, err := r.Get(keys.Blobs(nil))
	if err != nil || !ok {
		return nil, err
	}
	return decodeBlobs(value)
}

func decodeBlobs(value []byte) (*indexpb.BlobRecord, error) {
	rec := new(indexpb.BlobRecord)
	if err := rec.UnmarshalVT(value); err != nil {
		return nil, fmt.Errorf("account of bodies: %w: %w", err, ErrCorrupt)
	}
	return rec, nil
}

// stage counts octets and bodies as staged.
func (l *Ledger) stage(bytes, bodies uint64) {
	if l.blobs.StagedBodies == 0 && bodies > 0 {
		l.blobs.StagedSince = l.now
	}
	l.blobs.StagedBytes += bytes
	l.blobs.StagedBodies += bodies
	l.dirty = true
}

// unstage counts octets and bodies as staged no longer.
func (l *Ledger) unstage(bytes, bodies uint64) error {
	if l.blobs.StagedBytes < bytes || l.blobs.StagedBodies < bodies {
		return fmt.Errorf("%d octets of %d bodies are staged, %d of %d more than there are go: %w",
			l.blobs.StagedBytes, l.blobs.StagedBodies, bytes, bodies, ErrCorrupt)
	}
	l.blobs.StagedBytes -= bytes
	l.blobs.StagedBodies -= bodies
	l.dirty = true
	return nil
}

// packing reports whether bodies may go into packs.
func (l *Ledger) packing() (bool, error) {
	rec, err := l.active()
	return rec != nil && rec.Mode != indexpb.BlobMode_BLOB_MODE_HOMING, err
}

// listed reports whether the users of all bodies are noted.
func listed(rec *indexpb.BlobRecord) bool { return cursor(rec) == end() }

// end is the cursor behind all messages. No account has that id.
func end() User { return User{math.MaxUint64, math.MaxUint32, math.MaxUint32} }

func cursor(rec *indexpb.BlobRecord) User {
	return User{index.AccountID(rec.ListedAccount), index.MailboxID(rec.ListedMailbox), index.UID(rec.ListedUid)}
}

func (l *Ledger) setCursor(u User) {
	l.blobs.ListedAccount, l.blobs.ListedMailbox, l.blobs.ListedUid = uint64(u.Account), uint32(u.Mailbox), uint32(u.UID)
	l.dirty = true
}

func refuse(code indexpb.Code, text string) *indexpb.Result {
	return &indexpb.Result{Code: code, Text: text}
}

// pack is a pack while a command executes.
type pack struct {
	number uint64
	rec    indexpb.PackRecord
	dirty  bool
	gone   bool
}

// pack loads a pack, or returns nil where there is none of that number.
func (l *Ledger) pack(number uint64) (*pack, error) {
	for _, p := range l.packs {
		if p.number == number {
			return p, nil
		}
	}
	value, ok, err := l.b.Get(keys.Pack(l.key[:0], number))
	if err != nil {
		return nil, fmt.Errorf("read pack %d: %w", number, err)
	}
	if !ok {
		return nil, nil
	}
	p := &pack{number: number}
	if err := p.rec.UnmarshalVT(value); err != nil {
		return nil, fmt.Errorf("record of pack %d: %w: %w", number, err, ErrCorrupt)
	}
	l.packs = append(l.packs, p)
	return p, nil
}

// open loads a pack that bodies can be entered in, or returns nil.
func (l *Ledger) open(number uint64) (*pack, error) {
	if ok, err := l.packing(); err != nil || !ok {
		return nil, err
	}
	p, err := l.pack(number)
	if err != nil || p == nil || p.state() != blobstore.PackOpen {
		return nil, err
	}
	return p, nil
}

func (l *Ledger) writePack(p *pack) error {
	if p.gone {
		return l.b.Delete(keys.Pack(l.key[:0], p.number))
	}
	if !p.dirty {
		return nil
	}
	if p.state() == blobstore.PackWhole && p.rec.LiveBodies == 0 {
		p.become(blobstore.PackDoomed, l.now)
	}
	value, err := p.rec.MarshalVT()
	if err != nil {
		return err
	}
	return l.b.Set(keys.Pack(l.key[:0], p.number), value)
}

func (p *pack) state() blobstore.PackState { return blobstore.PackState(p.rec.State) }

func (p *pack) become(s blobstore.PackState, now int64) {
	p.rec.State, p.rec.Since, p.dirty = uint32(s), now, true
}

// enter counts a body of so many octets in the pack as live.
func (p *pack) enter(octets uint64) {
	p.rec.LiveBytes += octets
	p.rec.LiveBodies++
	p.dirty = true
}

// leave counts a body of so many octets in the pack as dead.
func (p *pack) leave(octets uint64) error {
	if p.rec.LiveBytes < octets || p.rec.LiveBodies == 0 {
		return fmt.Errorf("pack %d has %d octets of %d bodies, %d go: %w", p.number, p.rec.LiveBytes, p.rec.LiveBodies, octets, ErrCorrupt)
	}
	p.rec.LiveBytes -= octets
	p.rec.LiveBodies--
	p.rec.DeadBytes += octets
	p.dirty = true
	return nil
}

// overhead is what each chunk takes in the pack beside its own octets.
func (p *pack) overhead() uint64 {
	if len(p.rec.Key) == 0 {
		return blobstore.SumSize
	}
	return blobstore.SealSize
}

// octets is the sum of lengths.
func octets(lengths []uint32) (sum uint64) {
	for _, n := range lengths {
		sum += uint64(n)
	}
	return sum
}
