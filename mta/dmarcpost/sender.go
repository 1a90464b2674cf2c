package dmarcpost

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
	"github.com/rookery-mail/rookery/mta/dmarc"
	"github.com/rookery-mail/rookery/mta/dmarcreport"
)

// Identity is in whose name reports are made.
type Identity struct {
	Domain  string // of ours, that signs
	Contact string // an address in it
}

// SenderConfig says how a Sender works. All but Clock is required.
type SenderConfig struct {
	Directory Directory
	Lookup    dmarc.Lookup
	Identity  func() (Identity, error)
	Wanted    func() bool // whether reports are made at all
	// Mail brings a message to an address. The same octets arrive once, however often they are brought.
	Mail   func(ctx context.Context, to string, message []byte) error
	Clock  func() time.Time
	Logger *slog.Logger
}

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
	settled  = 90 * time.Minute // after midnight UTC: every node has brought its counts by then
	spread   = 6 * time.Hour    // over which a day's reports are made
	lateDays = 3                // for which counts are kept that could not be reported
	keepDays = 14               // for which it is remembered that a domain wrote
	every    = 10 * time.Minute // a Sender looks for what is due
	perStep  = 30               // reports that are made in one step, and so 180 an hour
	maxTries = 5                // to bring a report to the queue
)

// maxReport is how many octets of XML in gzip a report has.
const maxReport = 100 << 10

// Run does what is due until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := s.Step(ctx); err != nil && ctx.Err() == nil {
			s.c.Logger.Warn("DMARC reports could not all be made", "error", err)
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
	is      *directorypb.DmarcResults
}

// Step does what is due now, of at most perStep reports.
func (s *Sender) Step(ctx context.Context) error {
	counts, made, known, err := s.read()
	if err != nil {
		return err
	}
	now := s.c.Clock()
	var failed error
	left := perStep
	for key, list := range counts {
		if now.Before(due(key)) || left == 0 {
			continue
		}
		if _, ok := made[key]; ok || !s.c.Wanted() || now.Sub(key.start()) > lateDays*24*time.Hour {
			failed = errors.Join(failed, s.forget(ctx, list...))
			continue
		}
		left--
		claim, err := s.claim(ctx, key, list, known[key.domain] != "" && known[key.domain] < key.day)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("report to %s: %w", key.domain, err))
			continue
		}
		made[key] = claim
	}
	for key, claim := range made {
		switch {
		case len(claim.is.To) > 0 && now.UnixMilli() >= claim.is.Next && s.c.Wanted():
			failed = errors.Join(failed, s.send(ctx, key, claim))
		case now.Sub(key.start()) > keepDays*24*time.Hour:
			failed = errors.Join(failed, s.forget(ctx, claim))
		}
	}
	return failed
}

// read gives the counts, the claims, and the first day that a domain has a claim of.
func (s *Sender) read() (counts map[dayOf][]record, made map[dayOf]record, known map[string]string, err error) {
	counts, made, known = map[dayOf][]record{}, map[dayOf]record{}, map[string]string{}
	err = s.c.Directory.View(func(v directory.View) error {
		return v.EachMailRecord(directory.MailDMARCResults, "", func(m *directorypb.MailRecord) error {
			key, claim, ok := about(m.Name)
			one := record{m.Name, m.Version, m.GetDmarcResults()}
			switch {
			case !ok:
			case claim:
				made[key] = one
				if first := known[key.domain]; first == "" || key.day < first {
					known[key.domain] = key.day
				}
			default:
				counts[key] = append(counts[key], one)
			}
			return nil
		})
	})
	if err != nil {
		err = fmt.Errorf("read counts of DMARC: %w", err)
	}
	return counts, made, known, err
}

// due is when the report of a domain's day is made. It is the same whoever leads.
func due(key dayOf) time.Time {
	sum := sha256.Sum256([]byte(key.day + key.domain))
	return key.start().Add(24*time.Hour + settled + time.Duration(binary.BigEndian.Uint64(sum[:])%uint64(spread)))
}

func (s *Sender) forget(ctx context.Context, list ...record) error {
	return s.c.Directory.Put(ctx, removals(list)...)
}

func removals(list []record) (changes []directory.MailChange) {
	for _, r := range list {
		version := r.version
		changes = append(changes, directory.MailChange{Record: recordOf(r.name, &directorypb.DmarcResults{}), Remove: true, Expected: &version})
	}
	return changes
}

