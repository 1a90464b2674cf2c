package mailstore

import (
	"context"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
)

// maxLetter bounds what Letter takes, in octets: it shares a command with other things.
const maxLetter = 64 << 10

// Letter makes the delivery of a small message to targets that are to be in one partition, for a command that has it inside. trace is as for
// NewIncoming. Above 64 KiB it is index.ErrTooLarge.
func (s *Store) Letter(ctx context.Context, trace, text []byte, received time.Time, targets []Target) (d *indexpb.DeliverCommand, messageID string, err error) {
	if len(text) > maxLetter {
		return nil, "", fmt.Errorf("a letter of %d octets: %w", len(text), index.ErrTooLarge)
	}
	in := s.NewIncoming(ctx, nil, trace)
	defer in.Discard()
	if _, err := in.Write(text); err != nil {
		return nil, "", err
	}
	if err := in.finish(); err != nil {
		return nil, "", err
	}
	in.summary.InternalDate = in.dateOr(received)
	d = &indexpb.DeliverCommand{Summary: in.summary, Body: in.body(0)}
	for _, t := range targets {
		name, err := canonicalTarget(t.Mailbox)
		if err != nil {
			return nil, "", err
		}
		d.Targets = append(d.Targets, in.target(t, name))
	}
	return d, in.messageID, nil
}

// target is a target in a command.
func (in *Incoming) target(t Target, mailbox string) *indexpb.DeliverTarget {
	return &indexpb.DeliverTarget{
		Account: uint64(t.Account), Mailbox: mailbox, SystemFlags: uint32(t.Flags), Keywords: t.Keywords,
		DedupKey: in.dedupKey(t), Limits: in.store.limits(t.Account),
	}
}
