package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/ban"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/reporter"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
	"github.com/rookery-mail/rookery/mta/zone"
)

// serveZone answers questions over UDP.
func serveZone(t *testing.T, z *dnstest.Zone) (address string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &mdns.Server{PacketConn: conn, Handler: mdns.HandlerFunc(func(w mdns.ResponseWriter, q *mdns.Msg) {
		if m, err := z.Exchange(context.Background(), q, ""); err == nil {
			_ = w.WriteMsg(m)
		}
	})}
	done := make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return conn.LocalAddr().String()
}

// TestDomainMail: a domain's records are told and found in DNS, its policy is served, and reports about its TLS are taken from
// mail and from the web.
func TestDomainMail(t *testing.T) {
	t.Parallel()
	z := new(dnstest.Zone)
	z.Add("n1.example.org. 60 IN A 127.61.71.1")
	s := newSite(t, 71)
	s.more = fmt.Sprintf("[outbound]\nresolvers = [%q]\n[https]\nlisten = [\"127.61.71.1:2443\"]\n", serveZone(t, z))
	s.start(1)
	mode := "testing"
	var mail adminapi.DomainMail
	s.eventually("a policy is set", func() error { // not before the level is raised, and the node's name is told
		if err := s.ask(1, "PATCH", "/v1/domains/example.org/mail", adminapi.DomainMailChange{Mode: &mode}, &mail); err != nil {
			return err
		}
		if !strings.Contains(mail.Policy, "\r\nmx: n1.example.org\r\n") {
			return errors.New(mail.Policy)
		}
		return nil
	})

	var shown []byte
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(c tls.ConnectionState) error {
		shown = c.PeerCertificates[0].RawSubjectPublicKeyInfo
		return nil
	}}}}
	defer client.CloseIdleConnections()
	ask := func(method, path, kind string, body []byte) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "https://127.61.71.1:2443"+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "mta-sts.example.org"
		r.Header.Set("Content-Type", kind)
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	if status, text := ask("GET", "/.well-known/mta-sts.txt", "", nil); status != 200 || text != mail.Policy {
		t.Errorf("%d, %q", status, text)
	}
	s.publishes(z, "3 1 1 "+fmt.Sprintf("%x", sha256.Sum256(shown)))

	report := tlsrpt.Report{Organization: "Peer", ID: "1@peer.example", Range: tlsrpt.DayOf(time.Now().Add(-24 * time.Hour)).Range(),
		Policies: []tlsrpt.Result{{Policy: tlsrpt.Policy{Type: tlsrpt.STS, Domain: "example.org"}, Summary: tlsrpt.Summary{Bad: 3}}}}
	packed, err := tlsrpt.Pack(report)
	if err != nil {
		t.Fatal(err)
	}
	message := tlsrpt.Mail{From: "noreply@peer.example", To: "TLS-Reports@example.org", Submitter: "peer.example", Domain: "example.org", Report: report, Packed: packed, Date: time.Now()}
	if err := send(s.config(1).SMTP.MX[0], "TLS-Reports@example.org", string(message.Message())); err != nil {
		t.Fatal(err)
	}
	var list []adminapi.TLSReport
	s.eventually("the report is read", func() error {
		if err := s.ask(1, "GET", "/v1/tls-reports?domain=example.org", nil, &list); err != nil || len(list) != 1 {
			return fmt.Errorf("%v, %w", list, err)
		}
		return nil
	})
	if list[0].Bad != 3 || list[0].How != "mail without a good signature" {
		t.Errorf("%+v", list[0])
	}
	if status, text := ask("POST", "/tls-reports", tlsrpt.MediaGzip, packed); status != http.StatusCreated {
		t.Errorf("%d %s", status, text)
	}
	var text adminapi.TLSReportText
	if err := s.ask(1, "GET", "/v1/tls-reports/"+list[0].Name, nil, &text); err != nil || text.Report.Policies[0].Summary.Bad != 3 {
		t.Errorf("%+v, %v", text, err)
	}
	s.takesDMARC()
}

// takesDMARC has a report about DMARC come by mail.
func (s *site) takesDMARC() {
	t := s.t
	t.Helper()
	report := fmt.Sprintf("<feedback><report_metadata><org_name>Peer</org_name><report_id>1</report_id><date_range><begin>%d</begin><end>%d</end></date_range></report_metadata>"+
		"<policy_published><domain>example.org</domain><p>none</p></policy_published>"+
		"<record><row><source_ip>192.0.2.1</source_ip><count>7</count></row><identifiers><header_from>example.org</header_from></identifiers></record></feedback>",
		time.Now().Add(-24*time.Hour).Unix(), time.Now().Unix())
	mail := "From: noreply@peer.example\r\nSubject: Report Domain: example.org\r\nContent-Type: text/xml\r\n\r\n" + report + "\r\n"
	if err := send(s.config(1).SMTP.MX[0], "dmarc-reports@example.org", mail); err != nil {
		t.Fatal(err)
	}
	var list []adminapi.DMARCReport
	s.eventually("the report about DMARC is read", func() error {
		if err := s.ask(1, "GET", "/v1/dmarc-reports?domain=example.org", nil, &list); err != nil || len(list) != 1 {
			return fmt.Errorf("%v, %w", list, err)
		}
		return nil
	})
	var text adminapi.DMARCReportText
	if err := s.ask(1, "GET", "/v1/dmarc-reports/"+list[0].Name, nil, &text); err != nil || text.Messages != 7 || text.Passed != 0 || text.Report.Rows[0].Source != "192.0.2.1" {
		t.Errorf("%+v, %v", text, err)
	}
}

