package dmarcreport

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/mta"
)

// Mail is a report about a domain as it is sent by mail (RFC 7489, section 7.2.1.1).
type Mail struct {
	From      string // an address
	To        string
	Submitter string // the domain that makes the report
	Domain    string // that it is about
	ID        string
	Begin     time.Time
	End       time.Time
	Packed    []byte // the report as PackXML gives it
	Date      time.Time
}

// PackXML gives a report as XML in gzip.
func (r Report) PackXML() ([]byte, error) {
	text, err := r.Encode()
	if err != nil {
		return nil, err
	}
	return compress(text)
}

// Message gives the mail, with lines ending in CRLF.
func (m Mail) Message() []byte {
	var b bytes.Buffer
	boundary := "=_" + token(m.ID) + "_dmarc"
	fmt.Fprintf(&b, "From: DMARC reports <%s>\r\nTo: <%s>\r\nDate: %s\r\nMessage-ID: <%s>\r\n", line(m.From), line(m.To), mta.Date(m.Date), line(m.ID))
	fmt.Fprintf(&b, "Subject: Report Domain: %s\r\n Submitter: %s\r\n Report-ID: <%s>\r\n", m.Domain, m.Submitter, line(m.ID))
	fmt.Fprintf(&b, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n\tboundary=\"%s\"\r\n\r\n", boundary)
	fmt.Fprintf(&b, "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary)
	fmt.Fprintf(&b, "This is an aggregate report about mail that shows %s as its author's domain\r\n(DMARC, RFC 7489), from %s to %s, by %s.\r\n\r\n",
		m.Domain, m.Begin.UTC().Format(time.RFC3339), m.End.UTC().Format(time.RFC3339), m.Submitter)
	fmt.Fprintf(&b, "--%s\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n\tfilename=\"%s\"\r\n\r\n", boundary, m.filename())
	text := base64.StdEncoding.EncodeToString(m.Packed)
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	fmt.Fprintf(&b, "%s\r\n--%s--\r\n", text, boundary)
	return b.Bytes()
}

// filename is that of RFC 7489, section 7.2.1.1.
func (m Mail) filename() string {
	return fmt.Sprintf("%s!%s!%d!%d.xml.gz", m.Submitter, m.Domain, m.Begin.Unix(), m.End.Unix())
}

// token is the part of a text that may stand in a boundary.
func token(s string) string {
	s = strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			return c
		}
		return -1
	}, s)
	return s[:min(len(s), 40)]
}
