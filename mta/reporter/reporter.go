// Package reporter reports to other domains what was met when their hosts were spoken to over TLS (RFC 8460): every node
// counts for itself and brings its counts to the directory from time to time; the node that leads the directory makes
// one report of them for each domain and day, and sends it. Domains that ask for no reports leave nothing in the
// directory.
//
// Records of a day are under day/domain/node. The leader takes them away and puts the report under claim/day/domain in
// one step, so that there is one report whoever leads; the claim stays for some days, so that counts that come late
// make no second one.
package reporter

import (
	"context"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// Directory keeps records of mail.
type Directory interface {
	View(read func(directory.View) error) error
	// Put changes records, all or none: directory.ErrConflict where one is of another version than expected.
	Put(ctx context.Context, changes ...directory.MailChange) error
}

// Resolver asks DNS; *dns.Resolver is one.
type Resolver interface {
	Texts(ctx context.Context, name string) (texts []string, secure bool, err error)
}

// maxName is how long the name of a record may be.
const maxName = 255

const claims = "claim"

func resultsName(d tlsrpt.Day, domain, node string) string {
	return fmt.Sprintf("%s/%s/%s", d, domain, node)
}

func claimName(d tlsrpt.Day, domain string) string {
	return fmt.Sprintf("%s/%s/%s", claims, d, domain)
}

// about says what a record is about: counts of a node, or a claim.
func about(name string) (d tlsrpt.Day, domain string, claim, ok bool) {
	p := strings.Split(name, "/")
	if len(p) != 3 {
		return "", "", false, false
	}
	if claim = p[0] == claims; claim {
		p = p[1:]
	}
	d = tlsrpt.Day(p[0])
	return d, p[1], claim, !d.Start().IsZero()
}

// sending is a record of TLS results.
func sending(name string, r *directorypb.TlsResults) *directorypb.MailRecord {
	return &directorypb.MailRecord{Name: name, Record: &directorypb.MailRecord_TlsResults{TlsResults: r}}
}

func at(version uint64) *uint64 { return &version }
