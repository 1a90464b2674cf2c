package main

import (
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func domainMailPath(domain string) string { return "/v1/domains/" + url.PathEscape(domain) + "/mail" }

func mtaSTSCommand(o *options) *cobra.Command {
	var mode string
	var age time.Duration
	var hosts []string
	cmd := &cobra.Command{
		Use: "mta-sts NAME", Short: "Show or set the policy about TLS that a domain serves (MTA-STS)",
		Long: "Shows the MTA-STS policy (RFC 8461) that nodes with [https] in their rookery.toml serve for a domain, or changes\n" +
			"it. Others that hold it in mode enforce deliver only to its hosts, and only over TLS with a certificate that is valid\n" +
			"for them: begin with testing, and read `rookery tls-reports list`. To end it, serve none until max_age is over, and\n" +
			"then off. The record in DNS changes with it: `rookery dns NAME` has it.",
		Example: "  rookery domain mta-sts example.org\n  rookery domain mta-sts example.org --mode enforce --max-age 720h\n" +
			"  rookery domain mta-sts example.org --mx mx1.example.org --mx '*.backup.example'",
		Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var c adminapi.DomainMailChange
			method, in := "GET", any(nil)
			if cmd.Flags().Changed("mode") {
				c.Mode = &mode
			}
			if cmd.Flags().Changed("max-age") {
				seconds := uint64(max(0, age/time.Second))
				c.MaxAge = &seconds
			}
			if cmd.Flags().Changed("mx") {
				c.MX = &hosts
			}
			if c != (adminapi.DomainMailChange{}) {
				method, in = "PATCH", c
			}
			var m adminapi.DomainMail
			if err := call(method, domainMailPath(args[0]), in, &m); err != nil {
				return err
			}
			return o.print(cmd, m, func(p *printer) { printPolicy(p, m) })
		}),
	}
	cmd.Flags().StringVar(&mode, "mode", "", "none, testing, enforce, or off to serve no policy")
	cmd.Flags().DurationVar(&age, "max-age", 0, "for how long others may keep the policy, 1h to 8766h (default 168h)")
	cmd.Flags().StringSliceVar(&hosts, "mx", nil, "hosts that take the domain's mail, in place of the nodes; one empty value goes back to those")
	return cmd
}

func printPolicy(p *printer, m adminapi.DomainMail) {
	if m.Policy == "" {
		p.line("No policy is served for %s.", m.Domain)
		return
	}
	p.line("https://mta-sts.%s/.well-known/mta-sts.txt", m.Domain)
	p.line("%s", m.Policy)
	p.line("In DNS: _mta-sts.%s. TXT \"v=STSv1; id=%s\"", m.Domain, m.ID)
	if len(m.Serving) == 0 {
		p.line("This node does not serve it: it has no listener under [https] in its rookery.toml.")
	}
}

func tlsReportsToCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "tls-reports-to NAME ADDRESS", Short: "Set whom others are to tell about TLS with a domain (TLS-RPT)",
		Long: "Sets the address that `rookery dns` proposes for TLS reports (RFC 8460). Without one it is tls-reports@NAME, which\n" +
			"the postmaster gets where nobody else has it. Reports that come to it are read: `rookery tls-reports list`. An\n" +
			"empty address goes back to that.",
		Example: "  rookery domain tls-reports-to example.org reports@example.org\n  rookery domain tls-reports-to example.org ''",
		Args:    cobra.ExactArgs(2),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var m adminapi.DomainMail
			if err := call("PATCH", domainMailPath(args[0]), adminapi.DomainMailChange{TLSReportsTo: &args[1]}, &m); err != nil {
				return err
			}
			return o.print(cmd, m, func(p *printer) {
				p.line("TLS reports about %s go to %s, once DNS says so: rookery dns %s", m.Domain, m.TLSReportsTo, args[0])
			})
		}),
	}
}