// TestReportOut: what a node meets goes to the domain, as a mail that goes whatever TLS is worth.
func TestReportOut(t *testing.T) {
	t.Parallel()
	z, sink := new(dnstest.Zone), new(sink)
	z.Add(`_smtp._tls.sink.test. 60 IN TXT "v=TLSRPTv1; rua=mailto:tls@sink.test"`)
	s := newSite(t, 72)
	s.more = fmt.Sprintf("[outbound]\nenabled = true\nrelay = %q\nresolvers = [%q]\n", sink.serve(t), serveZone(t, z))
	s.start(1)
	s.halt(1)
	cfg := s.config(1)
	n := &Node{cfg: cfg, opts: Options{Version: "test"}, log: slog.New(slog.DiscardHandler), layout: layout{cfg.DataDir}, id: cluster.NodeID(cfg.Node), bans: ban.NewList()}
	err := n.start(t.Context())
	defer func() {
		if err := n.stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if err != nil {
		t.Fatal(err)
	}
	s.eventually("reports are made", func() error {
		if !n.tlsReports.wants() {
			return errors.New("not yet")
		}
		return nil
	})
	mode := "testing"
	if _, err := n.ChangeDomainMail(t.Context(), "example.org", adminapi.DomainMailChange{Mode: &mode}); err != nil {
		t.Fatal(err)
	}
	if err := n.tidyDomainMail(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m, err := n.DomainMail(t.Context(), "example.org"); err != nil || m.Mode != mode {
		t.Errorf("a domain that is ours: %+v, %v", m, err)
	}
	n.tlsReports.observe(tlsrpt.Event{Domain: "sink.test", Type: tlsrpt.NoPolicy, Host: "mx.sink.test"})
	n.tlsReports.collector.Flush(t.Context())
	c := n.tlsReports.senderConfig(dns.New(dns.Config{Servers: []string{"x"}, Exchange: z.Exchange}))
	c.Clock = func() time.Time { return time.Now().Add(36 * time.Hour) }
	if err := reporter.NewSender(c).Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.eventually("the report arrives", func() error {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		for _, m := range sink.octets {
			to, text, _ := strings.Cut(m, "\n")
			r, err := tlsrpt.Read([]byte(text))
			if to == "tls@sink.test" && err == nil && r.Total().Good == 1 && strings.Contains(text, "\r\nTLS-Required: No\r\n") {
				return nil
			}
		}
		return fmt.Errorf("the sink has %q", sink.octets)
	})
}

// publishes puts what the node proposes into DNS and has it compared. The node's TLSA record is to be among it.
func (s *site) publishes(z *dnstest.Zone, tlsa string) {
	s.t.Helper()
	var r adminapi.DNSRecords
	if err := s.ask(1, "GET", "/v1/domains/example.org/dns", nil, &r); err != nil {
		s.t.Fatal(err)
	}
	if !slices.ContainsFunc(r.Records, func(r zone.Record) bool { return r.Type == "TLSA" && r.Data == tlsa }) {
		s.t.Errorf("no %s in\n%s", tlsa, r.Snippet)
	}
	var before, after adminapi.DNSCheck
	if err := s.ask(1, "GET", "/v1/domains/example.org/dns/check", nil, &before); err != nil || !before.Wrong {
		s.t.Errorf("an empty zone: %+v, %v", before, err)
	}
	for _, r := range r.Records {
		if r.Role != zone.RoleHost {
			z.Add(r.Name + ". 60 IN " + r.Type + " " + zone.Presentation(r))
		}
	}
	if err := s.ask(1, "GET", "/v1/domains/example.org/dns/check", nil, &after); err != nil || after.Wrong {
		s.t.Errorf("the zone of the snippet: %+v, %v", after, err)
	}
	for _, f := range after.Findings {
		// No authority vouches for the node's certificate, nor is it on port 443.
		if (f.State != zone.OK) != (f.Role == zone.RoleFetched) {
			s.t.Errorf("%s %s: %s: %s", f.Name, f.Type, f.State, f.Do)
		}
	}
}
