package reporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// send brings a report to each of the places that have not got it. A mail is brought before that is noted, since the
// same mail arrives once; for a URL it is noted first, so that a leader who falls between does not have it sent twice.
func (s *Sender) send(ctx context.Context, key dayOf, claim record) error {
	report, err := tlsrpt.Read(claim.is.Report)
	if err != nil {
		return err
	}
	who, err := s.c.Identity()
	if err != nil {
		return err
	}
	var again []string
	var failed error
	for _, to := range slices.Clone(claim.is.To) {
		web := strings.Contains(to, "://")
		if web {
			if err := s.note(ctx, &claim, func() { claim.is.To = without(claim.is.To, to) }); err != nil {
				return err
			}
		}
		err := s.one(ctx, key, claim, report, who, to)
		final := err == nil || errors.Is(err, ErrRefused) || errors.Is(err, directory.ErrInvalid) || errors.Is(err, directory.ErrNoUser)
		if err == nil {
			s.c.Logger.Info("a TLS report was sent", "domain", key.domain, "day", string(key.day), "to", to, "id", claim.is.Id)
		} else {
			failed = errors.Join(failed, fmt.Errorf("send the TLS report for %s to %s: %w", key.domain, to, err))
		}
		if !final {
			again = append(again, to)
		}
	}
	err = s.note(ctx, &claim, func() {
		claim.is.To = nil
		if len(again) == 0 {
			claim.is.Report = nil
			return
		}
		if claim.is.Tries++; claim.is.Tries < maxTries {
			claim.is.To = again
			claim.is.Next = s.c.Clock().Add(firstWait << (claim.is.Tries - 1)).UnixMilli()
		}
	})
	return errors.Join(failed, err)
}

func (s *Sender) one(ctx context.Context, key dayOf, claim record, report tlsrpt.Report, who Identity, to string) error {
	if strings.Contains(to, "://") {
		return s.c.Web(ctx, to, claim.is.Report)
	}
	m := tlsrpt.Mail{From: who.Contact, To: to, Submitter: who.Domain, Domain: key.domain, Report: report, Packed: claim.is.Report, Date: time.UnixMilli(claim.is.Until).UTC()}
	return s.c.Mail(ctx, to, m.Message())
}

// note changes a claim here and in the directory. A conflict says that another node leads by now.
func (s *Sender) note(ctx context.Context, claim *record, change func()) error {
	change()
	if err := s.c.Directory.Put(ctx, directory.MailChange{Record: sending(claim.name, claim.is), Expected: at(claim.version)}); err != nil {
		return err
	}
	claim.version++
	return nil
}

func without(list []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == one })
}
