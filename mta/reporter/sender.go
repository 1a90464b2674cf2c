package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// Identity is in whose name reports are made.
type Identity struct {
	Domain  string // of ours, that signs
	Contact string // an address in it
}

// SenderConfig says how a Sender works. All but Clock is required.
type SenderConfig struct {
	Directory Directory
	Resolver  Resolver
	Identity  func() (Identity, error)
	Wanted    func() bool // whether reports are made at all
	// Mail brings a message to an address. The same octets arrive once, however often they are brought. An error that
	// is directory.ErrInvalid or directory.ErrNoUser is final.
	Mail func(ctx context.Context, to string, message []byte) error
	// Web hands a report, packed, to a URL. An error that is ErrRefused is final.
	Web    func(ctx context.Context, url string, packed []byte) error
	Clock  func() time.Time
	Logger *slog.Logger
}

// ErrRefused says that a place for reports will not take one.
var ErrRefused = errors.New("the report is refused")

// Sender makes the reports of days that are over and sends them. It is for the node that leads the directory.
type Sender struct{ c SenderConfig }

// NewSender makes a Sender.
func NewSender(c SenderConfig) *Sender {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Sender{c}
}

// The times of reports.
const (
	// settled is how long after midnight UTC the first reports are made: every node has brought its counts by then.
	settled = 90 * time.Minute
	// spread is over how long they are made, so that a receiver does not get those of the world at once (RFC 8460,
	// section 4.1).
	spread = 4 * time.Hour
	// keepDays is how many days a claim is kept, and counts that could not be reported.
	keepDays = 3
	// maxTries is how often a URL is tried, over about a day (RFC 8460, section 5.5).
	maxTries  = 8
	firstWait = 10 * time.Minute
	// every is how often a Sender looks for what is due.
	every = 10 * time.Minute
)

// Run does what is due until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := s.Step(ctx); err != nil && ctx.Err() == nil {
			s.c.Logger.Warn("TLS reports could not all be made", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// record is a record of mail as it was read.
type record struct {
	name    string
	version uint64
	is      *directorypb.TlsResults
}

// Step does what is due now.
func (s *Sender) Step(ctx context.Context) error {
	if !s.c.Wanted() {
		return nil
	}
	counts, made := map[dayOf][]record{}, map[dayOf]record{}
	err := s.c.Directory.View(func(v directory.View) error {
		return v.EachMailRecord(directory.MailTLSResults, "", func(m *directorypb.MailRecord) error {
			day, domain, claim, ok := about(m.Name)
			key, one := dayOf{day, domain}, record{m.Name, m.Version, m.GetTlsResults()}
			switch {
			case !ok: // a report that came in
			case claim:
				made[key] = one
			default:
				counts[key] = append(counts[key], one)
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("read TLS results: %w", err)
	}
	now := s.c.Clock()
	var failed error
	for key, list := range counts {
		if now.Before(due(key)) {
			continue
		}
		if _, ok := made[key]; ok || old(key, now) {
			failed = errors.Join(failed, s.forget(ctx, list...)) // they came late
			continue
		}
		claim, err := s.claim(ctx, key, list)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("report to %s: %w", key.domain, err))
			continue
		}
		made[key] = claim
	}
	for key, claim := range made {
		switch {
		case len(claim.is.To) > 0 && now.UnixMilli() >= claim.is.Next:
			failed = errors.Join(failed, s.send(ctx, key, claim))
		case len(claim.is.To) == 0 && old(key, now) && claim.version > 0:
			failed = errors.Join(failed, s.forget(ctx, claim))
		}
	}
	return failed
}

// due is when the report of a domain's day is made. It is the same whoever leads.
func due(key dayOf) time.Time {
	sum := sha256.Sum256([]byte(string(key.day) + key.domain))
	later := time.Duration(binary.BigEndian.Uint64(sum[:]) % uint64(spread))
	return key.day.Start().Add(24*time.Hour + settled + later)
}

func old(key dayOf, now time.Time) bool {
	return now.Sub(key.day.Start()) > keepDays*24*time.Hour
}

func (s *Sender) forget(ctx context.Context, list ...record) error {
	var changes []directory.MailChange
	for _, r := range list {
		changes = append(changes, directory.MailChange{Record: sending(r.name, &directorypb.TlsResults{}), Remove: true, Expected: at(r.version)})
	}
	return s.c.Directory.Put(ctx, changes...)
}

// claim makes the report of counts, in their place. Where no report is wanted any more they are only taken away, and a
// record without places to send to is returned.
func (s *Sender) claim(ctx context.Context, key dayOf, list []record) (record, error) {
	wanted, err := wish(ctx, s.c.Resolver, key.domain)
	if errors.Is(err, errUnwanted) {
		return record{is: &directorypb.TlsResults{}}, s.forget(ctx, list...)
	}
	if err != nil {
		return record{}, err
	}
	report, err := s.report(key, list)
	if err != nil {
		return record{}, err
	}
	packed, err := tlsrpt.Pack(report)
	if err != nil {
		return record{}, err
	}
	made := &directorypb.TlsResults{Id: report.ID, Report: packed, Until: s.c.Clock().UnixMilli()}
	made.To = append(append(made.To, wanted.Mail...), wanted.Web...)
	name := claimName(key.day, key.domain)
	changes := []directory.MailChange{{Record: sending(name, made), Expected: at(0)}}
	for _, r := range list {
		changes = append(changes, directory.MailChange{Record: sending(r.name, &directorypb.TlsResults{}), Remove: true, Expected: at(r.version)})
	}
	if err := s.c.Directory.Put(ctx, changes...); err != nil {
		return record{}, err
	}
	return record{name, 1, made}, nil
}

func (s *Sender) report(key dayOf, list []record) (tlsrpt.Report, error) {
	who, err := s.c.Identity()
	if err != nil {
		return tlsrpt.Report{}, err
	}
	var all tlsrpt.Results
	for _, r := range list {
		one, err := tlsrpt.DecodeResults(r.is.Results)
		if err != nil {
			return tlsrpt.Report{}, err
		}
		all.Merge(one)
	}
	sum := sha256.Sum256([]byte(who.Domain + string(key.day) + key.domain))
	return tlsrpt.Report{Organization: who.Domain, Range: key.day.Range(), Contact: who.Contact, Policies: all.List,
		ID: fmt.Sprintf("%s.%s.%s@%s", key.day, key.domain, hex.EncodeToString(sum[:4]), who.Domain)}, nil
}
