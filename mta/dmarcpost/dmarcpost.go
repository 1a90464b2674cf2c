// Package dmarcpost tells other domains what came in their name (aggregate reports about DMARC, RFC 7489, section 7.2): every node
// counts for itself and brings its counts to the directory from time to time; the node that leads the directory makes one report
// of them for each domain and day, and sends it. Domains whose mail is all junk, or hardly any, are not told: whoever sends spam is
// to learn nothing by it, and to cause no mail.
//
// Counts of a day are under day/domain/node. The leader takes them away and puts the report under claim/day/domain in one step, so
// that there is one report whoever leads; the claim stays, without the report, so that counts that come late make no second
// one, and it is known which domains wrote before.
package dmarcpost

import (
	"context"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/dmarcreport"
)

// Directory keeps records of mail.
type Directory interface {
	View(read func(directory.View) error) error
	// Put changes records, all or none: directory.ErrConflict where one is of another version than expected.
	Put(ctx context.Context, changes ...directory.MailChange) error
}

// dayOf is a domain's day, in UTC: "2026-11-21".
type dayOf struct{ day, domain string }

func dayAt(t time.Time, domain string) dayOf { return dayOf{t.UTC().Format(time.DateOnly), domain} }

// start is when the day begins; the zero time where it is none.
func (d dayOf) start() time.Time {
	t, _ := time.Parse(time.DateOnly, d.day)
	return t
}

const claims = "claim"

func (d dayOf) counts(node string) string { return d.day + "/" + d.domain + "/" + node }
func (d dayOf) claim() string             { return claims + "/" + d.day + "/" + d.domain }

// maxName is how long the name of a record may be.
const maxName = 255

// about says what a record is about: counts of a node, or a claim.
func about(name string) (d dayOf, claim, ok bool) {
	p := strings.Split(name, "/")
	if len(p) != 3 {
		return d, false, false
	}
	if claim = p[0] == claims; claim {
		p = p[1:]
	}
	d = dayOf{p[0], p[1]}
	return d, claim, !d.start().IsZero()
}

func recordOf(name string, r *directorypb.DmarcResults) *directorypb.MailRecord {
	return &directorypb.MailRecord{Name: name, Record: &directorypb.MailRecord_DmarcResults{DmarcResults: r}}
}

// worth says why a domain is not told of a day's mail, "" where it is. known says that it wrote on an earlier day.
func worth(t dmarcreport.Tally, known bool) (whyNot string) {
	sum := t.Total()
	switch {
	case t.Junk >= sum.Messages:
		return "all of its mail was junk"
	case sum.Messages < 3 && sum.Passed == 0:
		return "hardly any mail, and none of it passed"
	case !known && sum.Messages < 10:
		return "it is new here, and hardly wrote"
	}
	return ""
}
