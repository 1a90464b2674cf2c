package mailbox

import (
	"fmt"
	"math"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/staging"
	"github.com/rookery-mail/rookery/index/uidset"
)

// room reports whether the mailbox has UIDs left for n more messages.
func (m *mailboxState) room(n int) bool { return uint64(m.rec.UidNext)+uint64(n) <= math.MaxUint32 }

// file puts a message into m: its flags, whose modification sequence file sets, and its summary s,
// which is encoded already. The caller counts quota and references.
func (x *Execution) file(m *mailboxState, flags *indexpb.FlagRecord, s *indexpb.Summary, encoded []byte) (index.UID, error) {
	u := index.UID(m.rec.UidNext)
	m.rec.UidNext++
	flags.ModSeq = m.touch()
	a := m.account.id
	if err := x.set(keys.Message(x.key[:0], keys.TableSummary, a, m.id, u), encoded); err != nil {
		return 0, err
	}
	if err := x.put(keys.Message(x.key[:0], keys.TableFlags, a, m.id, u), flags); err != nil {
		return 0, err
	}
	if err := x.set(keys.Sequenced(x.key[:0], keys.TableChange, a, m.id, index.ModSeq(flags.ModSeq), u), nil); err != nil {
		return 0, err
	}
	if err := x.index(m, u, index.Flags(flags.System), true); err != nil {
		return 0, err
	}
	m.rec.Messages++
	m.rec.Bytes += s.Size
	m.count(index.Flags(flags.System), 1)
	return u, x.bodies.Use(index.BodyID(s.BodyId), m.user(u))
}

// user is a message of m as index/staging knows it.
func (m *mailboxState) user(u index.UID) staging.User {
	return staging.User{Account: m.account.id, Mailbox: m.id, UID: u}
}

// index makes a message of flags f a member of the blocks it belongs to, or of none of them.
func (x *Execution) index(m *mailboxState, u index.UID, f index.Flags, member bool) error {
	fresh := member && (u == 1 || u%uidset.BlockSize == 0) // the first UID of its block
	if err := x.mark(m, &m.uids, u, member, fresh); err != nil {
		return err
	}
	if f&index.FlagSeen == 0 {
		if err := x.mark(m, &m.unseen, u, member, fresh); err != nil {
			return err
		}
	}
	if f&index.FlagDeleted != 0 {
		return x.mark(m, &m.deleted, u, member, fresh)
	}
	return nil
}

// count adds a message's flags to the counters of m, or with -1 takes them off.
func (m *mailboxState) count(f index.Flags, by int32) {
	if f&index.FlagSeen == 0 {
		m.rec.Unseen = uint32(int32(m.rec.Unseen) + by)
	}
	if f&index.FlagDeleted != 0 {
		m.rec.Deleted = uint32(int32(m.rec.Deleted) + by)
	}
}

// take removes a message from m and leaves a tombstone. The caller sees to quota and references.
func (x *Execution) take(m *mailboxState, u index.UID, flags *indexpb.FlagRecord, s *indexpb.Summary) error {
	a := m.account.id
	if err := x.delete(keys.Message(x.key[:0], keys.TableSummary, a, m.id, u)); err != nil {
		return err
	}
	if err := x.delete(keys.Message(x.key[:0], keys.TableFlags, a, m.id, u)); err != nil {
		return err
	}
	if err := x.delete(keys.Sequenced(x.key[:0], keys.TableChange, a, m.id, index.ModSeq(flags.ModSeq), u)); err != nil {
		return err
	}
	tomb := keys.Sequenced(x.key[:0], keys.TableTombstone, a, m.id, index.ModSeq(m.touch()), u)
	if err := x.put(tomb, &indexpb.TombstoneRecord{When: x.now}); err != nil {
		return err
	}
	if err := x.index(m, u, index.Flags(flags.System), false); err != nil {
		return err
	}
	m.rec.Messages--
	m.rec.Bytes -= s.Size
	m.count(index.Flags(flags.System), -1)
	return x.bodies.Leave(index.BodyID(s.BodyId), m.user(u))
}

// reflag replaces the flags of a message by next, whose modification sequence reflag sets.
func (x *Execution) reflag(m *mailboxState, u index.UID, old, next *indexpb.FlagRecord) error {
	a := m.account.id
	next.ModSeq = m.touch()
	if next.ModSeq != old.ModSeq {
		if err := x.delete(keys.Sequenced(x.key[:0], keys.TableChange, a, m.id, index.ModSeq(old.ModSeq), u)); err != nil {
			return err
		}
		if err := x.set(keys.Sequenced(x.key[:0], keys.TableChange, a, m.id, index.ModSeq(next.ModSeq), u), nil); err != nil {
			return err
		}
	}
	if err := x.put(keys.Message(x.key[:0], keys.TableFlags, a, m.id, u), next); err != nil {
		return err
	}
	before, after := index.Flags(old.System), index.Flags(next.System)
	m.count(before, -1)
	m.count(after, 1)
	if (before^after)&index.FlagSeen != 0 {
		if err := x.mark(m, &m.unseen, u, after&index.FlagSeen == 0, false); err != nil {
			return err
		}
	}
	if (before^after)&index.FlagDeleted != 0 {
		return x.mark(m, &m.deleted, u, after&index.FlagDeleted != 0, false)
	}
	return nil
}

// flagsOf reads the flags of a message that is in m.
func (x *Execution) flagsOf(m *mailboxState, u index.UID) (*indexpb.FlagRecord, error) {
	rec := new(indexpb.FlagRecord)
	value, err := x.message(m, keys.TableFlags, u)
	if err != nil {
		return nil, err
	}
	if err := rec.UnmarshalVT(value); err != nil {
		return nil, fmt.Errorf("flags of message %d: %w: %w", u, err, ErrCorrupt)
	}
	return rec, nil
}

// summaryOf reads the summary of a message that is in m.
func (x *Execution) summaryOf(m *mailboxState, u index.UID) (*indexpb.Summary, error) {
	rec := new(indexpb.Summary)
	value, err := x.message(m, keys.TableSummary, u)
	if err != nil {
		return nil, err
	}
	if err := rec.UnmarshalVTUnsafe(value); err != nil { // value is ours
		return nil, fmt.Errorf("summary of message %d: %w: %w", u, err, ErrCorrupt)
	}
	return rec, nil
}

func (x *Execution) message(m *mailboxState, t keys.Table, u index.UID) ([]byte, error) {
	value, ok, err := x.get(keys.Message(x.key[:0], t, m.account.id, m.id, u))
	if err != nil {
		return nil, fmt.Errorf("read message %d: %w", u, err)
	}
	if !ok {
		return nil, fmt.Errorf("message %d of mailbox %d of account %d has no record: %w", u, m.id, m.account.id, ErrCorrupt)
	}
	return value, nil
}