// claim makes the report of counts, in their place. Where the domain is not to be told the claim says why.
func (s *Sender) claim(ctx context.Context, key dayOf, list []record, known bool) (record, error) {
	var all dmarcreport.Tally
	for _, r := range list {
		one, err := dmarcreport.UnpackTally(r.is.Results)
		if err != nil {
			return record{}, err
		}
		all.Merge(one)
	}
	claim := &directorypb.DmarcResults{Until: s.c.Clock().UnixMilli(), WhyNot: worth(all, known)}
	if claim.WhyNot == "" {
		if err := s.fill(ctx, key, all, claim); err != nil {
			return record{}, err
		}
	}
	none := uint64(0)
	changes := append(removals(list), directory.MailChange{Record: recordOf(key.claim(), claim), Expected: &none})
	if err := s.c.Directory.Put(ctx, changes...); err != nil {
		return record{}, err
	}
	return record{key.claim(), 1, claim}, nil
}

// fill makes the report, and finds out where it goes. An error passes.
func (s *Sender) fill(ctx context.Context, key dayOf, all dmarcreport.Tally, claim *directorypb.DmarcResults) error {
	who, err := s.c.Identity()
	if err != nil {
		return err
	}
	texts, err := s.c.Lookup.Texts(ctx, "_dmarc."+key.domain)
	if err != nil {
		return err
	}
	var wanted []dmarc.Address
	for _, text := range texts {
		if r, err := dmarc.ParseRecord(text); err == nil {
			wanted = r.Aggregate
		}
	}
	to, err := dmarc.Destinations(ctx, key.domain, wanted, s.c.Lookup)
	if err != nil && len(to) == 0 {
		return err
	}
	r := all.Report()
	sum := sha256.Sum256([]byte(who.Domain + key.day + key.domain))
	r.Organization, r.Contact, r.ID = who.Domain, who.Contact, fmt.Sprintf("%s.%s.%s@%s", key.day, key.domain, hex.EncodeToString(sum[:4]), who.Domain)
	r.Begin, r.End = key.start(), key.start().Add(24*time.Hour-time.Second)
	for {
		if claim.Report, err = r.PackXML(); err != nil || len(claim.Report) <= maxReport {
			break
		}
		r.Rows = r.Rows[:len(r.Rows)/2]
	}
	if err != nil {
		return err
	}
	claim.Id = r.ID
	for _, a := range to {
		if a.Most == 0 || a.Most >= int64(len(claim.Report)) {
			claim.To = append(claim.To, a.Mailbox)
		}
	}
	if len(claim.To) == 0 {
		claim.Report, claim.WhyNot = nil, "nobody takes the report"
	}
	return nil
}

// send brings a report to each of the places that have not got it.
func (s *Sender) send(ctx context.Context, key dayOf, claim record) error {
	who, err := s.c.Identity()
	if err != nil {
		return err
	}
	var again []string
	var failed error
	for _, to := range claim.is.To {
		m := dmarcreport.Mail{From: who.Contact, To: to, Submitter: who.Domain, Domain: key.domain, ID: claim.is.Id, Begin: key.start(),
			End: key.start().Add(24*time.Hour - time.Second), Packed: claim.is.Report, Date: time.UnixMilli(claim.is.Until).UTC()}
		err := s.c.Mail(ctx, to, m.Message())
		switch {
		case err == nil:
			s.c.Logger.Info("a DMARC report was sent", "domain", key.domain, "day", key.day, "to", to, "id", claim.is.Id)
			continue
		case !errors.Is(err, directory.ErrInvalid) && !errors.Is(err, directory.ErrNoUser):
			again = append(again, to)
		}
		failed = errors.Join(failed, fmt.Errorf("send the DMARC report for %s to %s: %w", key.domain, to, err))
	}
	claim.is.To = again
	if claim.is.Tries++; claim.is.Tries >= maxTries || len(again) == 0 {
		claim.is.To, claim.is.Report = nil, nil
	}
	claim.is.Next = s.c.Clock().Add(every << claim.is.Tries).UnixMilli()
	return errors.Join(failed, s.c.Directory.Put(ctx, directory.MailChange{Record: recordOf(claim.name, claim.is), Expected: &claim.version}))
}
