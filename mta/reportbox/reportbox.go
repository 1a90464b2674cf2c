// Package reportbox takes the reports that others make about our domains: about TLS with their hosts (RFC 8460), and about mail
// that shows them as its author's (DMARC, RFC 7489). They come by mail, from the web and from an operator's hand, and are
// kept in the directory for a time. It believes them: a report is a hint where to look, and whoever can send mail can
// send one. So it is bounded how many there are.
package reportbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

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

// Config says how a Box works. All but Clock and Texts is required.
type Config struct {
	Directory Directory
	// Open opens a message that came.
	Open func(ctx context.Context, l Letter) ([]byte, error)
	// Texts are those of a name in DNS, for the keys of signatures. Nil: signatures are not looked at.
	Texts  func(ctx context.Context, name string) ([]string, error)
	Clock  func() time.Time
	Logger *slog.Logger
}

// Box takes reports. Its methods are for any number of goroutines.
type Box struct {
	c       Config
	letters chan Letter

	mu    sync.Mutex // guards what follows
	hour  int64      // in which taken were taken, since 1970
	taken int
}

// New makes a Box.
func New(c Config) *Box {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Box{c: c, letters: make(chan Letter, waiting)}
}

// The bounds of what is taken.
const (
	perHour = 120 // of strangers, on a node
	perDay  = 100 // about a domain's day
	// Keep is how long a report is kept, from the day that it is about.
	Keep = 60 * 24 * time.Hour
	// maxStored is how many octets of a report are kept, in gzip; one that is larger loses its details.
	maxStored = 96 << 10
	waiting   = 32 // letters that wait to be read
)

// Why a report is not taken, beside tlsrpt.ErrNoReport.
var (
	ErrForeign = errors.New("the report is about no domain of ours")
	ErrOld     = errors.New("the report is about a day that is long over, or not yet here")
	ErrBusy    = errors.New("too many reports came lately")
)

// Stranger takes a report about TLS from whoever sends one, as often as strangers may. how says how it came.
func (b *Box) Stranger(ctx context.Context, data []byte, how string) error {
	if b.busy() {
		return ErrBusy
	}
	_, err := b.Take(ctx, data, how)
	return err
}

// busy counts a report of a stranger, and says whether it is one too many.
func (b *Box) busy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if hour := b.c.Clock().Unix() / 3600; hour != b.hour {
		b.hour, b.taken = hour, 0
	}
	b.taken++
	return b.taken > perHour
}

// Take keeps a report about TLS, in each form that tlsrpt.Read knows, and gives the names under which it is. The same report is
// kept once. Policies of domains that are not ours are left out.
func (b *Box) Take(ctx context.Context, data []byte, how string) ([]string, error) {
	report, err := tlsrpt.Read(data)
	if err != nil {
		return nil, err
	}
	now := b.c.Clock()
	day := tlsrpt.DayOf(report.Range.Start)
	if age := now.Sub(report.Range.Start); age > Keep || age < -48*time.Hour {
		return nil, fmt.Errorf("%w: %s", ErrOld, day)
	}
	ours, err := b.ours(report)
	if err != nil {
		return nil, err
	}
	var names []string
	for domain, part := range ours {
		name := nameOf(domain, day, part)
		if len(name) > 255 { // of a record
			continue
		}
		if err := b.keep(ctx, name, part, how, now); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, ErrForeign
	}
	return names, nil
}

// ours are the parts of a report that are about domains of ours.
func (b *Box) ours(report tlsrpt.Report) (map[string]tlsrpt.Report, error) {
	parts := map[string]tlsrpt.Report{}
	err := b.c.Directory.View(func(v directory.View) error {
		for _, p := range report.Policies {
			d, err := v.Domain(p.Policy.Domain)
			if errors.Is(err, directory.ErrNoDomain) {
				continue
			}
			if err != nil {
				return err
			}
			part, ok := parts[d.Name]
			if !ok {
				part = report
				part.Policies = nil
			}
			part.Policies = append(part.Policies, p)
			parts[d.Name] = part
		}
		return nil
	})
	return parts, err
}

const received = "received/"

// nameOf is under what a report about a domain is kept: who made it, and its id, make it what it is.
func nameOf(domain string, day tlsrpt.Day, r tlsrpt.Report) string {
	sum := sha256.Sum256([]byte(r.Organization + "\x00" + r.ID))
	return fmt.Sprintf("%s%s/%s/%s", received, domain, day, hex.EncodeToString(sum[:6]))
}

func (b *Box) keep(ctx context.Context, name string, r tlsrpt.Report, how string, now time.Time) error {
	there := 0
	known := false
	err := b.c.Directory.View(func(v directory.View) error {
		return v.EachMailRecord(directory.MailTLSResults, name[:strings.LastIndexByte(name, '/')+1], func(m *directorypb.MailRecord) error {
			there++
			known = known || m.Name == name
			return nil
		})
	})
	switch {
	case err != nil:
		return fmt.Errorf("read the reports about TLS: %w", err)
	case known:
		return nil
	case there >= perDay:
		return fmt.Errorf("%w: %d are about the same day", ErrBusy, there)
	}
	packed, err := pack(r)
	if err != nil {
		return err
	}
	total := r.Total()
	none := uint64(0)
	err = b.c.Directory.Put(ctx, directory.MailChange{Expected: &none, Record: &directorypb.MailRecord{Name: name,
		Record: &directorypb.MailRecord_TlsResults{TlsResults: &directorypb.TlsResults{Id: r.ID, Report: packed, Organization: r.Organization, How: how,
			Received: now.UnixMilli(), Good: total.Good, Bad: total.Bad}}}})
	if errors.Is(err, directory.ErrConflict) {
		return nil // somebody else keeps it
	}
	return err
}

// pack gives what is kept of a report. One that is too large loses its details, from the end.
func pack(r tlsrpt.Report) ([]byte, error) {
	for {
		packed, err := tlsrpt.Pack(r)
		if err != nil || len(packed) <= maxStored {
			return packed, err
		}
		if len(r.Policies) > 1 {
			r.Policies = r.Policies[:len(r.Policies)/2]
			continue
		}
		p := r.Policies[0]
		p.Failures = p.Failures[:len(p.Failures)/2]
		if len(p.Failures) == 0 {
			p.Policy.Text, p.Policy.Hosts = nil, nil
		}
		r.Policies = []tlsrpt.Result{p}
	}
}
