package porter

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dnsbl"
	"github.com/rookery-mail/rookery/mta/inbound"
)

// ListState is what a list did for this node since it started.
type ListState struct {
	Asked, Listed uint64
	Failed        uint64    // DNS gave no answer
	Refused       uint64    // it does not answer us, or is no list any more
	RefusedAt     time.Time // the last time; zero: never
}

// ListState returns what is known of a list, by its zone.
func (p *Porter) ListState(zone string) ListState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lists[zone]
}

// Lookup asks lists about an address, all at once, and returns an answer for each in their order. What DNS did not say in
// time has an error.
func (p *Porter) Lookup(ctx context.Context, addr netip.Addr, lists []dnsbl.List) ([]dnsbl.Answer, []error) {
	answers, errs := make([]dnsbl.Answer, len(lists)), make([]error, len(lists))
	var asking sync.WaitGroup
	for i, l := range lists {
		asking.Go(func() {
			codes, err := p.c.Resolver.Listed(ctx, dnsbl.Name(addr, l.Zone))
			if errors.Is(err, dns.ErrNoName) || errors.Is(err, dns.ErrNoRecord) {
				err = nil
			}
			answers[i], errs[i] = l.Judge(codes), err
			p.note(answers[i], err)
		})
	}
	asking.Wait()
	return answers, errs
}

// note counts an answer. A list that refuses us is logged the first time within an hour.
func (p *Porter) note(a dnsbl.Answer, err error) {
	now := p.c.Clock()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.lists[a.Zone]
	s.Asked++
	switch {
	case err != nil:
		s.Failed++
	case a.Refused || a.Broken:
		if now.Sub(s.RefusedAt) > time.Hour {
			p.c.Logger.Warn("a list does not answer this node: by its terms, or for too many questions, or by way of a public resolver, or it has ended", "list", a.Zone)
		}
		s.Refused, s.RefusedAt = s.Refused+1, now
	case a.Listed:
		s.Listed++
	}
	p.lists[a.Zone] = s
}

// listed gives the findings of lists, and the sum of their scores.
func (p *Porter) listed(ctx context.Context, addr netip.Addr, lists []dnsbl.List) (findings []inbound.Finding, score float64) {
	answers, errs := p.Lookup(ctx, addr, lists)
	for i, a := range answers {
		f := inbound.Finding{Check: "dnsbl", Score: a.Score}
		switch {
		case errs[i] != nil:
			f.Result, f.Detail = "temperror", a.Zone+" gives no answer"
		case a.Refused || a.Broken:
			f.Result, f.Detail = "temperror", a.Zone+" does not answer us"
		case !a.Listed:
			continue
		case a.Score < 0:
			f.Result, f.Detail = "pass", fmt.Sprintf("%v is in %s (%s)", addr, a.Zone, words(a.Codes))
		default:
			f.Result, f.Detail = "fail", fmt.Sprintf("%v is in %s (%s)", addr, a.Zone, words(a.Codes))
		}
		findings, score = append(findings, f), score+a.Score
	}
	return findings, score
}

func words(codes []netip.Addr) string {
	list := make([]string, len(codes))
	for i, c := range codes {
		list[i] = c.String()
	}
	return strings.Join(list, " ")
}
