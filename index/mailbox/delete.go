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
	if err := x.bury(m); err != nil {
		return nil, fmt.Errorf("delete mailbox %d of account %d: %w", m.id, a.id, err)
	}
	return res, nil
}

// bury removes all keys of a mailbox but the summaries, which go to the graveyard where there are
// any.
func (x *Execution) bury(m *mailboxState) error {
	m.gone = true
	a := m.account.id
	if err := x.delete(keys.Mailbox(x.key[:0], a, m.id)); err != nil {
		return err
	}
	for _, t := range []keys.Table{keys.TableUIDs, keys.TableUnseen, keys.TableDeleted, keys.TableFlags,
		keys.TableChange, keys.TableTombstone} {
		prefix := keys.InMailbox(nil, t, a, m.id)
		if err := x.b.DeleteRange(prefix, keys.After(nil, prefix)); err != nil {
			return err
		}
	}
	if m.rec.Messages == 0 {
		return nil
	}
	return x.set(keys.Graveyard(x.key[:0], a, m.id), nil)
}

// DropAccount removes an account with all it has. Accounts' ids are not used again.
func (x *Execution) DropAccount(cmd *indexpb.DropAccountCommand) (*indexpb.Result, error) {
	if cmd.Account == 0 {
		return refuse(indexpb.Code_CODE_INVALID, "no account"), nil
	}
	a := &accountState{id: index.AccountID(cmd.Account)}
	boxes, err := List(x.b, a.id)
	if err != nil {
		return nil, err
	}
	for _, box := range boxes {
		if box.ID == 0 {
			continue // only subscribed
		}
		m := a.newState(box.ID)
		m.rec.Messages = box.Messages
		if err := x.bury(m); err != nil {
			return nil, fmt.Errorf("drop account %d: %w", a.id, err)
		}
	}
	for _, t := range []keys.Table{keys.TableName, keys.TableSubscription} {
		prefix := keys.InAccount(nil, t, a.id)
		if err := x.b.DeleteRange(prefix, keys.After(nil, prefix)); err != nil {
			return nil, err
		}
	}
	// What is remembered of deliveries expires by itself.
	x.dropped = append(x.dropped, a.id)
	return &indexpb.Result{}, x.b.Delete(keys.Account(nil, a.id))
}
