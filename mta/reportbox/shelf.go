package reportbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// Kept is a report about TLS that is kept.
type Kept struct {
	Name         string // by which it is shown
	Domain       string // of ours
	Day          tlsrpt.Day
	Organization string // that made it
	ID           string
	How          string // it came
	Received     time.Time
	Total        tlsrpt.Summary
	version      uint64
}

// List gives the reports about TLS of a domain, of all where it is empty, the latest days first.
func List(v directory.View, domain string) (list []Kept, err error) {
	prefix := received
	if domain != "" {
		prefix += domain + "/"
	}
	err = v.EachMailRecord(directory.MailTLSResults, prefix, func(m *directorypb.MailRecord) error {
		if k, ok := kept(m); ok {
			list = append(list, k)
		}
		return nil
	})
	slices.SortStableFunc(list, func(a, b Kept) int { return strings.Compare(string(b.Day), string(a.Day)) })
	return list, err
}

func kept(m *directorypb.MailRecord) (Kept, bool) {
	r := m.GetTlsResults()
	p := strings.Split(m.Name, "/")
	if r == nil || len(p) != 4 {
		return Kept{}, false
	}
	return Kept{Name: strings.Join(p[1:], "/"), Domain: p[1], Day: tlsrpt.Day(p[2]), Organization: r.Organization, ID: r.Id, How: r.How,
		Received: time.UnixMilli(r.Received).UTC(), Total: tlsrpt.Summary{Good: r.Good, Bad: r.Bad}, version: m.Version}, true
}

// Show gives a report about TLS by its name: directory.ErrNotFound where there is none.
func Show(v directory.View, name string) (Kept, tlsrpt.Report, error) {
	m, err := v.MailRecord(directory.MailTLSResults, received+name)
	if err != nil {
		return Kept{}, tlsrpt.Report{}, err
	}
	k, ok := kept(m)
	if !ok {
		return Kept{}, tlsrpt.Report{}, directory.ErrNotFound
	}
	r, err := tlsrpt.Read(m.GetTlsResults().GetReport())
	return k, r, err
}

// most is how many reports are forgotten in one step.
const most = 500

// Tidy forgets what was kept long enough, and what is about domains that are ours no more. It is for the node that leads
// the directory.
func (b *Box) Tidy(ctx context.Context) error {
	var list []Kept
	var about []KeptDMARC
	ours := map[string]bool{}
	err := b.c.Directory.View(func(v directory.View) (err error) {
		if list, err = List(v, ""); err != nil {
			return err
		}
		if about, err = ListDMARC(v, ""); err != nil {
			return err
		}
		domains, err := v.Domains()
		for _, d := range domains {
			ours[d.Name] = true
		}
		return err
	})
	if err != nil {
		return err
	}
	oldest := tlsrpt.DayOf(b.c.Clock().Add(-Keep))
	var changes []directory.MailChange
	for _, k := range list {
		if (k.Day < oldest || !ours[k.Domain]) && len(changes) < most {
			version := k.version
			changes = append(changes, directory.MailChange{Remove: true, Expected: &version,
				Record: &directorypb.MailRecord{Name: received + k.Name, Record: &directorypb.MailRecord_TlsResults{TlsResults: &directorypb.TlsResults{}}}})
		}
	}
	for _, k := range about {
		if (k.Day < string(oldest) || !ours[k.Domain]) && len(changes) < most {
			version := k.version
			changes = append(changes, directory.MailChange{Remove: true, Expected: &version, Record: dmarcRecord(k.Name, &directorypb.DmarcReport{})})
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if err := b.c.Directory.Put(ctx, changes...); !errors.Is(err, directory.ErrConflict) {
		return err
	}
	return nil // somebody else did it
}
