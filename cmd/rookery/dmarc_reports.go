package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/dmarcreport"
)

func dmarcReportsCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "dmarc-reports", Short: "What others report about mail in a domain's name (DMARC)",
		Long: "Other mail hosts report once a day what came to them that shows your domain as its author's (RFC 7489): from which\n" +
			"addresses, how often, and whether it passed. They write to the address that `rookery dns` has in DNS. The reports are read\n" +
			"as they come, and kept for 60 days. Anybody can send one: they say where to look, and prove nothing.",
		Example: "  rookery dmarc-reports list --failures\n  rookery dmarc-reports show example.org/2026-11-20/0a1b2c3d4e5f",
	}
	cmd.AddCommand(dmarcReportsList(o), dmarcReportsShow(o), dmarcReportsImport(o))
	return cmd
}

func dmarcReportsList(o *options) *cobra.Command {
	var domain string
	var failures bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the reports", Example: "  rookery dmarc-reports list --domain example.org --failures", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var all []adminapi.DMARCReport
			if err := call("GET", "/v1/dmarc-reports?domain="+url.QueryEscape(domain), nil, &all); err != nil {
				return err
			}
			list := []adminapi.DMARCReport{}
			for _, r := range all {
				if !failures || r.Passed < r.Messages {
					list = append(list, r)
				}
			}
			return o.print(cmd, list, func(p *printer) {
				p.row("DAY", "DOMAIN", "BY", "PASSED", "FAILED", "NAME")
				for _, r := range list {
					p.row(r.Day, r.Domain, r.Organization, r.Passed, r.Messages-r.Passed, r.Name)
				}
			})
		}),
	}
	cmd.Flags().StringVar(&domain, "domain", "", "only those about a domain")
	cmd.Flags().BoolVar(&failures, "failures", false, "only those that tell of mail that did not pass")
	return cmd
}

func dmarcReportsShow(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a report", Example: "  rookery dmarc-reports show example.org/2026-11-20/0a1b2c3d4e5f", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var r adminapi.DMARCReportText
			var parts []string
			for _, p := range strings.Split(args[0], "/") {
				parts = append(parts, url.PathEscape(p))
			}
			if err := call("GET", "/v1/dmarc-reports/"+strings.Join(parts, "/"), nil, &r); err != nil {
				return err
			}
			return o.print(cmd, r, func(p *printer) { printDMARCReport(p, r) })
		}),
	}
}

func printDMARCReport(p *printer, r adminapi.DMARCReportText) {
	p.line("%s about %s, %s to %s", r.Organization, r.Domain, r.Report.Begin.Format(time.RFC3339), r.Report.End.Format(time.RFC3339))
	p.line("Report %s, received %s by %s; contact %s", r.ID, r.Received.Format(time.RFC3339), r.How, r.Report.Contact)
	p.line("It found the policy p=%s; %d of %d messages passed.", r.Report.Policy.Policy, r.Passed, r.Messages)
	for _, e := range r.Report.Errors {
		p.line("It met an error: %s", e)
	}
	p.line("")
	p.row("MESSAGES", "FROM ADDRESS", "AUTHOR", "DKIM", "SPF", "DONE", "WHY")
	for _, row := range r.Report.Rows {
		p.row(row.Count, row.Source, row.From, row.DKIM, row.SPF, row.Disposition, whyRow(row))
	}
	if r.Report.Left.Messages > 0 {
		p.line("And %d more, of which %d passed.", r.Report.Left.Messages, r.Report.Left.Passed)
	}
}

// whyRow says what DKIM and SPF came to for which domains, and why the policy was not followed.
func whyRow(row dmarcreport.Row) string {
	var words []string
	for _, c := range row.Signatures {
		words = append(words, "dkim="+c.Result+" "+c.Domain)
	}
	for _, c := range row.Senders {
		words = append(words, "spf="+c.Result+" "+c.Domain)
	}
	for _, c := range row.Reasons {
		words = append(words, strings.TrimSpace(c.Type+" "+c.Comment))
	}
	return strings.Join(words, ", ")
}

func dmarcReportsImport(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "import FILE...", Short: "Take reports from files: XML, gzip, zip, or mails with them",
		Example: "  rookery dmarc-reports import big.example!example.org!1795132800!1795219199.xml.gz", Args: cobra.MinimumNArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			all := []adminapi.DMARCReportName{}
			for _, name := range args {
				data, err := readDMARCReport(name)
				if err != nil {
					return err
				}
				var got adminapi.DMARCReportName
				if err := call("POST", "/v1/dmarc-reports", adminapi.DMARCReportImport{Data: data}, &got); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				all = append(all, got)
			}
			return o.print(cmd, all, func(p *printer) {
				for _, one := range all {
					p.line("Kept as %s", one.Name)
				}
			})
		}),
	}
}

// readDMARCReport reads a report in any form, and packs it.
func readDMARCReport(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 2*dmarcreport.MaxPacked))
	if err != nil {
		return nil, err
	}
	r, err := dmarcreport.Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r.PackXML()
}

func dmarcReportsToCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "dmarc-reports-to NAME ADDRESS", Short: "Set whom others are to tell about mail in a domain's name (DMARC)",
		Long: "Sets the address that `rookery dns` proposes for aggregate reports about DMARC (rua, RFC 7489). Without one it is\n" +
			"dmarc-reports@NAME, which the postmaster gets where nobody else has it. Reports that come to it are read:\n" +
			"`rookery dmarc-reports list`. An empty address goes back to that.",
		Example: "  rookery domain dmarc-reports-to example.org reports@example.org\n  rookery domain dmarc-reports-to example.org ''",
		Args:    cobra.ExactArgs(2),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var m adminapi.DomainMail
			if err := call("PATCH", domainMailPath(args[0]), adminapi.DomainMailChange{DMARCReportsTo: &args[1]}, &m); err != nil {
				return err
			}
			return o.print(cmd, m, func(p *printer) {
				p.line("Reports about mail in the name of %s go to %s, once DNS says so: rookery dns %s", m.Domain, m.DMARCReportsTo, args[0])
			})
		}),
	}
}
