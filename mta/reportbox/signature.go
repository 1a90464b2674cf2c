package reportbox

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/mta/dkim"
)

// came says how a report came by mail: reports about TLS have to be signed (RFC 8460, section 5.3), with a key that may be for
// them alone, and by whom a report is signed says more than what it calls itself.
func (b *Box) came(ctx context.Context, mail []byte) string {
	if b.c.Texts == nil {
		return "mail"
	}
	list, _ := dkim.Verify(ctx, bytes.NewReader(mail), dkim.Wish{Time: b.c.Clock(), Services: []string{dkim.ServiceMail, dkim.ServiceTLSReports}}, b.c.Texts)
	var signers []string
	for _, o := range list {
		if o.Result == dkim.Pass && !slices.Contains(signers, o.Domain) {
			signers = append(signers, o.Domain)
		}
	}
	if len(signers) == 0 {
		return "mail without a good signature"
	}
	return "mail signed by " + strings.Join(signers, ", ")
}
