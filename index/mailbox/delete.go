package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// Delete removes a mailbox with its messages (RFC 9051, section 6.3.5). Mailboxes below it stay;
// its name is then one that LIST shows as \NonExistent. A subscription stays too. What the messages
// hold of bodies is released in bounded steps, see DrainGraveyard.
func (x *Execution) Delete(cmd *indexpb.DeleteMailboxCommand) (*indexpb.Result, error) {
	return x.remove(cmd, x.bury)
}

// remove takes a mailbox out of its account; bury sees to its keys.
func (x *Execution) remove(cmd *indexpb.DeleteMailboxCommand, bury func(*mailboxState) error) (*indexpb.Result, error) {
	if cmd.Account == 0 || cmd.Name == index.Inbox {
		return refuse(indexpb.Code_CODE_INVALID, "INBOX cannot be deleted"), nil
	}
	a, err := x.account(index.AccountID(cmd.Account))
	if err != nil {
		return nil, err
	}
	m, err := x.named(a, cmd.Name)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return refuse(indexpb.Code_CODE_NO_MAILBOX, "no mailbox %q", cmd.Name), nil
	}
	if m.rec.Subscribed {
		if err := x.set(keys.Subscription(x.key[:0], a.id, m.rec.Name), nil); err != nil {
			return nil, err
		}
	}
	if err := x.delete(keys.Name(x.key[:0], a.id, m.rec.Name)); err != nil {
		return nil, err
	}
	a.free(uint64(m.rec.Messages), m.rec.Bytes)
	a.rec.Mailboxes--
	res := &indexpb.Result{ModSeq: a.modSeq(), MailboxId: uint32(m.id), UidValidity: m.rec.UidValidity}
	if err := bury(m); err != nil {
		return nil, fmt.Errorf("delete mailbox %d of account %d: %w", m.id, a.id, err)
	}
	return res, nil
}

// bury removes all keys of a mailbox but the summaries, which go to the graveyard where there are
// any.
func (x *Execution) bury(m *mailboxState) error {
	if err := x.unlink(m); err != nil {
		return err
	}
	prefix := keys.InMailbox(nil, keys.TableFlags, m.account.id, m.id)
	if err := x.b.DeleteRange(prefix, keys.After(nil, prefix)); err != nil || m.rec.Messages == 0 {
		return err
	}
	return x.set(keys.Graveyard(x.key[:0], m.account.id, m.id), nil)
}

// unlink removes all keys of a mailbox but its name, and the flags and summaries of its messages.
func (x *Execution) unlink(m *mailboxState) error {
	m.gone = true
	a := m.account.id
	if err := x.delete(keys.Mailbox(x.key[:0], a, m.id)); err != nil {
		return err
	}
	if err := x.delete(keys.ACL(x.key[:0], a, m.id)); err != nil {
		return err
	}
	for _, t := range []keys.Table{keys.TableUIDs, keys.TableUnseen, keys.TableDeleted, keys.TableChange, keys.TableTombstone,
		keys.TableAnnotation} {
		prefix := keys.InMailbox(nil, t, a, m.id)
		if err := x.b.DeleteRange(prefix, keys.After(nil, prefix)); err != nil {
			return err
		}
	}
	return nil
}

// DropAccount removes an account with all it has, kept mail too. Accounts' ids are not used again.
func (x *Execution) DropAccount(cmd *indexpb.DropAccountCommand) (*indexpb.Result, error) {
	if cmd.Account == 0 {
		return refuse(indexpb.Code_CODE_INVALID, "no account"), nil
	}
	id := index.AccountID(cmd.Account)
	if err := x.dropKept(id); err != nil {
		return nil, fmt.Errorf("drop kept mail of account %d: %w", id, err)
	}
	if kept := KeptOf(id); kept != id {
		if err := x.drop(kept); err != nil {
			return nil, err
		}
	}
	return &indexpb.Result{}, x.drop(id)
}

func (x *Execution) drop(id index.AccountID) error {
	a := &accountState{id: id}
	boxes, err := List(x.b, a.id)
	if err != nil {
		return err
	}
	for _, box := range boxes {
		if box.ID == 0 {
			continue // only subscribed
		}
		m := a.newState(box.ID)
		m.rec.Messages = box.Messages
		if err := x.bury(m); err != nil {
			return fmt.Errorf("drop account %d: %w", a.id, err)
		}
	}
	for _, t := range []keys.Table{keys.TableName, keys.TableSubscription, keys.TableAnnotation} {
		prefix := keys.InAccount(nil, t, a.id)
		if err := x.b.DeleteRange(prefix, keys.After(nil, prefix)); err != nil {
			return err
		}
	}
	// What is remembered of deliveries expires by itself.
	x.dropped = append(x.dropped, a.id)
	return x.b.Delete(keys.Account(nil, a.id))
}
