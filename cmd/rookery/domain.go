package main

import (
	"net/url"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func domainCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "domain", Short: "Mail domains", Example: "  rookery domain add example.org"}
	var catchAll string
	add := &cobra.Command{
		Use: "add NAME", Short: "Accept mail for a domain", Example: "  rookery domain add example.org --catch-all office@example.org",
		Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			d := adminapi.Domain{Name: args[0], CatchAll: catchAll}
			if err := call("POST", "/v1/domains", d, nil); err != nil {
				return err
			}
			return o.say(cmd, "Domain %s is served.", args[0])
		}),
	}
	add.Flags().StringVar(&catchAll, "catch-all", "", "address that gets what no other address takes")
	cmd.AddCommand(mtaSTSCommand(o), tlsReportsToCommand(o), dmarcReportsToCommand(o))
	cmd.AddCommand(add, &cobra.Command{
		Use: "list", Short: "List the domains", Example: "  rookery domain list", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var domains []adminapi.Domain
			if err := call("GET", "/v1/domains", nil, &domains); err != nil {
				return err
			}
			return o.print(cmd, domains, func(p *printer) {
				p.row("DOMAIN", "CATCH-ALL")
				for _, d := range domains {
					p.row(d.Name, d.CatchAll)
				}
			})
		}),
	}, &cobra.Command{
		Use: "delete NAME", Short: "Stop accepting mail for a domain without accounts", Example: "  rookery domain delete example.net",
		Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("DELETE", "/v1/domains/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "Domain %s is no longer served.", args[0])
		}),
	})
	return cmd
}
