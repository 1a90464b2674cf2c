package mailstore

import (
	"context"
	"fmt"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
)

// Replace files a message of the same account into a mailbox and expunges one of m, both or neither
// (RFC 8508). Errors are those of Incoming.Append, index.ErrNoMessage where the old message is not
// there any more, and index.ErrGone.
func (m *Mailbox) Replace(ctx context.Context, old index.UID, to string, in *Incoming, o AppendOptions) (out CopyResult, err error) {
	appended, g, err := m.account.appendCommand(ctx, to, []*Incoming{in}, []AppendOptions{o})
	if err != nil {
		return out, fmt.Errorf("replace a message: %w", err)
	}
	cmd := &indexpb.ReplaceCommand{Append: appended, MailboxId: uint32(m.info.ID), UidValidity: m.info.UIDValidity, Uid: uint32(old)}
	res, err := m.account.store.change(ctx, g, command.Replace, cmd)
	if err != nil {
		in.unplace(ctx, g, err)
		return out, fmt.Errorf("replace message %d: %w", old, err)
	}
	out.UIDValidity, out.To = res.UidValidity, appendRanges(nil, res.To)
	return out, nil
}
