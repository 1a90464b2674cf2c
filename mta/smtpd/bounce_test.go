package smtpd

import (
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta"
)

// TestCheckBounce: where all mail is tagged, a report to an address without a tag is of mail that nobody sent.
func TestCheckBounce(t *testing.T) {
	long := strings.Repeat("a", 60) + "@example.org"
	for _, c := range []struct {
		kind     Kind
		only     bool
		from, to string
		refused  bool
	}{
		{MX, true, "", "ann@example.org", true},
		{MX, true, "", "ann+x@example.org", true},
		{MX, false, "", "ann@example.org", false},
		{MX, true, "bob@far.example", "ann@example.org", false},
		{LMTP, true, "", "ann@example.org", false},
		{Submission, true, "", "ann@example.org", false},
		{MX, true, "", "prvs=1234567890=ann@example.org", false},
		{MX, true, "", "SRS0=AAAAAA=AA=far.example=bob@example.org", false},
		{MX, true, "", "postmaster@example.org", false},
		{MX, true, "", "Postmaster", false},
		{MX, true, "", long, false},
	} {
		conn := &conn{kind: c.kind, bounds: Bounds{OnlyTagged: c.only}, mail: &transaction{env: mta.Envelope{From: c.from}}}
		if r := conn.checkBounce(c.to); (r != nil) != c.refused || r != nil && (r.Code != 550 || r.Enhanced != mta.NotAuthorized) {
			t.Errorf("%v: %v", c, r)
		}
	}
}
