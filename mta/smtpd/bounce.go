package smtpd

import (
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/batv"
	"github.com/rookery-mail/rookery/mta/srs"
)

// checkBounce refuses a report of mail that nobody here has sent, where all that is sent has a tag (mta/batv): one
// to an address without. The directory has checked a tag. An address that is too long for a tag, and the postmaster
// (RFC 5321, section 4.5.1), get what comes.
func (c *conn) checkBounce(address string) *mta.Reply {
	if c.kind != MX || c.mail.env.From != "" || !c.bounds.OnlyTagged || batv.Tagged(address) || srs.Rewritten(address) || !batv.Fits(address) {
		return nil
	}
	if local, _, _ := strings.Cut(address, "@"); strings.EqualFold(local, directory.Postmaster) {
		return nil
	}
	return mta.Replyf(550, mta.NotAuthorized, "<%s> has sent no mail that this could be a report of", address)
}
