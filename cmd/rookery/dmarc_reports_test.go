package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/dmarcreport"
)

// TestDMARCReports: reports are listed and shown, and a file is read before it is sent.
func TestDMARCReports(t *testing.T) {
	o := newOffice(t)
	good, bad := adminapi.DMARCReport{Name: "good", Messages: 1, Passed: 1}, adminapi.DMARCReport{Name: "bad", Messages: 4, Passed: 1}
	o.answers["GET /v1/dmarc-reports"] = []adminapi.DMARCReport{good, bad}
	if out, err := run(t, "--config", o.config, "dmarc-reports", "list", "--failures"); err != nil || strings.Contains(out, "good") || !strings.Contains(out, "bad") {
		t.Errorf("%s, %v", out, err)
	}
	o.answers["GET /v1/dmarc-reports/example.org/2026-11-20/00"] = adminapi.DMARCReportText{DMARCReport: bad, Report: dmarcreport.Report{Begin: time.Unix(0, 0).UTC(),
		Rows: []dmarcreport.Row{{Source: "192.0.2.9", Count: 4, DKIM: "fail", SPF: "fail", Disposition: "reject", Senders: []dmarcreport.Check{{Domain: "a.example", Result: "pass"}}}}}}
	out, err := run(t, "--config", o.config, "dmarc-reports", "show", "example.org/2026-11-20/00")
	if err != nil || !strings.Contains(out, "192.0.2.9") || !strings.Contains(out, "spf=pass a.example") || !strings.Contains(out, "1 of 4 messages passed") {
		t.Errorf("%s, %v", out, err)
	}
	o.answers["POST /v1/dmarc-reports"] = adminapi.DMARCReportName{Name: "example.org/2026-11-20/00"}
	if out, err = run(t, "--config", o.config, "dmarc-reports", "import", "../../mta/dmarcreport/testdata/plain.xml"); err != nil || !strings.Contains(out, "example.org/2026-11-20/00") {
		t.Errorf("%s, %v", out, err)
	}
	var in adminapi.DMARCReportImport
	if err := json.Unmarshal(o.sent["POST /v1/dmarc-reports"], &in); err != nil {
		t.Fatal(err)
	}
	if r, err := dmarcreport.Read(in.Data); err != nil || r.Organization != "big.example" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := run(t, "--config", o.config, "dmarc-reports", "import", "main.go"); !errors.Is(err, dmarcreport.ErrNoReport) {
		t.Error(err)
	}
	o.answers["PATCH /v1/domains/example.org/mail"] = adminapi.DomainMail{Domain: "example.org", DMARCReportsTo: "d@example.org"}
	out, err = run(t, "--config", o.config, "domain", "dmarc-reports-to", "example.org", "d@example.org")
	if err != nil || !strings.Contains(out, "d@example.org") || string(o.sent["PATCH /v1/domains/example.org/mail"]) != `{"dmarc_reports_to":"d@example.org"}` {
		t.Errorf("%s, %s, %v", out, o.sent["PATCH /v1/domains/example.org/mail"], err)
	}
}
