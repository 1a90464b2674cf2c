package main

import (
	"errors"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// rightsHelp is what the letters mean (RFC 4314, section 2.1).
const rightsHelp = "Rights are letters: l list, r read, s \\Seen, w other flags, i insert, t \\Deleted, e expunge,\n" +
	"k make mailboxes below, x delete and rename, a administer. WHO is the address of an account, or anyone."

func aclPath(address string) string { return accountPath(address) + "/acl" }

func mailboxACL(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "acl ADDRESS MAILBOX", Short: "List who has rights on a mailbox", Long: "Lists who has rights on a mailbox, its owner first.\n" + rightsHelp,
		Example: "  rookery mailbox acl ada@example.org INBOX", Args: cobra.ExactArgs(2),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var grants []adminapi.Grant
			if err := call("GET", aclPath(args[0])+"?mailbox="+url.QueryEscape(args[1]), nil, &grants); err != nil {
				return err
			}
			return o.print(cmd, grants, func(p *printer) {
				p.row("WHO", "RIGHTS")
				for _, g := range grants {
					p.row(g.Identifier, g.Rights)
				}
			})
		}),
	}
}

func mailboxGrant(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "grant ADDRESS MAILBOX WHO RIGHTS", Short: "Let another account use a mailbox",
		Long: "Gives rights on a mailbox, in place of those that WHO had, or with a + before them besides those.\n" + rightsHelp,
		Example: "  rookery mailbox grant ada@example.org Team bob@example.org lrs\n" +
			"  rookery mailbox grant ada@example.org Team bob@example.org +wi\n  rookery mailbox grant ada@example.org Notices anyone lr",
		Args: cobra.ExactArgs(4),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if strings.Trim(args[3], "+") == "" {
				return errors.New("name at least one right, or use `rookery mailbox revoke`")
			}
			change := adminapi.GrantChange{Mailbox: args[1], Identifier: args[2], Rights: args[3]}
			if err := call("POST", aclPath(args[0]), change, nil); err != nil {
				return err
			}
			return o.say(cmd, "%s has rights on %s of %s.", args[2], args[1], args[0])
		}),
	}
}

func mailboxRevoke(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "revoke ADDRESS MAILBOX WHO [RIGHTS]", Short: "Take rights on a mailbox from another account",
		Long:    "Takes these rights on a mailbox, or all where none are named. What anyone has, WHO keeps.\n" + rightsHelp,
		Example: "  rookery mailbox revoke ada@example.org Team bob@example.org\n  rookery mailbox revoke ada@example.org Team bob@example.org te",
		Args:    cobra.RangeArgs(3, 4),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			change := adminapi.GrantChange{Mailbox: args[1], Identifier: args[2]}
			if len(args) > 3 {
				change.Rights = "-" + args[3]
			}
			if err := call("POST", aclPath(args[0]), change, nil); err != nil {
				return err
			}
			return o.say(cmd, "%s has them no more on %s of %s.", args[2], args[1], args[0])
		}),
	}
}
