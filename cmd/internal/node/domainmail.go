package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/zone"
)

// The ages of policies, in seconds (RFC 8461, section 3.2).
const (
	usualAge = 7 * 24 * 3600
	leastAge = 3600
	mostAge  = 31_557_600
)

// maxPatterns is how many hosts a policy may name.
const maxPatterns = 50

// policyDocument is the policy that a domain serves. Without hosts of its own it names the nodes.
func (n *Node) policyDocument(m *directorypb.DomainMail) string {
	hosts := m.StsMx
	if len(hosts) == 0 {
		_ = n.view(func(v directory.View) (err error) { // without an answer it names none, and is not served
			hosts, err = n.mailNames(v)
			return err
		})
	}
	if m.StsMode == "" || len(hosts) == 0 {
		return ""
	}
	return zone.Document(m.StsMode, hosts, ageOf(m))
}

func ageOf(m *directorypb.DomainMail) uint64 {
	if m.StsMaxAge == 0 {
		return usualAge
	}
	return m.StsMaxAge
}

// DomainMail implements adminapi.DomainMails.
func (n *Node) DomainMail(_ context.Context, domain string) (out adminapi.DomainMail, err error) {
	var m *directorypb.DomainMail
	err = n.view(func(v directory.View) error {
		d, err := v.Domain(domain)
		if err != nil {
			return err
		}
		out.Domain = d.Name
		m, err = domainMail(v, d.Name)
		return err
	})
	if err != nil {
		return adminapi.DomainMail{}, err
	}
	out.Serving = n.cfg.HTTPS.Listen
	out.Mode, out.MaxAge, out.MX, out.TLSReportsTo = m.StsMode, ageOf(m), slices.Concat([]string{}, m.StsMx), reportsTo(m, out.Domain)
	out.DMARCReportsTo = dmarcReportsTo(m, out.Domain)
	if out.Policy = n.policyDocument(m); out.Policy != "" {
		out.ID = zone.DocumentID(out.Policy)
	}
	return out, nil
}

// ChangeDomainMail implements adminapi.DomainMails.
func (n *Node) ChangeDomainMail(ctx context.Context, domain string, c adminapi.DomainMailChange) (adminapi.DomainMail, error) {
	if err := n.needThird(); err != nil {
		return adminapi.DomainMail{}, err
	}
	var name string
	m, version := new(directorypb.DomainMail), uint64(0)
	err := n.view(func(v directory.View) error {
		d, err := v.Domain(domain)
		if err != nil {
			return err
		}
		name = d.Name
		if r, err := v.MailRecord(directory.MailDomainMail, name); err == nil {
			m, version = r.GetDomainMail(), r.Version
		}
		return nil
	})
	if err != nil {
		return adminapi.DomainMail{}, err
	}
	if err := applyDomainMail(m, c); err != nil {
		return adminapi.DomainMail{}, err
	}
	err = n.putMail(ctx, directory.MailChange{Expected: &version,
		Record: &directorypb.MailRecord{Name: name, Record: &directorypb.MailRecord_DomainMail{DomainMail: m}}})
	if err != nil {
		return adminapi.DomainMail{}, err
	}
	return n.DomainMail(ctx, name)
}

func applyDomainMail(m *directorypb.DomainMail, c adminapi.DomainMailChange) error {
	if c.Mode != nil {
		switch *c.Mode {
		case "off":
			m.StsMode = ""
		case "none", "testing", "enforce":
			m.StsMode = *c.Mode
		default:
			return fmt.Errorf("mode %q: %w: use none, testing, enforce or off", *c.Mode, directory.ErrInvalid)
		}
	}
	if c.MaxAge != nil {
		if *c.MaxAge < leastAge || *c.MaxAge > mostAge {
			return fmt.Errorf("max age of %v: %w: use one hour to a year", time.Duration(*c.MaxAge)*time.Second, directory.ErrInvalid)
		}
		m.StsMaxAge = *c.MaxAge
	}
	if c.MX != nil {
		if err := setPatterns(m, *c.MX); err != nil {
			return err
		}
	}
	if err := setAddress(&m.TlsReportsTo, c.TLSReportsTo); err != nil {
		return err
	}
	return setAddress(&m.DmarcReportsTo, c.DMARCReportsTo)
}

// setAddress takes an address for reports; an empty one goes back to our own, nil changes nothing.
func setAddress(field, text *string) error {
	if text == nil || *text == "" {
		if text != nil {
			*field = ""
		}
		return nil
	}
	a, err := address.Parse(*text)
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	*field = a.String()
	return nil
}

// setPatterns takes names of hosts, with * for their first label (RFC 8461, section 4.1).
func setPatterns(m *directorypb.DomainMail, patterns []string) error {
	if len(patterns) > maxPatterns {
		return fmt.Errorf("%d hosts: %w: a policy has at most %d", len(patterns), directory.ErrInvalid, maxPatterns)
	}
	m.StsMx = nil
	for _, p := range patterns {
		host, wild := strings.CutPrefix(strings.TrimSuffix(p, "."), "*.")
		host, err := address.ParseDomain(host)
		if err != nil {
			return fmt.Errorf("host %q: %w: %w", p, directory.ErrInvalid, err)
		}
		if wild {
			host = "*." + host
		}
		m.StsMx = append(m.StsMx, host)
	}
	return nil
}

// tidyDomainMail forgets what was set for domains that are ours no more, as leader work of the directory.
func (n *Node) tidyDomainMail(ctx context.Context) error {
	var changes []directory.MailChange
	err := n.view(func(v directory.View) error {
		return v.EachMailRecord(directory.MailDomainMail, "", func(m *directorypb.MailRecord) error {
			_, err := v.Domain(m.Name)
			if errors.Is(err, directory.ErrNoDomain) && len(changes) < mostForgotten {
				changes, err = append(changes, directory.MailChange{Record: m, Remove: true, Expected: &m.Version}), nil
			}
			return err
		})
	})
	if err != nil || len(changes) == 0 {
		return err
	}
	return mailRecords{n}.Put(ctx, changes...)
}

// mostForgotten is how many records are forgotten in one step.
const mostForgotten = 500
