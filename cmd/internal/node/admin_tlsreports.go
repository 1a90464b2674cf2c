package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/reportbox"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

var _ adminapi.TLSReports = (*Node)(nil)

// TLSReports implements adminapi.TLSReports.
func (n *Node) TLSReports(_ context.Context, domain string) ([]adminapi.TLSReport, error) {
	out := []adminapi.TLSReport{}
	err := n.view(func(v directory.View) error {
		if domain != "" {
			d, err := v.Domain(domain)
			if err != nil {
				return err
			}
			domain = d.Name
		}
		list, err := reportbox.List(v, domain)
		for _, k := range list {
			out = append(out, reportOf(k))
		}
		return err
	})
	return out, err
}

func reportOf(k reportbox.Kept) adminapi.TLSReport {
	return adminapi.TLSReport{Name: k.Name, Domain: k.Domain, Day: string(k.Day), Organization: k.Organization, ID: k.ID, How: k.How,
		Received: k.Received, Good: k.Total.Good, Bad: k.Total.Bad}
}

// TLSReport implements adminapi.TLSReports.
func (n *Node) TLSReport(_ context.Context, name string) (out adminapi.TLSReportText, err error) {
	err = n.view(func(v directory.View) error {
		k, r, err := reportbox.Show(v, name)
		out = adminapi.TLSReportText{TLSReport: reportOf(k), Report: r}
		return err
	})
	return out, err
}

// ImportTLSReport implements adminapi.TLSReports.
func (n *Node) ImportTLSReport(ctx context.Context, in adminapi.TLSReportImport) (adminapi.TLSReportNames, error) {
	if err := n.needThird(); err != nil {
		return adminapi.TLSReportNames{}, err
	}
	names, err := n.tlsReports.box.Take(ctx, in.Data, "import")
	for _, wrong := range []error{tlsrpt.ErrNoReport, reportbox.ErrForeign, reportbox.ErrOld} {
		if errors.Is(err, wrong) {
			err = fmt.Errorf("%w: %w", directory.ErrInvalid, err)
		}
	}
	for i := range names {
		_, names[i], _ = strings.Cut(names[i], "/")
	}
	return adminapi.TLSReportNames{Names: names}, err
}
