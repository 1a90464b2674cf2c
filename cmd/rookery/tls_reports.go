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
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

func tlsReportsCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "tls-reports", Short: "What others report about TLS with the hosts of a domain (TLS-RPT)",
		Long: "Other mail hosts report once a day how TLS with yours went (RFC 8460), to the address that `rookery dns` has in DNS. The\n" +
			"reports are read as they come, and kept for 60 days. Anybody can send one: they say where to look, and prove nothing.",
		Example: "  rookery tls-reports list --failures\n  rookery tls-reports show example.org/2026-11-20/0a1b2c3d4e5f",
	}
	cmd.AddCommand(tlsReportsList(o), tlsReportsShow(o), tlsReportsImport(o))
	return cmd
}

func tlsReportsList(o *options) *cobra.Command {
	var domain string
	var failures bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the reports", Example: "  rookery tls-reports list --domain example.org --failures", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var all []adminapi.TLSReport
			if err := call("GET", "/v1/tls-reports?domain="+url.QueryEscape(domain), nil, &all); err != nil {
				return err
			}
			list := []adminapi.TLSReport{}
			for _, r := range all {
				if !failures || r.Bad > 0 {
					list = append(list, r)
				}
			}
			return o.print(cmd, list, func(p *printer) {
				p.row("DAY", "DOMAIN", "BY", "GOOD", "FAILED", "NAME")
				for _, r := range list {
					p.row(r.Day, r.Domain, r.Organization, r.Good, r.Bad, r.Name)
				}
			})
		}),
	}
	cmd.Flags().StringVar(&domain, "domain", "", "only those about a domain")
	cmd.Flags().BoolVar(&failures, "failures", false, "only those that tell of failures")
	return cmd
}

func tlsReportsShow(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a report", Example: "  rookery tls-reports show example.org/2026-11-20/0a1b2c3d4e5f", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var r adminapi.TLSReportText
			var parts []string
			for _, p := range strings.Split(args[0], "/") {
				parts = append(parts, url.PathEscape(p))
			}
			if err := call("GET", "/v1/tls-reports/"+strings.Join(parts, "/"), nil, &r); err != nil {
				return err
			}
			return o.print(cmd, r, func(p *printer) { printTLSReport(p, r) })
		}),
	}
}

func printTLSReport(p *printer, r adminapi.TLSReportText) {
	p.line("%s about %s, %s to %s", r.Organization, r.Domain, r.Report.Range.Start.Format(time.RFC3339), r.Report.Range.End.Format(time.RFC3339))
	p.line("Report %s, received %s by %s; contact %s", r.ID, r.Received.Format(time.RFC3339), r.How, r.Report.Contact)
	for _, policy := range r.Report.Policies {
		p.line("\nPolicy %s: %d sessions as they should be, %d failed", policy.Policy.Type, policy.Summary.Good, policy.Summary.Bad)
		for _, text := range policy.Policy.Text {
			p.line("  %s", text)
		}
		if len(policy.Failures) > 0 {
			p.row("SESSIONS", "WHY", "HOST", "ADDRESS", "FROM", "MORE")
		}
		for _, f := range policy.Failures {
			p.row(f.Sessions, f.Failure, f.Host, f.Receiving, f.Sending, strings.TrimSpace(f.Reason+" "+f.More))
		}
	}
}

func tlsReportsImport(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "import FILE...", Short: "Take reports from files: JSON, gzip, or mails with them",
		Example: "  rookery tls-reports import google.com!example.org!1795132800!1795219199!001.json.gz", Args: cobra.MinimumNArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			all := adminapi.TLSReportNames{Names: []string{}}
			for _, name := range args {
				data, err := readReport(name)
				if err != nil {
					return err
				}
				var got adminapi.TLSReportNames
				if err := call("POST", "/v1/tls-reports", adminapi.TLSReportImport{Data: data}, &got); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				all.Names = append(all.Names, got.Names...)
			}
			return o.print(cmd, all, func(p *printer) {
				for _, name := range all.Names {
					p.line("Kept as %s", name)
				}
			})
		}),
	}
}

// readReport reads a report in any form, and packs it.
func readReport(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, tlsrpt.MaxReport+1))
	if err != nil {
		return nil, err
	}
	r, err := tlsrpt.Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return tlsrpt.Pack(r)
}
