package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/dmarcreport"
	"github.com/rookery-mail/rookery/mta/reportbox"
)

var _ adminapi.DMARCReports = (*Node)(nil)

// DMARCReports implements adminapi.DMARCReports.
func (n *Node) DMARCReports(_ context.Context, domain string) ([]adminapi.DMARCReport, error) {
	out := []adminapi.DMARCReport{}
	err := n.view(func(v directory.View) error {
		if domain != "" {
			d, err := v.Domain(domain)
			if err != nil {
				return err
			}
			domain = d.Name
		}
		list, err := reportbox.ListDMARC(v, domain)
		for _, k := range list {
			out = append(out, dmarcReportOf(k))
		}
		return err
	})
	return out, err
}

func dmarcReportOf(k reportbox.KeptDMARC) adminapi.DMARCReport {
	return adminapi.DMARCReport{Name: k.Name, Domain: k.Domain, Day: k.Day, Organization: k.Organization, ID: k.ID, How: k.How,
		Received: k.Received, Messages: k.Total.Messages, Passed: k.Total.Passed}
}

// DMARCReport implements adminapi.DMARCReports.
func (n *Node) DMARCReport(_ context.Context, name string) (out adminapi.DMARCReportText, err error) {
	err = n.view(func(v directory.View) error {
		k, r, err := reportbox.ShowDMARC(v, name)
		out = adminapi.DMARCReportText{DMARCReport: dmarcReportOf(k), Report: r}
		return err
	})
	return out, err
}

// ImportDMARCReport implements adminapi.DMARCReports.
func (n *Node) ImportDMARCReport(ctx context.Context, in adminapi.DMARCReportImport) (adminapi.DMARCReportName, error) {
	if err := n.needThird(); err != nil {
		return adminapi.DMARCReportName{}, err
	}
	name, err := n.tlsReports.box.TakeDMARC(ctx, in.Data, "import")
	for _, wrong := range []error{dmarcreport.ErrNoReport, reportbox.ErrForeign, reportbox.ErrOld} {
		if errors.Is(err, wrong) {
			err = fmt.Errorf("%w: %w", directory.ErrInvalid, err)
		}
	}
	return adminapi.DMARCReportName{Name: name}, err
}
