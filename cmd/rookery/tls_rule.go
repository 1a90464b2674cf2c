package main

import (
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func tlsRuleCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "tls-rule", Short: "Domains that get mail over TLS only",
		Long: "Domains that get mail over TLS only, whatever they publish. Without a rule TLS is used where a host offers it, and must hold where\n" +
			"the domain says so by DANE or MTA-STS. A rule asks for more, never for less: mail that cannot go as it asks for waits, and\n" +
			"returns to its sender with the reason when its time is over.",
		Example: "  rookery tls-rule set partner.example --level verify --name .partner.example"}
	var level string
	var names []string
	set := &cobra.Command{
		Use: "set DOMAIN", Short: "Make or replace the rule for a domain, or for all below .DOMAIN",
		Long: "encrypt: TLS, with any certificate. It keeps out those who listen, not those who come between.\n" +
			"verify: a certificate from an authority that this system trusts, or that DANE names, for the host. With --name it has to be\n" +
			"from an authority, and for one of the names, .NAME being all below it: name them where DNS of the domain is not signed,\n" +
			"since without DNSSEC anybody on the way can say which the hosts are.",
		Example: "  rookery tls-rule set partner.example --level verify --name mx.partner.example\n  rookery tls-rule set .gov.example --level encrypt",
		Args:    cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("POST", "/v1/tls-rules", adminapi.TLSRule{Domain: args[0], Level: level, Names: names}, nil); err != nil {
				return err
			}
			return o.say(cmd, "Mail to %s goes over TLS only (%s).", args[0], level)
		}),
	}
	set.Flags().StringVar(&level, "level", "verify", "encrypt or verify")
	set.Flags().StringSliceVar(&names, "name", nil, "name that a certificate may be for; may be given several times")
	cmd.AddCommand(set, &cobra.Command{
		Use: "list", Short: "List the rules", Example: "  rookery tls-rule list", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var rules []adminapi.TLSRule
			if err := call("GET", "/v1/tls-rules", nil, &rules); err != nil {
				return err
			}
			return o.print(cmd, rules, func(p *printer) {
				p.row("DOMAIN", "LEVEL", "NAMES")
				for _, r := range rules {
					p.row(r.Domain, r.Level, strings.Join(r.Names, " "))
				}
			})
		}),
	}, &cobra.Command{
		Use: "remove DOMAIN", Short: "End a rule", Example: "  rookery tls-rule remove partner.example", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("DELETE", "/v1/tls-rules/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "There is no rule for %s any more.", args[0])
		}),
	})
	return cmd
}
