package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/mtasts/fetch"
	"github.com/rookery-mail/rookery/mta/survey"
	"github.com/rookery-mail/rookery/mta/zone"
)

var _ adminapi.DomainMails = (*Node)(nil)

// preference is that of all nodes: each takes mail as well as the others.
const preference = 10

// DNSRecords implements adminapi.DomainMails.
func (n *Node) DNSRecords(ctx context.Context, domain string) (adminapi.DNSRecords, error) {
	f, notes, err := n.zoneFacts(ctx, domain)
	if err != nil {
		return adminapi.DNSRecords{}, err
	}
	records := zone.Records(f)
	return adminapi.DNSRecords{Domain: f.Domain, Records: records, Snippet: zone.Snippet(records), Notes: notes}, nil
}

// CheckDNS implements adminapi.DomainMails. Nothing is taken from answers of before.
func (n *Node) CheckDNS(ctx context.Context, domain string) (adminapi.DNSCheck, error) {
	f, notes, err := n.zoneFacts(ctx, domain)
	if err != nil {
		return adminapi.DNSCheck{}, err
	}
	r, err := n.freshResolver()
	if err != nil {
		return adminapi.DNSCheck{}, err
	}
	out := adminapi.DNSCheck{Domain: f.Domain, Notes: notes, Findings: zone.Check(f, survey.Ask(ctx, r, zone.Questions(f)))}
	if f.Policy != nil {
		out.Findings = append(out.Findings, fetchedPolicy(ctx, r, f))
	}
	out.Wrong = slices.ContainsFunc(out.Findings, zone.Finding.Wrong)
	out.Unsure = slices.ContainsFunc(out.Findings, func(f zone.Finding) bool { return f.Essential && f.State == zone.Unknown })
	return out, nil
}

// fetchPatience is how long a policy may take to be fetched.
const fetchPatience = 15 * time.Second

// fetchedPolicy gets the policy of a domain as others do, and compares it.
func fetchedPolicy(ctx context.Context, r *dns.Resolver, f zone.Facts) zone.Finding {
	text, err := fetch.New(fetch.Config{Resolver: r, Timeout: fetchPatience}).Fetch(ctx, f.Domain)
	if err != nil {
		return zone.Fetched(f, "", err.Error())
	}
	return zone.Fetched(f, string(text), "")
}

// freshResolver is one that has kept no answers yet.
func (n *Node) freshResolver() (*dns.Resolver, error) {
	servers, err := resolvers(n.cfg.Outbound.Resolvers)
	if err != nil {
		return nil, err
	}
	return dns.New(dns.Config{Servers: servers}), nil
}

// zoneFacts gathers what is known of a domain and the nodes, and says what is not.
func (n *Node) zoneFacts(ctx context.Context, domain string) (f zone.Facts, notes []string, err error) {
	var mail *directorypb.DomainMail
	var hops []string
	err = n.view(func(v directory.View) error {
		d, err := v.Domain(domain)
		if err != nil {
			return err
		}
		f.Domain = d.Name
		if f.Senders, err = senders(v); err != nil {
			return err
		}
		if mail, err = domainMail(v, d.Name); err != nil {
			return err
		}
		hops, err = n.hops(v)
		return err
	})
	if err != nil {
		return f, nil, err
	}
	if f.Hosts, notes, err = n.mailHosts(ctx); err != nil {
		return f, nil, err
	}
	if f.Keys, err = n.zoneKeys(f.Domain); err != nil {
		return f, nil, err
	}
	f.Services, f.Reports, f.Watcher = n.services(), reportsTo(mail, f.Domain), dmarcReportsTo(mail, f.Domain)
	if mail.StsMode != "" {
		text := n.policyDocument(mail)
		f.Policy = &zone.Policy{Mode: mail.StsMode, ID: zone.DocumentID(text), Text: text}
	}
	for _, h := range hops {
		notes = append(notes, "Mail goes out by "+h+": SPF has to allow its addresses too, as whoever runs it says (an include, mostly).")
	}
	return f, notes, nil
}

