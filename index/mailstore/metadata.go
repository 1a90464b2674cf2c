package mailstore

import (
	"context"
	"fmt"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
)

// Metadata returns the annotations of a mailbox that a user sees (RFC 5464), or with an empty name those
// of the account: index.ErrNoMailbox.
func (a *Account) Metadata(ctx context.Context, user index.AccountID, name string) (all []index.Annotation, err error) {
	if name != "" {
		if name, err = mailbox.CanonicalName(name); err != nil {
			return nil, index.ErrNoMailbox
		}
	}
	err = a.read(ctx, func(r kv.Reader) error {
		id, ok := index.MailboxID(0), true
		if name != "" {
			if id, ok, err = mailbox.Find(r, a.id, name); err != nil {
				return err
			}
		}
		if !ok {
			return index.ErrNoMailbox
		}
		all, err = mailbox.Annotations(r, a.id, id, user)
		return err
	})
	return all, err
}

// SetMetadata changes the annotations that c names, all or none; one without a value goes. It returns the
// modification sequence of the account afterwards. Errors are index.ErrNoMailbox,
// index.ErrTooManyAnnotations and ErrRefused.
func (a *Account) SetMetadata(ctx context.Context, c MetadataChange) (index.ModSeq, error) {
	var err error
	if c.Mailbox != "" {
		if c.Mailbox, err = mailbox.CanonicalName(c.Mailbox); err != nil {
			return 0, index.ErrNoMailbox
		}
	}
	cmd := &indexpb.SetMetadataCommand{Account: uint64(a.id), Mailbox: c.Mailbox, User: uint64(c.User)}
	for _, entry := range c.Entries {
		cmd.Changes = append(cmd.Changes, &indexpb.AnnotationChange{Entry: entry.Entry, Value: entry.Value})
	}
	if c.SpecialUse != nil {
		use := uint32(*c.SpecialUse)
		cmd.SpecialUse = &use
	}
	g, err := a.group()
	if err != nil {
		return 0, err
	}
	res, err := a.store.change(ctx, g, command.SetMetadata, cmd)
	if err != nil {
		return 0, fmt.Errorf("annotate mailbox: %w", err)
	}
	return index.ModSeq(res.ModSeq), nil
}

// MetadataModSeq returns the modification sequence of the account's last change of an annotation. It reads
// one key.
func (a *Account) MetadataModSeq(ctx context.Context) (at index.ModSeq, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	err = a.moment(func(r kv.Reader) error {
		at, err = mailbox.AnnotationModSeq(r, a.id)
		return err
	})
	return at, err
}

// AllMetadata returns all annotations of the account that a user sees, without their values, and the
// modification sequence of the last change of one.
func (a *Account) AllMetadata(ctx context.Context, user index.AccountID) (all []MailboxAnnotation, at index.ModSeq, err error) {
	err = a.read(ctx, func(r kv.Reader) error {
		all = nil
		if at, err = mailbox.AnnotationModSeq(r, a.id); err != nil {
			return err
		}
		boxes, err := mailbox.List(r, a.id)
		if err != nil {
			return err
		}
		names := make(map[index.MailboxID]string, len(boxes))
		for _, m := range boxes {
			names[m.ID] = m.Name
		}
		names[0] = "" // the account
		return mailbox.AllAnnotations(r, a.id, user, func(m index.MailboxID, is index.Annotation) {
			all = append(all, MailboxAnnotation{ID: m, Mailbox: names[m], Entry: is.Entry, ModSeq: is.ModSeq})
		})
	})
	return all, at, err
}
