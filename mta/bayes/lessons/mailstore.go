package lessons

import (
	"context"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta/bayes"
)

// Mailstore reads messages out of a mail store.
func Mailstore(s *mailstore.Store) Messages { return mailStore{s} }

type mailStore struct{ store *mailstore.Store }

// Each implements Messages. The error is index.ErrGone where the mailbox is another now.
func (s mailStore) Each(ctx context.Context, l Lesson, fn func([]byte) error) error {
	box, err := s.store.Account(l.Account).Open(ctx, l.Mailbox)
	if err != nil {
		return err
	}
	if box.Info().UIDValidity != l.UIDValidity {
		return fmt.Errorf("mailbox %q: %w", l.Mailbox, index.ErrGone)
	}
	return box.Bodies(ctx, l.UIDs, func(m mailstore.Message, b mailstore.Body) error {
		octets := make([]byte, min(b.Size(), bayes.MaxOctets))
		if _, err := io.ReadFull(io.NewSectionReader(b, 0, int64(len(octets))), octets); err != nil {
			return fmt.Errorf("read message %d of %q: %w", m.UID, l.Mailbox, err)
		}
		return fn(octets)
	})
}