// hops are the hosts of others that mail goes out by.
func (n *Node) hops(v directory.View) (list []string, err error) {
	if n.cfg.Outbound.Relay != "" {
		list = append(list, "the relay "+n.cfg.Outbound.Relay)
	}
	err = v.EachMailRecord(directory.MailRoute, "", func(m *directorypb.MailRecord) error {
		if hosts := m.GetRoute().GetHosts(); len(hosts) > 0 {
			list = append(list, strings.Join(hosts, ", ")+" (route "+m.Name+")")
		}
		return nil
	})
	return list, err
}

// senders are the addresses that the cluster was given to send by.
func senders(v directory.View) (list []zone.Sender, err error) {
	err = v.EachMailRecord(directory.MailEgress, "", func(m *directorypb.MailRecord) error {
		e := m.GetEgress()
		a, err := netip.ParseAddr(e.GetAddress())
		if err != nil {
			return nil // nothing is sent by it either
		}
		s := zone.Sender{Address: a.Unmap(), Name: strings.ToLower(e.GetHello())}
		if s.Name == "" {
			at, err := v.Node(cluster.NodeID(e.GetNode()))
			if err != nil && !errors.Is(err, directory.ErrNotFound) {
				return err
			}
			s.Name = at.MailName
		}
		list = append(list, s)
		return nil
	})
	return list, err
}

// mailHosts are the nodes as hosts of mail, with the keys of those that answer now.
func (n *Node) mailHosts(ctx context.Context) (list []zone.Host, notes []string, err error) {
	nodes, _, err := n.membersAndMap()
	if err != nil {
		return nil, nil, err
	}
	reports := n.reports(ctx, nodes)
	var names []string
	for _, m := range nodes {
		if m.State == directory.NodeRemoved {
			continue
		}
		if m.ID == n.id && m.MailName == "" {
			m.MailName = strings.ToLower(n.cfg.SMTP.Hostname)
		}
		if m.MailName == "" {
			notes = append(notes, fmt.Sprintf("The mail name of node %s is not known: it tells it once every node runs this version.", m.ID))
			continue
		}
		key := reports[m.ID].MailKey
		if key == "" {
			notes = append(notes, fmt.Sprintf("Node %s did not tell its certificate's key: there is no TLSA record for it.", m.ID))
		}
		names = append(names, m.MailName)
		list = append(list, zone.Host{Name: m.MailName, Preference: preference, Key: key})
	}
	r, err := n.freshResolver()
	if err != nil {
		return nil, nil, err
	}
	addresses := survey.Addresses(ctx, r, names)
	for i := range list {
		list[i].Addresses = addresses[list[i].Name]
	}
	return list, notes, nil
}

// services are those that this node offers to mail clients over TLS, in the belief that the others do the same.
func (n *Node) services() (list []zone.Service) {
	for _, s := range []struct {
		name   string
		listen []string
	}{{"_submissions", n.cfg.SMTP.Submissions}, {"_imaps", n.cfg.IMAP.TLSListen}} {
		if len(s.listen) == 0 {
			continue
		}
		_, text, err := net.SplitHostPort(s.listen[0])
		if port, bad := strconv.ParseUint(text, 10, 16); err == nil && bad == nil {
			list = append(list, zone.Service{Name: s.name, Port: uint16(port)})
		}
	}
	return list
}

// reportsTo is whom reports about a domain go to.
func reportsTo(m *directorypb.DomainMail, domain string) string {
	if m.TlsReportsTo != "" {
		return m.TlsReportsTo
	}
	return directory.TLSReports + "@" + domain
}

// dmarcReportsTo is whom reports about mail in a domain's name go to.
func dmarcReportsTo(m *directorypb.DomainMail, domain string) string {
	if m.DmarcReportsTo != "" {
		return m.DmarcReportsTo
	}
	return directory.DMARCReports + "@" + domain
}

// domainMail is what a domain was set to publish; an empty record where nothing was.
func domainMail(v directory.View, domain string) (*directorypb.DomainMail, error) {
	m, err := v.MailRecord(directory.MailDomainMail, domain)
	if errors.Is(err, directory.ErrNotFound) {
		return &directorypb.DomainMail{}, nil
	}
	return m.GetDomainMail(), err
}

// needThird refuses what builds before this version do not know.
func (n *Node) needThird() error {
	if n.level() < command.LevelThird {
		return fmt.Errorf("%w: %w", directory.ErrConflict, command.ErrTooEarly)
	}
	return nil
}
