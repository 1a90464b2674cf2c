package harness

import (
	"slices"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	text := strings.ReplaceAll(`Message-ID: <r@mx.example.org>
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It could not be delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; bob@example.com
Action: failed
Status: 5.1.1

Final-Recipient: rfc822; joe@example.com
Action: relayed
Status: 2.0.0

--b
Content-Type: text/rfc822-headers

Received: by mx.example.org
Message-ID: <1@example.org>
Subject: x

--b--
`, "\n", "\r\n")
	r := readReport([]byte(text))
	if r == nil || r.ID != "<1@example.org>" || !slices.Equal(r.Failed, []string{"bob@example.com"}) {
		t.Errorf("%+v", r)
	}
	if r := readReport([]byte(strings.Replace(text, "multipart/report", "multipart/mixed", 1))); r != nil {
		t.Errorf("no report is read as %+v", r)
	}
}
