package mailstore

import (
	"context"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
)

// Park completes the message while others are taken in that go the same way, and returns the octets
// that it holds till then. A message of more than room is staged, and holds next to nothing.
func (in *Incoming) Park(room int) (held int, err error) {
	if err := in.finish(); err != nil {
		return 0, fmt.Errorf("park a message: %w", err)
	}
	if !in.away() && in.held > room {
		in.stage()
	}
	if in.chunk != nil {
		in.store.chunks.Put(in.chunk)
		in.chunk = nil
	}
	return in.held, nil
}

// AppendAll puts messages into a mailbox of the one account they were begun for, all or none
// (RFC 3502), in one command. Errors are those of Incoming.Append, and index.ErrTooLarge where what is
// known of the messages does not fit a command.
func (a *Account) AppendAll(ctx context.Context, name string, messages []*Incoming, options []AppendOptions) (CopyResult, error) {
	var out CopyResult
	cmd, g, err := a.appendCommand(ctx, name, messages, options)
	if err != nil {
		return out, fmt.Errorf("append to %q: %w", name, err)
	}
	res, err := a.store.change(ctx, g, command.Append, cmd)
	if err != nil {
		unplaceAll(ctx, messages, g, err)
		return out, fmt.Errorf("append to %q: %w", name, err)
	}
	out.UIDValidity = res.UidValidity
	out.To = appendRanges(out.To, res.To)
	return out, nil
}

// appendCommand makes the command that files messages, those staged that are too large for it.
func (a *Account) appendCommand(ctx context.Context, name string, messages []*Incoming, options []AppendOptions) (*indexpb.AppendCommand, cluster.GroupID, error) {
	name, err := mailbox.CanonicalName(name)
	if err != nil {
		return nil, 0, index.ErrNoMailbox
	}
	cmd := &indexpb.AppendCommand{Account: uint64(a.id), Mailbox: name, Limits: a.store.limits(a.id)}
	var g cluster.GroupID
	for i, in := range messages {
		if err := in.finish(); err != nil {
			return nil, 0, err
		}
		if _, g, err = in.only(); err != nil {
			return nil, 0, err
		}
		in.summary.InternalDate = in.dateOr(options[i].InternalDate)
		cmd.Messages = append(cmd.Messages, &indexpb.AppendMessage{
			Summary: in.summary, Body: in.body(g), SystemFlags: uint32(options[i].Flags), Keywords: options[i].Keywords,
		})
	}
	if err := stageAll(ctx, cmd, messages, g); err != nil {
		unplaceAll(ctx, messages, g, err)
		return nil, 0, err
	}
	return cmd, g, nil
}

// unplaceAll is unplace of all the messages.
func unplaceAll(ctx context.Context, messages []*Incoming, g cluster.GroupID, err error) {
	for _, in := range messages {
		in.unplace(ctx, g, err)
	}
}

// stageAll stages as many of the messages as do not fit the command, and settles all.
func stageAll(ctx context.Context, cmd *indexpb.AppendCommand, messages []*Incoming, g cluster.GroupID) error {
	for i, in := range messages {
		if !in.away() && cmd.SizeVT() > maxCommand {
			in.stage()
			cmd.Messages[i].Body = in.body(g)
		}
	}
	for i, in := range messages {
		if err := in.settleAppend(ctx, g, cmd, i); err != nil {
			return err
		}
	}
	if cmd.SizeVT() > maxCommand {
		return index.ErrTooLarge
	}
	return nil
}
