// Package survey asks DNS what a mail domain has published, in the form in which package zone compares it. It judges
// nothing.
package survey

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/zone"
)

// Resolver asks DNS; *dns.Resolver is one. One that keeps answers tells what was, not what is.
type Resolver interface {
	MX(ctx context.Context, domain string) (dns.Mail, error)
	Addresses(ctx context.Context, host string) (dns.Addresses, error)
	Texts(ctx context.Context, name string) (texts []string, secure bool, err error)
	TLSA(ctx context.Context, host string) (list []dns.TLSA, secure bool, err error)
	Names(ctx context.Context, address netip.Addr) ([]string, error)
	Services(ctx context.Context, name string) ([]dns.Service, error)
}

var _ Resolver = (*dns.Resolver)(nil)

// atOnce is how many questions are asked at a time.
const atOnce = 8

// Ask has all questions answered. What could not be learnt is in the answers.
func Ask(ctx context.Context, r Resolver, questions []zone.Question) map[zone.Question]zone.Answer {
	var mu sync.Mutex // guards answers
	answers := make(map[zone.Question]zone.Answer, len(questions))
	var work errgroup.Group
	work.SetLimit(atOnce)
	for _, q := range questions {
		work.Go(func() error {
			a := one(ctx, r, q)
			mu.Lock()
			defer mu.Unlock()
			answers[q] = a
			return nil
		})
	}
	_ = work.Wait() // none of them fails
	return answers
}

// Addresses finds those of hosts; a host whose are not known has none.
func Addresses(ctx context.Context, r Resolver, hosts []string) map[string][]netip.Addr {
	var questions []zone.Question
	for _, h := range hosts {
		questions = append(questions, zone.Question{Name: h, Type: "AAAA"}, zone.Question{Name: h, Type: "A"})
	}
	answers := Ask(ctx, r, questions)
	out := make(map[string][]netip.Addr, len(hosts))
	for _, q := range questions {
		for _, text := range answers[q].Data {
			if a, err := netip.ParseAddr(text); err == nil {
				out[q.Name] = append(out[q.Name], a)
			}
		}
	}
	return out
}

func one(ctx context.Context, r Resolver, q zone.Question) zone.Answer {
	data, err := ask(ctx, r, q)
	switch {
	case errors.Is(err, dns.ErrNoName), errors.Is(err, dns.ErrNoRecord):
		return zone.Answer{}
	case err != nil:
		return zone.Answer{Err: err.Error()}
	}
	return zone.Answer{Data: data}
}

func ask(ctx context.Context, r Resolver, q zone.Question) (data []string, err error) {
	switch q.Type {
	case "MX":
		m, err := r.MX(ctx, q.Name)
		if err != nil || m.Implicit {
			return nil, err
		}
		if m.Null {
			return []string{"0 ."}, nil
		}
		for _, h := range m.Hosts {
			data = append(data, fmt.Sprint(h.Preference, " ", h.Name))
		}
	case "A", "AAAA":
		a, err := r.Addresses(ctx, q.Name)
		if err != nil {
			return nil, err
		}
		list := a.V4
		if q.Type == "AAAA" {
			list = a.V6
		}
		for _, address := range list {
			data = append(data, address.String())
		}
	case "TXT":
		data, _, err = r.Texts(ctx, q.Name)
	case "TLSA":
		list, _, err := r.TLSA(ctx, strings.TrimPrefix(q.Name, "_25._tcp."))
		if err != nil {
			return nil, err
		}
		for _, t := range list {
			data = append(data, fmt.Sprintf("%d %d %d %s", t.Usage, t.Selector, t.Matching, t.Data))
		}
	case "SRV":
		list, err := r.Services(ctx, q.Name)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			data = append(data, fmt.Sprintf("%d %d %d %s", s.Priority, s.Weight, s.Port, s.Host))
		}
	case "PTR":
		a, err := addressOf(q.Name)
		if err != nil {
			return nil, err
		}
		return r.Names(ctx, a)
	default:
		return nil, fmt.Errorf("records of type %s are not asked for", q.Type)
	}
	return data, err
}

// addressOf is the address that a reverse name is of.
func addressOf(name string) (netip.Addr, error) {
	if four, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		p := strings.Split(four, ".")
		if len(p) == 4 {
			return netip.ParseAddr(p[3] + "." + p[2] + "." + p[1] + "." + p[0])
		}
	}
	six, ok := strings.CutSuffix(name, ".ip6.arpa")
	nibbles := strings.Split(six, ".")
	if !ok || len(nibbles) != 32 {
		return netip.Addr{}, fmt.Errorf("%s is the name of no address", name)
	}
	var b strings.Builder
	for i := range nibbles {
		b.WriteString(nibbles[31-i])
		if i%4 == 3 && i < 31 {
			b.WriteByte(':')
		}
	}
	return netip.ParseAddr(b.String())
}
