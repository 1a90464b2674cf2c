package reportbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/dmarcreport"
)

// The bounds of reports about DMARC: more hosts make one about a domain's day than about TLS, and each is smaller.
const (
	perDayDMARC    = 200
	maxStoredDMARC = 16 << 10 // octets of a report that are kept; rows of few messages are left out above it
)

// TakeDMARC keeps a report about DMARC, in each form that dmarcreport.Read knows, and gives the name under which it is. The same
// report is kept once.
func (b *Box) TakeDMARC(ctx context.Context, data []byte, how string) (string, error) {
	report, err := dmarcreport.Read(data)
	if err != nil {
		return "", err
	}
	now := b.c.Clock()
	if age := now.Sub(report.Begin); age > Keep || age < -48*time.Hour {
		return "", fmt.Errorf("%w: %s", ErrOld, report.Begin.Format(time.DateOnly))
	}
	about := ""
	err = b.c.Directory.View(func(v directory.View) error {
		d, err := v.Domain(report.Policy.Domain)
		if errors.Is(err, directory.ErrNoDomain) || errors.Is(err, directory.ErrInvalid) {
			return fmt.Errorf("%w: %s", ErrForeign, report.Policy.Domain)
		}
		about = d.Name
		return err
	})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(report.Organization + "\x00" + report.ID))
	name := fmt.Sprintf("%s/%s/%s", about, report.Begin.Format(time.DateOnly), hex.EncodeToString(sum[:6]))
	return name, b.keepDMARC(ctx, name, report, how, now)
}

func (b *Box) keepDMARC(ctx context.Context, name string, r dmarcreport.Report, how string, now time.Time) error {
	there, known := 0, false
	err := b.c.Directory.View(func(v directory.View) error {
		return v.EachMailRecord(directory.MailDMARCReport, name[:strings.LastIndexByte(name, '/')+1], func(m *directorypb.MailRecord) error {
			there++
			known = known || m.Name == name
			return nil
		})
	})
	switch {
	case err != nil:
		return fmt.Errorf("read the reports about DMARC: %w", err)
	case known:
		return nil
	case there >= perDayDMARC:
		return fmt.Errorf("%w: %d are about the same day", ErrBusy, there)
	}
	packed, err := r.Pack(maxStoredDMARC)
	if err != nil {
		return err
	}
	total := r.Total()
	none := uint64(0)
	err = b.c.Directory.Put(ctx, directory.MailChange{Expected: &none, Record: dmarcRecord(name, &directorypb.DmarcReport{Id: r.ID, Report: packed,
		Organization: r.Organization, How: how, Received: now.UnixMilli(), Messages: total.Messages, Passed: total.Passed})})
	if errors.Is(err, directory.ErrConflict) {
		return nil // somebody else keeps it
	}
	return err
}

func dmarcRecord(name string, r *directorypb.DmarcReport) *directorypb.MailRecord {
	return &directorypb.MailRecord{Name: name, Record: &directorypb.MailRecord_DmarcReport{DmarcReport: r}}
}

// KeptDMARC is a report about DMARC that is kept.
type KeptDMARC struct {
	Name         string // by which it is shown
	Domain       string // of ours
	Day          string // that it begins on
	Organization string // that made it
	ID           string
	How          string // it came
	Received     time.Time
	Total        dmarcreport.Sum
	version      uint64
}

// ListDMARC gives the reports about DMARC of a domain, of all where it is empty, the latest days first.
func ListDMARC(v directory.View, domain string) (list []KeptDMARC, err error) {
	prefix := ""
	if domain != "" {
		prefix = domain + "/"
	}
	err = v.EachMailRecord(directory.MailDMARCReport, prefix, func(m *directorypb.MailRecord) error {
		if k, ok := keptDMARC(m); ok {
			list = append(list, k)
		}
		return nil
	})
	slices.SortStableFunc(list, func(a, b KeptDMARC) int { return strings.Compare(b.Day, a.Day) })
	return list, err
}

func keptDMARC(m *directorypb.MailRecord) (KeptDMARC, bool) {
	r := m.GetDmarcReport()
	p := strings.Split(m.Name, "/")
	if r == nil || len(p) != 3 {
		return KeptDMARC{}, false
	}
	return KeptDMARC{Name: m.Name, Domain: p[0], Day: p[1], Organization: r.Organization, ID: r.Id, How: r.How, Received: time.UnixMilli(r.Received).UTC(),
		Total: dmarcreport.Sum{Messages: r.Messages, Passed: r.Passed}, version: m.Version}, true
}

// ShowDMARC gives a report about DMARC by its name: directory.ErrNotFound where there is none.
func ShowDMARC(v directory.View, name string) (KeptDMARC, dmarcreport.Report, error) {
	m, err := v.MailRecord(directory.MailDMARCReport, name)
	if err != nil {
		return KeptDMARC{}, dmarcreport.Report{}, err
	}
	k, ok := keptDMARC(m)
	if !ok {
		return KeptDMARC{}, dmarcreport.Report{}, directory.ErrNotFound
	}
	r, err := dmarcreport.Unpack(m.GetDmarcReport().GetReport())
	return k, r, err
}
