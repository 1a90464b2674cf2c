package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/inbound"
	"github.com/rookery-mail/rookery/mta/plan"
)

// The mailbox and the keyword of what is junk (RFC 6154, and the registry of IMAP keywords).
const (
	junkMailbox = "Junk"
	junkKeyword = "$Junk"
)

// place makes the plans of the accounts that a message is for.
func (c *inboundChecks) place(ctx context.Context, l *missive, d *decision) error {
	alone := len(d.parties) == 1
	for i := range d.parties {
		p := &d.parties[i]
		if p.account == 0 {
			continue
		}
		keep := c.keepFor(ctx, *p)
		if c.parts.sorter == nil {
			if keep.Mailbox != "" || len(keep.Keywords) > 0 {
				p.plan = &plan.Plan{Copies: []plan.Copy{keep}}
			}
			continue
		}
		var err error
		to := sorting{account: p.account, recipient: p.recipient, verdict: p.verdict, junkScore: p.policy.JunkScore, alone: alone, dry: c.dry}
		if p.plan, p.told, err = c.parts.sorter.Sort(ctx, l, to, keep); err != nil {
			return fmt.Errorf("sort message %s for account %d: %w", l.id, p.account, err)
		}
		if p.plan != nil && p.plan.Refuse != nil && alone {
			d.reply = p.plan.Refuse
			p.verdict.Rule = "a script of the recipient refuses it"
		}
	}
	return nil
}

// keepFor is the copy that an account keeps where no script says otherwise.
func (c *inboundChecks) keepFor(ctx context.Context, p party) plan.Copy {
	if p.verdict.Action == inbound.Junk {
		return plan.Copy{Mailbox: c.junkOf(ctx, p.account), Keywords: []string{junkKeyword}}
	}
	if p.policy.subaddress != "existing" {
		return plan.Copy{}
	}
	return plan.Copy{Mailbox: c.n.folderOf(ctx, p.account, p.recipient.Address)}
}

// junkOf is the name of an account's mailbox for junk. Where there is none, one is made.
func (c *inboundChecks) junkOf(ctx context.Context, a index.AccountID) string {
	all, err := c.n.mailboxesOf(ctx, a)
	if err != nil {
		c.n.log.Warn("the mailboxes of an account are not known, its junk goes to "+junkMailbox, "account", a, "error", err)
		return junkMailbox // made with the delivery, if need be
	}
	for _, m := range all {
		if m.ID != 0 && m.SpecialUse&index.UseJunk != 0 {
			return m.Name
		}
	}
	for _, m := range all {
		if m.ID != 0 && strings.EqualFold(m.Name, junkMailbox) {
			return m.Name
		}
	}
	if c.dry {
		return junkMailbox
	}
	if _, err := c.n.store.Account(a).Create(ctx, junkMailbox, index.UseJunk); err != nil && !errors.Is(err, index.ErrMailboxExists) {
		c.n.log.Warn("a mailbox for junk could not be made with its attribute", "account", a, "error", err)
	}
	return junkMailbox
}

// folderOf is the mailbox that the subaddress of a recipient names, where the account has it; else "", which is INBOX.
func (n *Node) folderOf(ctx context.Context, a index.AccountID, recipient string) string {
	detail := ""
	err := n.view(func(v directory.View) error {
		found, err := v.Resolve(recipient)
		for _, t := range found.Accounts {
			if t.Account.ID == a {
				detail = t.Detail
			}
		}
		return err
	})
	if err != nil || detail == "" {
		return ""
	}
	all, err := n.mailboxesOf(ctx, a)
	if err != nil {
		n.log.Warn("the mailboxes of an account are not known, a subaddress is not looked for", "account", a, "error", err)
		return ""
	}
	for _, m := range all {
		if m.ID != 0 && strings.EqualFold(m.Name, detail) {
			return m.Name
		}
	}
	return ""
}

// mailboxesOf lists the mailboxes of an account, wherever it is.
func (n *Node) mailboxesOf(ctx context.Context, a index.AccountID) ([]index.Mailbox, error) {
	all, err := n.store.Account(a).Mailboxes(ctx)
	if errors.Is(err, cluster.ErrNoReplica) {
		all, err = n.shared.Account(a).Mailboxes(ctx)
	}
	return all, err
}
