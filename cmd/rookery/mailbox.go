package main

import (
	"fmt"
	"mime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func mailboxCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "mailbox", Short: "The mailboxes of accounts: what was deleted, and who has rights on them",
		Example: "  rookery mailbox undelete ada@example.org --dry-run\n  rookery mailbox acl ada@example.org INBOX"}
	cmd.AddCommand(mailboxUndelete(o), mailboxACL(o), mailboxGrant(o), mailboxRevoke(o))
	return cmd
}

func mailboxUndelete(o *options) *cobra.Command {
	var u adminapi.Undelete
	var since, until string
	cmd := &cobra.Command{
		Use: "undelete ADDRESS", Short: "Bring back expunged messages and those of deleted mailboxes",
		Long: "Expunged messages are kept for as many days as the setting undelete_days says. They come back\n" +
			"as new messages, into the mailbox they were expunged from, which is made where it is missing.\n" +
			"The account's quota must have room for them.",
		Example: "  rookery mailbox undelete ada@example.org --dry-run\n" +
			"  rookery mailbox undelete ada@example.org --mailbox INBOX --since 2026-11-20T08:00:00Z",
		Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var err error
			if u.Since, err = moment("--since", since); err != nil {
				return err
			}
			if u.Until, err = moment("--until", until); err != nil {
				return err
			}
			var out adminapi.Undeleted
			if err := call("POST", accountPath(args[0])+"/undelete", u, &out); err != nil {
				return err
			}
			return o.print(cmd, out, func(p *printer) { printUndeleted(p, u.DryRun, out) })
		}),
	}
	f := cmd.Flags()
	f.StringVar(&u.Mailbox, "mailbox", "", "only what was expunged from this mailbox")
	f.StringVar(&since, "since", "", "only what was expunged then or later, as 2026-11-20 or 2026-11-20T08:00:00Z")
	f.StringVar(&until, "until", "", "only what was expunged before")
	f.StringVar(&u.MessageID, "message-id", "", "only messages with this Message-ID")
	f.StringVar(&u.To, "to", "", "the mailbox they come to; default: each where it was")
	f.BoolVar(&u.DryRun, "dry-run", false, "only list them")
	return cmd
}

// moment reads a day, which begins at midnight UTC, or a moment (RFC 3339). Empty is the zero time.
func moment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s %q: write a day as 2026-11-20 or a moment as 2026-11-20T08:00:00Z", flag, text)
}

func printUndeleted(p *printer, dry bool, out adminapi.Undeleted) {
	if !dry {
		p.line("%d messages came back.", out.Messages)
		return
	}
	if len(out.List) > 0 {
		p.row("EXPUNGED", "MAILBOX", "BYTES", "MESSAGE-ID", "SUBJECT")
	}
	for _, m := range out.List {
		p.row(m.Expunged.Format(time.RFC3339), m.Mailbox, m.Size, plain(m.MessageID), plain(subject(m.Subject)))
	}
	p.line("%d messages can come back.", out.Messages)
}

// subject decodes a Subject field (RFC 2047); one that is not well formed stays as it is.
func subject(raw string) string {
	if decoded, err := new(mime.WordDecoder).DecodeHeader(raw); err == nil {
		return decoded
	}
	return raw
}

// plain leaves out of a sender's text what a terminal would act on.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
