package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
	"github.com/rookery-mail/rookery/mta/zone"
)

// TestDNSCheck: what is wrong is said with what to do, and the exit code tells scripts.
func TestDNSCheck(t *testing.T) {
	finding := zone.Finding{Record: zone.Record{Role: zone.RoleSPF, Name: "example.org", Type: "TXT", Essential: true, About: "Who may send."},
		State: zone.Differs, Found: []string{"v=spf1 -all"}, Do: "Add it."}
	for _, c := range []struct {
		answer adminapi.DNSCheck
		code   int
	}{
		{adminapi.DNSCheck{Domain: "example.org", Wrong: true, Unsure: true, Findings: []zone.Finding{finding}, Notes: []string{"A note."}}, 1},
		{adminapi.DNSCheck{Domain: "example.org", Unsure: true}, 2},
		{adminapi.DNSCheck{Domain: "example.org"}, 0},
	} {
		o := newOffice(t)
		o.answers["GET /v1/domains/example.org/dns/check"] = c.answer
		out, err := run(t, "--config", o.config, "dns", "check", "example.org")
		code := 0
		if exit := (exitError{}); errors.As(err, &exit) {
			code = exit.code
		} else if err != nil {
			t.Fatal(err)
		}
		if code != c.code {
			t.Errorf("exit code %d, not %d: %s", code, c.code, out)
		}
		for _, want := range []string{"DIFFERS", "DNS has: v=spf1 -all", "Add it.", "Note: A note."} {
			if strings.Contains(out, want) != c.answer.Wrong {
				t.Errorf("%q: %s", want, out)
			}
		}
	}
}

// TestDomainMail: only what is said is changed.
func TestDomainMail(t *testing.T) {
	for _, c := range []struct {
		args []string
		sent string
	}{
		{[]string{"mta-sts", "example.org", "--mode", "enforce", "--max-age", "24h"}, `{"mta_sts_mode":"enforce","mta_sts_max_age":86400}`},
		{[]string{"mta-sts", "example.org", "--mx", "a.example,b.example"}, `{"mta_sts_mx":["a.example","b.example"]}`},
		{[]string{"mta-sts", "example.org", "--mx", ""}, `{"mta_sts_mx":[]}`},
		{[]string{"tls-reports-to", "example.org", ""}, `{"tls_reports_to":""}`},
	} {
		o := newOffice(t)
		o.answers["PATCH /v1/domains/example.org/mail"] = adminapi.DomainMail{Domain: "example.org"}
		if _, err := run(t, append([]string{"--config", o.config, "domain"}, c.args...)...); err != nil {
			t.Error(err)
		}
		if got := string(o.sent["PATCH /v1/domains/example.org/mail"]); got != c.sent {
			t.Errorf("%v sent %s", c.args, got)
		}
	}
	o := newOffice(t)
	o.answers["GET /v1/domains/example.org/mail"] = adminapi.DomainMail{Domain: "example.org", Policy: "version: STSv1\r\n", ID: "abc"}
	out, err := run(t, "--config", o.config, "domain", "mta-sts", "example.org")
	if err != nil || !strings.Contains(out, "id=abc") || !strings.Contains(out, "does not serve it") {
		t.Errorf("%s, %v", out, err)
	}
}

// TestTLSReports: reports are listed, and a file is packed before it is sent.
func TestTLSReports(t *testing.T) {
	o := newOffice(t)
	o.answers["GET /v1/tls-reports"] = []adminapi.TLSReport{{Name: "good", Good: 1}, {Name: "bad", Bad: 1}}
	if out, err := run(t, "--config", o.config, "tls-reports", "list", "--failures"); err != nil || strings.Contains(out, "good") || !strings.Contains(out, "bad") {
		t.Errorf("%s, %v", out, err)
	}
	o.answers["POST /v1/tls-reports"] = adminapi.TLSReportNames{Names: []string{"example.org/2026-11-20/00"}}
	out, err := run(t, "--config", o.config, "tls-reports", "import", "../../mta/tlsrpt/testdata/rfc8460.json")
	if err != nil || !strings.Contains(out, "example.org/2026-11-20/00") {
		t.Errorf("%s, %v", out, err)
	}
	var in adminapi.TLSReportImport
	if err := json.Unmarshal(o.sent["POST /v1/tls-reports"], &in); err != nil {
		t.Fatal(err)
	}
	if r, err := tlsrpt.Read(in.Data); err != nil || r.Organization != "Company-X" || len(in.Data) > 1000 {
		t.Errorf("%d octets, %+v, %v", len(in.Data), r, err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, "--config", o.config, "tls-reports", "import", other); !errors.Is(err, tlsrpt.ErrNoReport) {
		t.Error(err)
	}
}
