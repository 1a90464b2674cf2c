package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func dnsblCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "dnsbl", Short: "Lists in DNS that clients of port 25 are looked up in",
		Long: "Lists in DNS that clients of port 25 are looked up in, all at once and before they are greeted. Each answer has a score: above zero it speaks against\n" +
			"the client, below zero for it. From the sum of the setting dnsbl_refuse on, recipients are refused; below it counts with all else that is known of a message.\n" +
			"There are none at first: read the terms of a list before you add it. Lists that you pay for, and most free ones, do not answer by way of public resolvers.",
		Example: "  rookery dnsbl add bl.example.net --codes \"127.0.0.2=6 127.0.0.0/24=3\"\n  rookery dnsbl test 192.0.2.7"}
	cmd.AddCommand(dnsblListCommand(o), dnsblAddCommand(o), dnsblTestCommand(o), &cobra.Command{
		Use: "remove ZONE", Short: "Ask a list no more", Example: "  rookery dnsbl remove bl.example.net", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("DELETE", "/v1/dns-lists/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "%s is not asked any more.", args[0])
		}),
	})
	return cmd
}

func dnsblListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the lists, with what they did for this node since it began", Example: "  rookery dnsbl list", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var lists []adminapi.DNSList
			if err := call("GET", "/v1/dns-lists", nil, &lists); err != nil {
				return err
			}
			return o.print(cmd, lists, func(p *printer) {
				p.row("ZONE", "STATE", "ASKED", "LISTED", "NO ANSWER", "REFUSED", "CODES")
				for _, l := range lists {
					p.row(l.Zone, listState(l), l.Asked, l.Listed, l.Failed, l.Refused, l.Codes)
				}
			})
		}),
	}
}

// listState says whether a list is of use.
func listState(l adminapi.DNSList) string {
	switch {
	case l.Off:
		return "off"
	case !l.RefusedAt.IsZero():
		return "refused us " + l.RefusedAt.Local().Format(time.DateTime)
	}
	return "on"
}

func dnsblAddCommand(o *options) *cobra.Command {
	var l adminapi.DNSList
	var score float64
	cmd := &cobra.Command{
		Use: "add ZONE", Short: "Make or replace a list",
		Long: "Make or replace a list. Codes are what its answers are worth: ADDRESS=SCORE, NETWORK=SCORE, of which the narrowest counts, or &BITS=SCORE for lists whose answers\n" +
			"are sums of bits. Answers in 127.255.255.0/24 are how lists say that they do not answer you; they never count.",
		Example: "  rookery dnsbl add bl.example.net --score 4\n  rookery dnsbl add zen.example.net --codes \"127.0.0.2=6 127.0.0.10/31=3\"\n  rookery dnsbl add wl.example.net --codes \"127.0.0.0/16=-1 127.0.0.3=-4\"",
		Args:    cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if l.Zone = args[0]; (l.Codes == "") == (score == 0) {
				return fmt.Errorf("give either --codes or --score")
			}
			if score != 0 {
				l.Codes = fmt.Sprintf("127.0.0.0/8=%g", score)
			}
			l.Codes = strings.ReplaceAll(l.Codes, ",", " ")
			if err := call("POST", "/v1/dns-lists", l, nil); err != nil {
				return err
			}
			return o.say(cmd, "%s is asked about clients.", l.Zone)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&l.Codes, "codes", "", "what its answers are worth")
	f.Float64Var(&score, "score", 0, "what any of its answers is worth")
	f.BoolVar(&l.Off, "off", false, "keep it, but do not ask it")
	return cmd
}

func dnsblTestCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "test ADDRESS", Short: "Ask all lists about an address now", Example: "  rookery dnsbl test 192.0.2.7\n  rookery dnsbl test 127.0.0.2   # is listed by every list that works", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var answers []adminapi.DNSListAnswer
			if err := call("GET", "/v1/dns-lists-test/"+url.PathEscape(args[0]), nil, &answers); err != nil {
				return err
			}
			return o.print(cmd, answers, func(p *printer) {
				p.row("ZONE", "RESULT", "SCORE", "CODES")
				for _, a := range answers {
					p.row(a.Zone, a.Result, a.Score, orElse(strings.Join(a.Codes, " "), "-"))
				}
			})
		}),
	}
}
