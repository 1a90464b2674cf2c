package main

import (
	"errors"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/zone"
)

func dnsCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "dns DOMAIN", Short: "Print the DNS records that a domain has to publish",
		Long: "Prints the records of a mail domain as lines of a zone file: MX, SPF, DKIM, DMARC, MTA-STS, TLS-RPT, TLSA, services for\n" +
			"mail clients, and the names that addresses should have. `rookery dns check` compares them with what DNS has now.",
		Example: "  rookery dns example.org >> example.org.zone\n  rookery dns check example.org",
		Args:    cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var r adminapi.DNSRecords
			if err := call("GET", "/v1/domains/"+url.PathEscape(args[0])+"/dns", nil, &r); err != nil {
				return err
			}
			return o.print(cmd, r, func(p *printer) {
				for _, note := range r.Notes {
					p.line("; Note: %s", note)
				}
				p.line("%s", strings.TrimSuffix(r.Snippet, "\n"))
			})
		}),
	}
	cmd.AddCommand(&cobra.Command{
		Use: "check DOMAIN", Short: "Compare a domain's DNS records with what they should be",
		Long: "Asks DNS for the records of a mail domain, fetches its MTA-STS policy as others do, and says what is right, missing or\n" +
			"different, and what to do. The exit code is 1 where mail suffers by it, and 2 where nothing is known to be wrong but\n" +
			"not everything that matters could be compared. The node asks the resolvers under [outbound] in its rookery.toml, or\n" +
			"the system's.",
		Example: "  rookery dns check example.org",
		Args:    cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var r adminapi.DNSCheck
			if err := call("GET", "/v1/domains/"+url.PathEscape(args[0])+"/dns/check", nil, &r); err != nil {
				return err
			}
			if err := o.print(cmd, r, func(p *printer) { printFindings(p, r) }); err != nil {
				return err
			}
			switch {
			case r.Wrong:
				return exitError{1, errors.New("mail for or from " + r.Domain + " suffers by what DNS says")}
			case r.Unsure:
				return exitError{2, errors.New("not everything that matters could be compared")}
			}
			return nil
		}),
	})
	return cmd
}

func printFindings(p *printer, r adminapi.DNSCheck) {
	p.row("STATE", "WHAT", "NAME", "TYPE")
	for _, f := range r.Findings {
		state := string(f.State)
		if f.Wrong() {
			state = strings.ToUpper(state)
		}
		p.row(state, f.Role, f.Name, f.Type)
	}
	for _, f := range r.Findings {
		if f.State == zone.OK {
			continue
		}
		p.line("")
		p.line("%s %s %s: %s", f.State, f.Name, f.Type, f.About)
		for _, d := range f.Found {
			p.line("  DNS has: %s", d)
		}
		if f.Do != "" {
			p.line("  %s", f.Do)
		}
	}
	for _, note := range r.Notes {
		p.line("Note: %s", note)
	}
}
