package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/uidset"
)

// mailboxState is a mailbox while a command executes.
type mailboxState struct {
	account *accountState
	id      index.MailboxID
	rec     indexpb.MailboxRecord
	uids    blockCursor
	unseen  blockCursor
	deleted blockCursor
	dirty   bool
	gone    bool // deleted by this command: nothing of it is written
}

// blockCursor holds one block of a mailbox's UIDs, and writes it when another is asked for.
type blockCursor struct {
	table  keys.Table
	number uint32
	block  uidset.Block
	loaded bool
	dirty  bool
}

// makeMailbox makes a mailbox, of a name that is valid and free. Who has rights on the one above has them
// on it too.
func (x *Execution) makeMailbox(a *accountState, name string, use index.SpecialUse, subscribed bool) (*mailboxState, error) {
	a.rec.NextMailbox++
	a.rec.Mailboxes++
	m := a.newState(index.MailboxID(a.rec.NextMailbox))
	m.rec = indexpb.MailboxRecord{
		Name: name, UidValidity: a.uidValidity(x.now), UidNext: 1, SpecialUse: uint32(use),
		Subscribed: subscribed, Created: x.now, ModSeq: a.modSeq(), NameModSeq: a.modSeq(),
	}
	m.dirty = true
	a.mailboxes = append(a.mailboxes, m)
	if err := x.inherit(m); err != nil {
		return nil, err
	}
	return m, x.bindName(m)
}

// bindName points the name of m at it, and takes over a subscription that the name had.
func (x *Execution) bindName(m *mailboxState) error {
	a, name := m.account, m.rec.Name
	if err := x.set(keys.Name(x.key[:0], a.id, name), keys.EncodeID(x.value[:0], m.id)); err != nil {
		return err
	}
	key := keys.Subscription(x.key[:0], a.id, name)
	_, subscribed, err := x.get(key)
	if err != nil || !subscribed {
		return err
	}
	m.rec.Subscribed = true
	return x.delete(keys.Subscription(x.key[:0], a.id, name))
}

func (a *accountState) newState(id index.MailboxID) *mailboxState {
	return &mailboxState{
		account: a, id: id,
		uids:    blockCursor{table: keys.TableUIDs},
		unseen:  blockCursor{table: keys.TableUnseen},
		deleted: blockCursor{table: keys.TableDeleted},
	}
}

// find returns the id of the mailbox of a name, or ok false.
func (x *Execution) find(a *accountState, name string) (id index.MailboxID, ok bool, err error) {
	value, ok, err := x.get(keys.Name(x.key[:0], a.id, name))
	if err != nil || !ok {
		return 0, false, err
	}
	id, err = keys.DecodeID(value)
	return id, err == nil, err
}

// named loads the mailbox of a name, or returns nil where there is none.
func (x *Execution) named(a *accountState, name string) (*mailboxState, error) {
	for _, m := range a.mailboxes {
		if m.rec.Name == name && !m.gone {
			return m, nil
		}
	}
	id, ok, err := x.find(a, name)
	if err != nil || !ok {
		return nil, err
	}
	m, err := x.mailbox(a, id)
	if err == nil && m == nil {
		err = fmt.Errorf("mailbox %d of account %d has a name and no record: %w", id, a.id, ErrCorrupt)
	}
	return m, err
}

// mailbox loads the mailbox of an id, or returns nil where there is none.
func (x *Execution) mailbox(a *accountState, id index.MailboxID) (*mailboxState, error) {
	for _, m := range a.mailboxes {
		if m.id == id && !m.gone {
			return m, nil
		}
	}
	value, ok, err := x.get(keys.Mailbox(x.key[:0], a.id, id))
	if err != nil || !ok {
		return nil, err
	}
	m := a.newState(id)
	if err := m.rec.UnmarshalVTUnsafe(value); err != nil { // value is ours
		return nil, fmt.Errorf("record of mailbox %d of account %d: %w: %w", id, a.id, err, ErrCorrupt)
	}
	a.mailboxes = append(a.mailboxes, m)
	return m, nil
}

// opened loads the mailbox that a session has open, or says why it cannot.
func (x *Execution) opened(account uint64, id, validity uint32) (*mailboxState, *indexpb.Result, error) {
	if account == 0 {
		return nil, refuse(indexpb.Code_CODE_INVALID, "no account"), nil
	}
	a, err := x.account(index.AccountID(account))
	if err != nil {
		return nil, nil, err
	}
	m, err := x.mailbox(a, index.MailboxID(id))
	if err != nil {
		return nil, nil, err
	}
	if m == nil || m.rec.UidValidity != validity {
		return nil, refuse(indexpb.Code_CODE_UID_VALIDITY, "mailbox %d was deleted or made anew", id), nil
	}
	return m, nil, nil
}

// touch gives the mailbox this command's modification sequence and returns it.
func (m *mailboxState) touch() uint64 {
	m.rec.ModSeq = m.account.modSeq()
	m.dirty = true
	return m.rec.ModSeq
}

// blockAt returns the block that u is in; a caller that changes it sets c.dirty.
// With fresh, the mailbox has no UID in the block yet and none is read.
func (x *Execution) blockAt(m *mailboxState, c *blockCursor, u index.UID, fresh bool) (*uidset.Block, error) {
	n := uidset.BlockOf(u)
	if c.loaded && c.number == n {
		return &c.block, nil
	}
	if err := x.flushBlock(m, c); err != nil {
		return nil, err
	}
	c.number, c.loaded, c.block = n, true, uidset.Block{}
	if fresh {
		return &c.block, nil
	}
	value, ok, err := x.get(keys.Block(x.key[:0], c.table, m.account.id, m.id, n))
	if err != nil || !ok {
		return &c.block, err
	}
	c.block, err = uidset.DecodeBlock(value)
	if err != nil {
		return nil, fmt.Errorf("block %d of mailbox %d of account %d: %w: %w", n, m.id, m.account.id, err, ErrCorrupt)
	}
	return &c.block, nil
}

// mark makes u a member of the blocks of c, or not.
func (x *Execution) mark(m *mailboxState, c *blockCursor, u index.UID, member, fresh bool) error {
	block, err := x.blockAt(m, c, u, fresh)
	if err != nil {
		return err
	}
	if member {
		block.Add(u)
	} else {
		block.Remove(u)
	}
	c.dirty = true
	return nil
}

func (x *Execution) flushBlock(m *mailboxState, c *blockCursor) error {
	if !c.dirty {
		return nil
	}
	c.dirty = false
	key := keys.Block(x.key[:0], c.table, m.account.id, m.id, c.number)
	if c.block.Empty() {
		return x.delete(key)
	}
	x.value = uidset.EncodeBlock(x.value[:0], &c.block)
	return x.set(key, x.value)
}

// finishMailbox writes what the command changed of m.
func (x *Execution) finishMailbox(m *mailboxState) error {
	if m.gone {
		return nil
	}
	for _, c := range []*blockCursor{&m.uids, &m.unseen, &m.deleted} {
		if err := x.flushBlock(m, c); err != nil {
			return err
		}
	}
	if !m.dirty {
		return nil
	}
	return x.put(keys.Mailbox(x.key[:0], m.account.id, m.id), &m.rec)
}
