package harness

import (
	"bytes"
	"strings"
)

// Reported is what a delivery status notification (RFC 3464) says.
type Reported struct {
	ID     string   // Message-ID of the message it is about, "" where it returns no header
	Failed []string // addresses that did not get it
}

// readReport reads a message that is a report, nil where it is none.
func readReport(raw []byte) *Reported {
	header, body, found := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !found || !bytes.Contains(bytes.ToLower(header), []byte("\r\ncontent-type: multipart/report")) {
		return nil
	}
	r := new(Reported)
	who := ""
	for line := range strings.Lines(string(body)) {
		field, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ": ")
		switch strings.ToLower(field) {
		case "final-recipient":
			_, who, _ = strings.Cut(value, ";")
		case "action":
			if value == "failed" {
				r.Failed = append(r.Failed, strings.TrimSpace(who))
			}
		case "message-id":
			if r.ID == "" {
				r.ID = value
			}
		}
	}
	return r
}
