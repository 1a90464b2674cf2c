package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func queueCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "queue", Short: "Mail that waits to go to other domains",
		Long: "Mail that waits to go to other domains, of the whole cluster: any node answers. An entry is a message with the recipients\n" +
			"that are still open; its id is PARTITION-ENTRY. What became of mail that is gone says `rookery trace`.",
		Example: "  rookery queue summary\n  rookery queue list --domain example.com --older-than 2h\n  rookery queue retry --error 'try again later'"}
	cmd.AddCommand(queueList(o), queueShow(o), queueSummary(o),
		queueEdit(o, edit{action: "retry", done: "due at once", short: "Try entries again now, and ask their destinations whatever they said before",
			example: "rookery queue retry --domain example.com"}),
		queueEdit(o, edit{action: "hold", done: "held", short: "Keep entries from being tried until they are released", why: true,
			example: "rookery queue hold --account ada@example.org --why \"stolen password\""}),
		queueEdit(o, edit{action: "release", done: "released", short: "Let entries that are held be tried again",
			example: "rookery queue release --held --account ada@example.org"}),
		queueEdit(o, edit{action: "delete", done: "deleted", short: "Delete entries; nobody is told", ends: true,
			example: "rookery queue delete --sender '<>' --header 'Subject: (?i)out of office' --dry-run"}),
		queueEdit(o, edit{action: "bounce", done: "returned to their senders", short: "Give entries up now, with a report to their senders", why: true, ends: true,
			example: "rookery queue bounce 3-17 --why \"The domain does not exist any more\""}))
	return cmd
}

// filterFlags are the flags that say which entries are meant.
type filterFlags struct {
	filter    adminapi.QueueFilter
	olderThan time.Duration
	newerThan time.Duration
}

func (f *filterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.filter.Account, "account", "", "of this account")
	flags.StringVar(&f.filter.Sender, "sender", "", "from this address; * stands for any octets, '<>' is the null sender")
	flags.StringVar(&f.filter.Recipient, "recipient", "", "with this open recipient; * as above")
	flags.StringVar(&f.filter.Domain, "domain", "", "with an open recipient in this domain; * as above")
	flags.DurationVar(&f.olderThan, "older-than", 0, "that came longer ago, such as 2h")
	flags.DurationVar(&f.newerThan, "newer-than", 0, "that came since")
	flags.StringVar(&f.filter.Error, "error", "", "whose last reply matches a regular expression (RE2), such as '^4.. 4\\.7\\.1'")
	flags.BoolVar(&f.filter.Held, "held", false, "that are held")
	flags.StringVar(&f.filter.Header, "header", "", "with a header field that matches, such as 'Subject: (?i)invoice'")
	flags.StringVar(&f.filter.Body, "body", "", "whose text parts match a regular expression, in the first MiB of the message")
}

func (f *filterFlags) get(ids []string) adminapi.QueueFilter {
	f.filter.IDs, f.filter.OlderThan, f.filter.NewerThan = ids, f.olderThan.Seconds(), f.newerThan.Seconds()
	return f.filter
}

const filterHelp = "\nAll flags that are given have to match; --recipient, --domain and --error the same recipient."

func queueList(o *options) *cobra.Command {
	f := new(filterFlags)
	limit := 0
	cmd := &cobra.Command{
		Use: "list [ID...]", Short: "List what waits, the oldest first", Long: "List what waits, the oldest first." + filterHelp,
		Example: "  rookery queue list --domain example.com --error greylist --older-than 1h",
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var l adminapi.QueueListing
			if err := call("POST", "/v1/queue/list", adminapi.QueueQuery{Filter: f.get(args), Limit: limit}, &l); err != nil {
				return err
			}
			return o.print(cmd, l, func(p *printer) { printQueue(p, l) })
		}),
	}
	f.add(cmd)
	cmd.Flags().IntVar(&limit, "limit", 100, "of how many, up to 10,000")
	return cmd
}

func queueShow(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show an entry with its recipients, what was said of them and when they are tried next",
		Example: "  rookery queue show 3-17", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var e adminapi.QueueEntry
			if err := call("GET", "/v1/queue/"+url.PathEscape(args[0]), nil, &e); err != nil {
				return err
			}
			return o.print(cmd, e, func(p *printer) { printQueueEntry(p, e) })
		}),
	}
}

func queueSummary(o *options) *cobra.Command {
	f := new(filterFlags)
	limit := 0
	cmd := &cobra.Command{
		Use: "summary", Short: "What waits for which destination, how old it is, and what was said last",
		Long:    "What waits for which destination, how old it is, and what was said last." + filterHelp,
		Example: "  rookery queue summary\n  rookery queue summary --account ada@example.org", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var s adminapi.QueueSummary
			if err := call("POST", "/v1/queue/summary", f.get(nil), &s); err != nil {
				return err
			}
			return o.print(cmd, s, func(p *printer) { printQueueSummary(p, s, limit) })
		}),
	}
	f.add(cmd)
	cmd.Flags().IntVar(&limit, "limit", 50, "destinations that are shown")
	return cmd
}

// edit is a subcommand that does something to entries.
type edit struct {
	action, done, short, example string
	why                          bool // it takes a reason
	ends                         bool // entries are gone afterwards
}

func queueEdit(o *options, e edit) *cobra.Command {
	f := new(filterFlags)
	var in adminapi.QueueEdit
	var yes bool
	cmd := &cobra.Command{
		Use: e.action + " [ID...]", Short: e.short,
		Long: e.short + ".\n\nName entries by their ids, or say which by a filter. The filter is evaluated once, then what was found is edited;\n" +
			"an entry that is gone by then is passed over, and recipients that are being tried at that moment are left to it." + filterHelp,
		Example: "  " + e.example,
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			in.Action, in.Filter = e.action, f.get(args)
			if e.ends && len(args) == 0 && !in.DryRun && !yes {
				return fmt.Errorf("this ends all entries that match: see which with --dry-run, then repeat it with --yes")
			}
			var out adminapi.QueueEdited
			if err := call("POST", "/v1/queue/edit", in, &out); err != nil {
				return err
			}
			if err := o.print(cmd, out, func(p *printer) { printQueueEdited(p, e, in.DryRun, out) }); err != nil {
				return err
			}
			if len(out.Problems) > 0 {
				return errors.New("not all of the queue was reached: repeat it, what is done is passed over")
			}
			return nil
		}),
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&in.All, "all", false, "all entries, where no filter is given")
	cmd.Flags().BoolVar(&in.DryRun, "dry-run", false, "only show which entries match")
	if e.why {
		cmd.Flags().StringVar(&in.Why, "why", "", "the reason, for those who look at the queue later; of a bounce the sender reads it")
	}
	if e.ends {
		cmd.Flags().BoolVar(&yes, "yes", false, "really do it to all that match")
	}
	return cmd
}

func printQueueEdited(p *printer, e edit, dry bool, out adminapi.QueueEdited) {
	if dry {
		for _, id := range out.IDs {
			p.line("%s", id)
		}
		if more := out.Matched - len(out.IDs); more > 0 {
			p.line("… and %d more", more)
		}
		p.line("%d entries match; nothing was done.", out.Matched)
	} else {
		p.line("%d entries matched, %d are %s.", out.Matched, out.Changed, e.done)
	}
	printProblems(p, out.Problems)
}

func printProblems(p *printer, problems []string) {
	for _, text := range problems {
		p.line("! %s", strings.ReplaceAll(text, "\n", " "))
	}
}
