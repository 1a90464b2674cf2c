package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// URLKeySize is the length of a key that URLs are signed with, in bytes (RFC 4467, section 2.2, wants 16 at
// least).
const URLKeySize = 32

// SetURLKey gives a mailbox the key that URLs of it are signed with, or takes away the keys of all mailboxes
// of an account (RFC 4467, section 7). That a key went is told to sessions that have its mailbox selected; to
// others the mailbox is as it was, so that there is no new modification sequence.
func (x *Execution) SetURLKey(cmd *indexpb.SetURLKeyCommand) (*indexpb.Result, error) {
	if cmd.MailboxId == 0 {
		return x.dropURLKeys(cmd)
	}
	if len(cmd.Key) != URLKeySize {
		return refuse(indexpb.Code_CODE_INVALID, "a key of %d bytes", len(cmd.Key)), nil
	}
	m, res, err := x.opened(cmd.Account, cmd.MailboxId, cmd.UidValidity)
	if err != nil || res != nil {
		return res, err
	}
	if cmd.Replace {
		m.rec.UrlKeyResets++
		m.account.dirty = true
	}
	if cmd.Replace || len(m.rec.UrlKey) == 0 {
		m.rec.UrlKey, m.dirty = cmd.Key, true
	}
	return &indexpb.Result{ModSeq: m.account.rec.ModSeq, MailboxId: uint32(m.id), UidValidity: m.rec.UidValidity}, nil
}

func (x *Execution) dropURLKeys(cmd *indexpb.SetURLKeyCommand) (*indexpb.Result, error) {
	if cmd.Account == 0 || cmd.UidValidity != 0 || len(cmd.Key) > 0 || cmd.Replace {
		return refuse(indexpb.Code_CODE_INVALID, "no account, or a key for all of its mailboxes"), nil
	}
	a, err := x.account(index.AccountID(cmd.Account))
	if err != nil {
		return nil, err
	}
	ids, err := keyed(x.b, a.id)
	if err != nil {
		return nil, fmt.Errorf("find mailboxes of account %d that have keys: %w", a.id, err)
	}
	for _, id := range ids {
		m, err := x.mailbox(a, id)
		if err != nil {
			return nil, err
		}
		m.rec.UrlKey, m.dirty, a.dirty = nil, true, true
		m.rec.UrlKeyResets++
	}
	return &indexpb.Result{ModSeq: a.rec.ModSeq}, nil
}

// keyed gives the mailboxes of an account that have a key.
func keyed(r kv.Reader, a index.AccountID) (ids []index.MailboxID, err error) {
	err = eachMailbox(r, a, func(id index.MailboxID, value []byte) error {
		var rec indexpb.MailboxRecord
		if err := rec.UnmarshalVTUnsafe(value); err != nil {
			return fmt.Errorf("record of mailbox %d: %w: %w", id, err, ErrCorrupt)
		}
		if len(rec.UrlKey) > 0 {
			ids = append(ids, id)
		}
		return nil
	})
	return ids, err
}

// URLKey reads the key that URLs of a mailbox are signed with, nil where it has none or is not there.
func URLKey(r kv.Reader, a index.AccountID, id index.MailboxID) ([]byte, error) {
	value, ok, err := r.Get(keys.Mailbox(nil, a, id))
	if err != nil || !ok {
		return nil, err
	}
	var rec indexpb.MailboxRecord
	if err := rec.UnmarshalVT(value); err != nil {
		return nil, fmt.Errorf("record of mailbox %d of account %d: %w: %w", id, a, err, ErrCorrupt)
	}
	return rec.UrlKey, nil
}

// urlKey holds a mailbox's key against its length.
func (v *verifier) urlKey(a index.AccountID, id index.MailboxID) error {
	key, err := URLKey(v.r, a, id)
	if err == nil && len(key) != 0 && len(key) != URLKeySize {
		err = broken("a key of %d bytes", len(key))
	}
	return err
}
