package mailbox

import (
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// The limits of annotations (RFC 5464, section 4.3, wants 10 of 1,024 octets at least).
const (
	MaxAnnotations = 100      // of one mailbox that are shared, and as many that are a user's
	MaxAnnotation  = 16 << 10 // octets of a value
	MaxEntry       = 255      // octets of an entry's name
)

// The beginnings of entry names: what everybody sees who may read the mailbox, and what one user does.
const (
	sharedEntry  = "/shared/"
	privateEntry = "/private/"
)

// SetMetadata sets and removes annotations of a mailbox or of the account, all or none (RFC 5464,
// section 4.3). It can set the special use of a mailbox with it (RFC 6154, section 4).
func (x *Execution) SetMetadata(cmd *indexpb.SetMetadataCommand) (*indexpb.Result, error) {
	if err := checkMetadata(cmd); err != nil {
		return Invalid(err), nil
	}
	a, err := x.account(index.AccountID(cmd.Account))
	if err != nil {
		return nil, err
	}
	var id index.MailboxID
	var m *mailboxState
	if cmd.Mailbox != "" {
		if m, err = x.named(a, cmd.Mailbox); err != nil {
			return nil, err
		}
		if m == nil {
			return refuse(indexpb.Code_CODE_NO_MAILBOX, "no mailbox %q", cmd.Mailbox), nil
		}
		id = m.id
	}
	if res, err := x.annotationRoom(a.id, id, cmd); res != nil || err != nil {
		return res, err
	}
	for _, c := range cmd.Changes {
		if err := x.annotate(a, id, cmd.User, c); err != nil {
			return nil, fmt.Errorf("annotate mailbox %d of account %d: %w", id, a.id, err)
		}
	}
	if len(cmd.Changes) > 0 {
		a.rec.AnnotationModSeq = a.modSeq()
	}
	if cmd.SpecialUse != nil && m.rec.SpecialUse != *cmd.SpecialUse {
		m.rec.SpecialUse, m.rec.NameModSeq, m.dirty = *cmd.SpecialUse, a.modSeq(), true
	}
	return &indexpb.Result{ModSeq: a.rec.ModSeq, MailboxId: uint32(id)}, nil
}

func checkMetadata(cmd *indexpb.SetMetadataCommand) error {
	if cmd.Account == 0 || cmd.User == 0 || len(cmd.Changes) > 2*MaxAnnotations {
		return fmt.Errorf("annotations have an account and a user, and change %d at a time", 2*MaxAnnotations)
	}
	if use := cmd.SpecialUse; use != nil && (cmd.Mailbox == "" || *use&^allUses != 0) {
		return fmt.Errorf("an unknown special use, or no mailbox that has it")
	}
	seen := make(map[string]bool, len(cmd.Changes))
	for _, c := range cmd.Changes {
		if c == nil || seen[c.Entry] || CheckEntry(c.Entry) != nil || len(c.Value) > MaxAnnotation {
			return fmt.Errorf("an entry that cannot be, or twice, or of more than %d octets", MaxAnnotation)
		}
		seen[c.Entry] = true
	}
	return nil
}

// CheckEntry refuses what is not the name of an entry under /private/ or /shared/ in lower case
// (RFC 5464, section 3.2).
func CheckEntry(name string) error {
	if !strings.HasPrefix(name, sharedEntry) && !strings.HasPrefix(name, privateEntry) {
		return fmt.Errorf("an entry is under %s or %s", privateEntry, sharedEntry)
	}
	if len(name) > MaxEntry || strings.Contains(name, "//") || name[len(name)-1] == '/' {
		return fmt.Errorf("an entry's name has at most %d octets and no empty level", MaxEntry)
	}
	for i := range len(name) {
		if c := name[i]; c < 0x20 || c >= 0x7f || c == '*' || c == '%' || 'A' <= c && c <= 'Z' {
			return fmt.Errorf("octet 0x%02x in an entry's name", c)
		}
	}
	return nil
}

// ownerOf is under whose number an entry is kept.
func ownerOf(entry string, user uint64) index.AccountID {
	if strings.HasPrefix(entry, sharedEntry) {
		return 0
	}
	return index.AccountID(user)
}

// annotationRoom counts what there would be after the change.
func (x *Execution) annotationRoom(a index.AccountID, m index.MailboxID, cmd *indexpb.SetMetadataCommand) (*indexpb.Result, error) {
	for _, owner := range []index.AccountID{0, index.AccountID(cmd.User)} {
		there := make(map[string]bool)
		err := walkAnnotations(x.b, keys.AnnotationsOf(nil, a, m, owner), func(_ index.MailboxID, entry string, _ *indexpb.AnnotationRecord) {
			there[entry] = true
		})
		if err != nil {
			return nil, err
		}
		before := len(there)
		for _, c := range cmd.Changes {
			if ownerOf(c.Entry, cmd.User) != owner {
				continue
			}
			if delete(there, c.Entry); c.Value != nil {
				there[c.Entry] = true
			}
		}
		if len(there) > MaxAnnotations && len(there) > before {
			return refuse(indexpb.Code_CODE_TOO_MANY_ANNOTATIONS, "a mailbox has at most %d annotations", MaxAnnotations), nil
		}
	}
	return nil, nil
}

func (x *Execution) annotate(a *accountState, m index.MailboxID, user uint64, c *indexpb.AnnotationChange) error {
	key := keys.Annotation(x.key[:0], a.id, m, ownerOf(c.Entry, user), c.Entry)
	if c.Value == nil {
		return x.delete(key)
	}
	return x.put(key, &indexpb.AnnotationRecord{Value: c.Value, ModSeq: a.modSeq()})
}

// copyAnnotations gives a mailbox the annotations of another.
func (x *Execution) copyAnnotations(a *accountState, from, to index.MailboxID) error {
	type copied struct {
		key []byte
		rec *indexpb.AnnotationRecord
	}
	var all []copied
	err := scan(x.b, keys.InMailbox(nil, keys.TableAnnotation, a.id, from), func(it kv.Iterator) error {
		_, user, entry, err := keys.ReadAnnotation(it.Key())
		if err != nil {
			return err
		}
		rec, err := decodeAnnotation(it)
		all = append(all, copied{keys.Annotation(nil, a.id, to, user, entry), rec})
		return err
	})
	if err != nil {
		return err
	}
	for _, c := range all {
		c.rec.ModSeq = a.modSeq()
		a.rec.AnnotationModSeq = a.rec.ModSeq
		if err := x.put(c.key, c.rec); err != nil {
			return err
		}
	}
	return nil
}

// Annotations reads the annotations of a mailbox (0: the account) that a user sees, by entry: the shared
// ones first.
func Annotations(r kv.Reader, a index.AccountID, m index.MailboxID, user index.AccountID) (all []index.Annotation, err error) {
	for _, owner := range []index.AccountID{0, user} {
		err := walkAnnotations(r, keys.AnnotationsOf(nil, a, m, owner), func(_ index.MailboxID, entry string, rec *indexpb.AnnotationRecord) {
			all = append(all, index.Annotation{Entry: entry, Value: rec.Value, ModSeq: index.ModSeq(rec.ModSeq)})
		})
		if err != nil {
			return nil, fmt.Errorf("annotations of mailbox %d of account %d: %w", m, a, err)
		}
	}
	return all, nil
}

// AllAnnotations calls fn for each annotation of all mailboxes of an account that a user sees.
func AllAnnotations(r kv.Reader, a, user index.AccountID, fn func(index.MailboxID, index.Annotation)) error {
	return scan(r, keys.InAccount(nil, keys.TableAnnotation, a), func(it kv.Iterator) error {
		m, owner, entry, err := keys.ReadAnnotation(it.Key())
		if err != nil || owner != 0 && owner != user {
			return err
		}
		rec, err := decodeAnnotation(it)
		if err == nil {
			fn(m, index.Annotation{Entry: entry, Value: rec.Value, ModSeq: index.ModSeq(rec.ModSeq)})
		}
		return err
	})
}

// AnnotationModSeq reads the modification sequence of the last change of an annotation of an account.
func AnnotationModSeq(r kv.Reader, a index.AccountID) (index.ModSeq, error) {
	value, ok, err := r.Get(keys.Account(nil, a))
	if err != nil || !ok {
		return 0, err
	}
	var rec indexpb.AccountRecord
	if err := rec.UnmarshalVT(value); err != nil {
		return 0, fmt.Errorf("record of account %d: %w: %w", a, err, ErrCorrupt)
	}
	return index.ModSeq(rec.AnnotationModSeq), nil
}

func walkAnnotations(r kv.Reader, prefix []byte, fn func(index.MailboxID, string, *indexpb.AnnotationRecord)) error {
	return scan(r, prefix, func(it kv.Iterator) error {
		m, _, entry, err := keys.ReadAnnotation(it.Key())
		if err != nil {
			return err
		}
		rec, err := decodeAnnotation(it)
		if err == nil {
			fn(m, entry, rec)
		}
		return err
	})
}

// decodeAnnotation reads the record that it stands at; the record is the caller's.
func decodeAnnotation(it kv.Iterator) (*indexpb.AnnotationRecord, error) {
	value, err := it.Value()
	if err != nil {
		return nil, err
	}
	rec := new(indexpb.AnnotationRecord)
	if err := rec.UnmarshalVT(value); err != nil {
		return nil, fmt.Errorf("annotation %x: %w: %w", it.Key(), err, ErrCorrupt)
	}
	if rec.Value == nil {
		rec.Value = []byte{} // an empty value is one
	}
	return rec, nil
}

// annotations holds the annotations against the mailboxes and accounts that they are of.
func (v *verifier) annotations() error {
	counts := make(map[string]int)
	return scan(v.r, keys.Whole(nil, keys.TableAnnotation), func(it kv.Iterator) error {
		m, user, entry, err := keys.ReadAnnotation(it.Key())
		if err != nil {
			return err
		}
		a, _, err := keys.ReadMailbox(it.Key()[:keys.MailboxPrefix])
		if err != nil {
			return err
		}
		if buried, known := v.boxes[place{a, m}]; m != 0 && (!known || buried) {
			return broken("annotation of mailbox %d of account %d, which is not there", m, a)
		}
		rec, err := decodeAnnotation(it)
		if err != nil {
			return err
		}
		last, err := AnnotationModSeq(v.r, a)
		if err != nil {
			return err
		}
		if CheckEntry(entry) != nil || (user == 0) != strings.HasPrefix(entry, sharedEntry) || rec.ModSeq > uint64(last) || rec.ModSeq == 0 {
			return broken("annotation %q of user %d at %d, the account's last at %d", entry, user, rec.ModSeq, last)
		}
		owned := string(it.Key()[:keys.MailboxPrefix+8])
		if counts[owned]++; counts[owned] > MaxAnnotations {
			return broken("more than %d annotations of mailbox %d of account %d", MaxAnnotations, m, a)
		}
		return nil
	})
}
