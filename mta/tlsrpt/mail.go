package tlsrpt

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/mta"
)

// Mail is a report about a domain as it is sent by mail (RFC 8460, section 5.3).
type Mail struct {
	From      string // an address
	To        string
	Submitter string // the domain or host that makes the report
	Domain    string // that it is about
	Report    Report
	Packed    []byte // the report as Pack gives it
	Date      time.Time
}

// Pack gives a report as JSON in gzip.
func Pack(r Report) ([]byte, error) {
	text, err := r.Encode()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(text) // into memory
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress a TLS report: %w", err)
	}
	return b.Bytes(), nil
}

// Message gives the mail, with lines ending in CRLF. It asks to be delivered whatever TLS is worth (RFC 8689, section
// 5): a report about a failure must not fail by it.
func (m Mail) Message() []byte {
	var b bytes.Buffer
	id, boundary := line(m.Report.ID, 200), "=_"+line(m.Report.ID, 40)+"_tlsrpt"
	fmt.Fprintf(&b, "From: TLS reports <%s>\r\nTo: <%s>\r\nDate: %s\r\nMessage-ID: <%s>\r\n", line(m.From, 300), line(m.To, 300), mta.Date(m.Date), id)
	fmt.Fprintf(&b, "Subject: Report Domain: %s\r\n Submitter: %s\r\n Report-ID: <%s>\r\n", m.Domain, m.Submitter, id)
	fmt.Fprintf(&b, "TLS-Report-Domain: %s\r\nTLS-Report-Submitter: %s\r\nTLS-Required: No\r\nAuto-Submitted: auto-generated\r\n", m.Domain, m.Submitter)
	fmt.Fprintf(&b, "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\"%s\"\r\n\r\n", boundary)
	total := m.Report.Total()
	fmt.Fprintf(&b, "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary)
	fmt.Fprintf(&b, "This is an aggregate report about TLS with the hosts of %s (RFC 8460),\r\nfrom %s to %s, by %s.\r\nSessions that were as they should be: %d. Failures: %d.\r\n\r\n",
		m.Domain, m.Report.Range.Start.UTC().Format(time.RFC3339), m.Report.Range.End.UTC().Format(time.RFC3339), m.Submitter, total.Good, total.Bad)
	fmt.Fprintf(&b, "--%s\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n\tfilename=\"%s\"\r\n\r\n",
		boundary, m.filename())
	text := base64.StdEncoding.EncodeToString(m.Packed)
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	fmt.Fprintf(&b, "%s\r\n--%s--\r\n", text, boundary)
	return b.Bytes()
}

// filename is that of RFC 8460, section 5.1.
func (m Mail) filename() string {
	return fmt.Sprintf("%s!%s!%d!%d.json.gz", m.Submitter, m.Domain, m.Report.Range.Start.Unix(), m.Report.Range.End.Unix())
}
