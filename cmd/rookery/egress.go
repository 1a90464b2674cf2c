package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func egressCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "egress", Short: "Which addresses mail to other domains leaves by",
		Long: "Which addresses of which nodes mail to other domains leaves by, under which names, with warm-up and with what receivers think of them.\n" +
			"Without any, each node sends by the address that its system picks.",
		Example: "  rookery egress set 192.0.2.20 --node n1 --hello out1.example.org --warm-up default\n  rookery egress sites"}
	cmd.AddCommand(egressListCommand(o), egressSetCommand(o), egressSitesCommand(o),
		egressVerb(o, "remove", "Have mail no longer leave by an address", "DELETE", "", "Mail does not leave by %s any more."),
		egressVerb(o, "pause", "Stop mail from leaving by an address for now", "POST", "/pause", "Mail does not leave by %s for now."),
		egressVerb(o, "resume", "Let mail leave by an address again", "POST", "/resume", "Mail leaves by %s again."),
		&cobra.Command{
			Use: "unblock ADDRESS RECEIVER", Short: "Send to a receiver again that blocked an address",
			Long:    "Send to a receiver again that blocked an address, before its time: as when the receiver says that it has removed the block. RECEIVER is the domain of its hosts, as in the list.",
			Example: "  rookery egress unblock 192.0.2.20 outlook.com", Args: cobra.ExactArgs(2),
			RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
				if err := call("DELETE", "/v1/egress/"+url.PathEscape(args[0])+"/blocks/"+url.PathEscape(args[1]), nil, nil); err != nil {
					return err
				}
				return o.say(cmd, "%s is sent to from %s again.", args[1], args[0])
			}),
		})
	return cmd
}

// egressVerb is a subcommand that does one thing to an address.
func egressVerb(o *options, verb, short, method, path, said string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ADDRESS", Short: short, Example: "  rookery egress " + verb + " 192.0.2.20", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call(method, "/v1/egress/"+url.PathEscape(args[0])+path, nil, nil); err != nil {
				return err
			}
			return o.say(cmd, said, args[0])
		}),
	}
}

func egressSetCommand(o *options) *cobra.Command {
	var e adminapi.Egress
	var from string
	cmd := &cobra.Command{
		Use: "set ADDRESS", Short: "Have mail leave by an address of a node, or change how",
		Long: "Have mail leave by an address of a node, or change how: what is not given stays. The node has to have the address; its PTR record should be the name in EHLO.\n" +
			"A warm-up bounds the messages a day to each receiver: default is 35 days from 50 to 400,000.",
		Example: "  rookery egress set 192.0.2.20 --node n1 --hello out1.example.org --warm-up default\n" +
			"  rookery egress set 192.0.2.20 --warm-up 50,100,200,400 --warm-from 2026-12-01\n  rookery egress set 192.0.2.20 --warm-up none --weight 3",
		Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			e.Address = args[0]
			if from != "" {
				day, err := time.Parse(time.DateOnly, from)
				if err != nil {
					return fmt.Errorf("--warm-from %q: use a day such as 2026-12-01", from)
				}
				e.WarmFrom = day
			}
			if err := call("POST", "/v1/egress", e, nil); err != nil {
				return err
			}
			return o.say(cmd, "Mail leaves by %s.", e.Address)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&e.Node, "node", "", "that has the address")
	f.StringVar(&e.Hello, "hello", "", "name in EHLO (default: the node's smtp.hostname)")
	f.StringVar(&e.WarmUp, "warm-up", "", "default, none, or messages a day apart by commas")
	f.StringVar(&from, "warm-from", "", "first day of the warm-up, UTC (default today)")
	f.Uint32Var(&e.Weight, "weight", 0, "share among addresses (default 1)")
	return cmd
}

func egressListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the addresses, their warm-up, and who blocks them", Example: "  rookery egress list", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var list []adminapi.Egress
			if err := call("GET", "/v1/egress", nil, &list); err != nil {
				return err
			}
			return o.print(cmd, list, func(p *printer) { printEgress(p, list) })
		}),
	}
}

func printEgress(p *printer, list []adminapi.Egress) {
	p.row("ADDRESS", "NODE", "HELLO", "WEIGHT", "STATE", "WARM-UP")
	for _, e := range list {
		state, warm := "in use", "-"
		if e.Paused {
			state = "paused"
		}
		if e.WarmDay != 0 {
			warm = fmt.Sprintf("day %d of %d: %d to each receiver", e.WarmDay, e.WarmDays, e.Today)
		}
		p.row(e.Address, e.Node, orElse(e.Hello, "-"), e.Weight, state, warm)
	}
	for _, e := range list {
		for _, v := range e.Volumes {
			p.line("%s to %s today: %d given out", e.Address, v.Site, v.Taken)
		}
		for _, b := range e.Blocks {
			p.line("! %s is blocked by %s until %s (%d times since %s): %s", e.Address, b.Site, b.Until.Format(time.RFC3339), b.Times, b.Since.Format(time.RFC3339), b.Reply)
		}
	}
}

func egressSitesCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "sites [RECEIVER]", Short: "List the receivers: what they are sent at a time, what waits, what they said last",
		Long: "List the receivers, named by the domain of their mail hosts, as each node that sends knows them: attempts that go on and that may, as learned;\n" +
			"messages a minute; until when they are left alone; recipients since the node began, and those that wait. Limits: the setting receiver_limits.",
		Example: "  rookery egress sites\n  rookery egress sites google.com --json", Args: cobra.MaximumNArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var all, list []adminapi.Site
			if err := call("GET", "/v1/sites", nil, &all); err != nil {
				return err
			}
			for _, s := range all {
				if len(args) == 0 || s.Site == strings.ToLower(args[0]) {
					list = append(list, s)
				}
			}
			return o.print(cmd, list, func(p *printer) {
				p.row("RECEIVER", "NODE", "ATTEMPTS", "A MINUTE", "WAITING", "DELIVERED", "DEFERRED", "FAILED", "LEFT ALONE", "LAST TROUBLE")
				for _, s := range list {
					p.row(s.Site, s.Node, fmt.Sprintf("%d of %d", s.Attempts, s.Most), rate(s.Rate), s.Waiting, s.Delivered, s.Deferred, s.Failed, leftAlone(s.ClosedUntil), orElse(cutShort(s.Last), "-"))
				}
			})
		}),
	}
}

func rate(n int) string {
	if n == 0 {
		return "any"
	}
	return fmt.Sprint(n)
}

func leftAlone(until time.Time) string {
	if left := time.Until(until); left > 0 {
		return "for " + left.Round(time.Second).String()
	}
	return "-"
}

// cutShort is a reply as it fits a row.
func cutShort(s string) string {
	s = strings.ReplaceAll(s, "\n", " ")
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
