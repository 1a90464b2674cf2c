package mailbox

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// SetACL changes the rights of one grantee on a mailbox (RFC 4314, section 3.1). The owner needs none
// and cannot be one. Watchers of the account are woken, since some of them may not read on.
func (x *Execution) SetACL(cmd *indexpb.SetACLCommand) (*indexpb.Result, error) {
	if err := checkSetACL(cmd); err != nil {
		return Invalid(err), nil
	}
	m, res, err := x.opened(cmd.Account, cmd.MailboxId, cmd.UidValidity)
	if err != nil || res != nil {
		return res, err
	}
	rec, err := loadACL(x.b, m.account.id, m.id)
	if err != nil {
		return nil, err
	}
	before := len(rec.Grants)
	rec.Grants = slices.DeleteFunc(rec.Grants, func(g *indexpb.Grant) bool { return slices.Contains(cmd.Gone, g.Grantee) })
	rec.Grants = regrant(rec.Grants, cmd)
	if len(rec.Grants) > index.MaxGrants && len(rec.Grants) > before {
		return refuse(indexpb.Code_CODE_TOO_MANY_GRANTS, "more than %d have rights on a mailbox", index.MaxGrants), nil
	}
	m.account.dirty = true
	return &indexpb.Result{ModSeq: m.account.rec.ModSeq, MailboxId: uint32(m.id), UidValidity: m.rec.UidValidity}, x.storeACL(m, rec)
}

func checkSetACL(cmd *indexpb.SetACLCommand) error {
	switch {
	case cmd.Grantee == cmd.Account:
		return fmt.Errorf("an owner has all rights")
	case cmd.Rights&^uint32(index.AllRights) != 0:
		return fmt.Errorf("unknown rights %#x", cmd.Rights)
	case cmd.Op < indexpb.FlagOp_FLAG_OP_SET || cmd.Op > indexpb.FlagOp_FLAG_OP_REMOVE:
		return fmt.Errorf("unknown operation %d", cmd.Op)
	}
	return nil
}

// regrant changes the rights of the command's grantee among grants that ascend.
func regrant(grants []*indexpb.Grant, cmd *indexpb.SetACLCommand) []*indexpb.Grant {
	at, found := slices.BinarySearchFunc(grants, cmd.Grantee, func(g *indexpb.Grant, id uint64) int {
		switch {
		case g.Grantee < id:
			return -1
		case g.Grantee > id:
			return 1
		}
		return 0
	})
	rights := cmd.Rights
	if found {
		switch cmd.Op {
		case indexpb.FlagOp_FLAG_OP_ADD:
			rights |= grants[at].Rights
		case indexpb.FlagOp_FLAG_OP_REMOVE:
			rights = grants[at].Rights &^ rights
		}
		grants = slices.Delete(grants, at, at+1)
	} else if cmd.Op == indexpb.FlagOp_FLAG_OP_REMOVE {
		rights = 0
	}
	if rights == 0 {
		return grants
	}
	return slices.Insert(grants, at, &indexpb.Grant{Grantee: cmd.Grantee, Rights: rights})
}

// storeACL writes who has rights on a mailbox, or that nobody has.
func (x *Execution) storeACL(m *mailboxState, rec *indexpb.ACLRecord) error {
	if len(rec.Grants) == 0 {
		return x.delete(keys.ACL(x.key[:0], m.account.id, m.id))
	}
	return x.put(keys.ACL(x.key[:0], m.account.id, m.id), rec)
}

// inherit gives a new mailbox the grants of the one above it (RFC 4314, section 4).
func (x *Execution) inherit(m *mailboxState) error {
	cut := strings.LastIndex(m.rec.Name, delimiter)
	if cut < 0 {
		return nil
	}
	above, err := x.named(m.account, m.rec.Name[:cut])
	if err != nil || above == nil {
		return err
	}
	rec, err := loadACL(x.b, m.account.id, above.id)
	if err != nil || len(rec.Grants) == 0 {
		return err
	}
	return x.storeACL(m, rec)
}

func loadACL(r kv.Reader, a index.AccountID, id index.MailboxID) (*indexpb.ACLRecord, error) {
	rec := new(indexpb.ACLRecord)
	value, ok, err := r.Get(keys.ACL(nil, a, id))
	if err != nil || !ok {
		return rec, err
	}
	if err := rec.UnmarshalVT(value); err != nil {
		return nil, fmt.Errorf("ACL of mailbox %d of account %d: %w: %w", id, a, err, ErrCorrupt)
	}
	return rec, nil
}

// ACL reads who has rights on a mailbox besides its owner, ascending by grantee.
func ACL(r kv.Reader, a index.AccountID, id index.MailboxID) ([]index.Grant, error) {
	rec, err := loadACL(r, a, id)
	if err != nil {
		return nil, err
	}
	return grantsOf(rec), nil
}

func grantsOf(rec *indexpb.ACLRecord) []index.Grant {
	grants := make([]index.Grant, len(rec.Grants))
	for i, g := range rec.Grants {
		grants[i] = index.Grant{Grantee: index.AccountID(g.Grantee), Rights: index.Rights(g.Rights)}
	}
	return grants
}

// SharedWith calls fn with the mailboxes of an account on which another has rights, in the order of their
// ids. It reads the mailboxes that anybody else has rights on.
func SharedWith(r kv.Reader, owner, other index.AccountID, fn func(index.MailboxID, index.Rights) error) error {
	return scan(r, keys.InAccount(nil, keys.TableACL, owner), func(it kv.Iterator) error {
		value, err := it.Value()
		if err != nil {
			return err
		}
		_, id, err := keys.ReadMailbox(it.Key())
		if err != nil {
			return err
		}
		var rec indexpb.ACLRecord
		if err := rec.UnmarshalVT(value); err != nil {
			return fmt.Errorf("ACL of mailbox %d of account %d: %w: %w", id, owner, err, ErrCorrupt)
		}
		if rights := index.RightsOf(grantsOf(&rec), other); rights != 0 {
			return fn(id, rights)
		}
		return nil
	})
}

// grants holds the ACL of a mailbox against KEYS.md.
func (v *verifier) grants(a index.AccountID, m index.MailboxID) error {
	value, ok, err := v.r.Get(keys.ACL(nil, a, m))
	if err != nil || !ok {
		return err
	}
	var rec indexpb.ACLRecord
	if err := rec.UnmarshalVT(value); err != nil {
		return broken("ACL: %v", err)
	}
	if len(rec.Grants) == 0 || len(rec.Grants) > index.MaxGrants {
		return broken("ACL of %d grants", len(rec.Grants))
	}
	for i, g := range rec.Grants {
		if g.Rights == 0 || index.AccountID(g.Grantee) == a || i > 0 && g.Grantee <= rec.Grants[i-1].Grantee {
			return broken("grant %v", g)
		}
	}
	return nil
}
