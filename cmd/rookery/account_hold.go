package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// accountHold has what an account sends to other domains wait.
func accountHold(o *options) *cobra.Command {
	var h adminapi.SendingHold
	cmd := &cobra.Command{
		Use: "hold ADDRESS", Short: "Hold what an account sends to other domains",
		Long: "Hold what an account sends to other domains: it is taken from its user, and waits until the account is released. " +
			"What waits already is held when it is to be tried. Mail to users here, and what aliases send on, goes its way.",
		Example: "  rookery account hold ada@example.org --why \"her password was stolen\"",
		Args:    cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("POST", accountPath(args[0])+"/hold", h, nil); err != nil {
				return err
			}
			return o.say(cmd, "What %s sends to other domains is held.", args[0])
		}),
	}
	cmd.Flags().StringVar(&h.Why, "why", "", "a reason, which `rookery account show` and `rookery queue list` tell")
	return cmd
}

// accountRelease lets an account send again.
func accountRelease(o *options) *cobra.Command {
	var r adminapi.SendingRelease
	cmd := &cobra.Command{
		Use: "release ADDRESS", Short: "Let an account send to other domains again, with what was held",
		Long: "Let an account send to other domains again, whoever held it. What was held with it is sent, or deleted without reports. " +
			"What the account sends is counted anew.",
		Example: "  rookery account release ada@example.org\n  rookery account release ada@example.org --delete-held",
		Args:    cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var done adminapi.SendingReleased
			if err := call("POST", accountPath(args[0])+"/release", r, &done); err != nil {
				return err
			}
			return o.print(cmd, done, func(p *printer) { p.line("%s", released(args[0], r, done)) })
		}),
	}
	cmd.Flags().BoolVar(&r.DeleteHeld, "delete-held", false, "delete what was held instead of sending it")
	return cmd
}

func released(address string, r adminapi.SendingRelease, done adminapi.SendingReleased) string {
	text := address + " may send to other domains again"
	if !done.Was {
		text = address + " was not held"
	}
	what := "sent"
	if r.DeleteHeld {
		what = "deleted"
	}
	return fmt.Sprintf("%s; %d messages that waited are %s.", text, done.Entries, what)
}

// printSending shows what an account has sent lately.
func printSending(p *printer, s *adminapi.Sending) {
	if s == nil {
		return
	}
	if s.Held {
		p.row("held", fmt.Sprintf("since %s, %d messages: %s", s.Since.Format(time.RFC3339), s.HeldMessages, s.Why))
	}
	p.row("sent to other domains", fmt.Sprintf("%d messages this hour; today %d recipients, %d of them new, %d refused", s.Messages, s.Recipients, s.Strangers, s.Rejections))
}
