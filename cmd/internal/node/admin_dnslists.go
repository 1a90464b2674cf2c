package node

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/dnsbl"
)

var _ adminapi.DNSLists = (*Node)(nil)

// maxDNSLists bounds the lists of a cluster: each client is looked up in all of them.
const maxDNSLists = 20

// DNSLists lists the lists, with what they did for this node.
func (n *Node) DNSLists(context.Context) ([]adminapi.DNSList, error) {
	records, err := n.mailRecordsOf(directory.MailDNSList, "")
	out := []adminapi.DNSList{}
	for _, m := range records {
		l := adminapi.DNSList{Zone: m.Name, Codes: m.GetDnsList().GetCodes(), Off: m.GetDnsList().GetOff()}
		if p := n.porters.Load(); p != nil {
			s := p.ListState(m.Name)
			l.Asked, l.Listed, l.Failed, l.Refused, l.RefusedAt = s.Asked, s.Listed, s.Failed, s.Refused, s.RefusedAt
		}
		out = append(out, l)
	}
	return out, err
}

// PutDNSList makes or replaces a list.
func (n *Node) PutDNSList(ctx context.Context, l adminapi.DNSList) error {
	zone, err := address.ParseDomain(l.Zone)
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	codes, err := dnsbl.ParseCodes(l.Codes)
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	records, err := n.mailRecordsOf(directory.MailDNSList, "")
	if err != nil {
		return err
	}
	others := 0
	for _, m := range records {
		if m.Name != zone {
			others++
		}
	}
	if others >= maxDNSLists {
		return fmt.Errorf("%w: there are %d lists; no more are asked", directory.ErrInvalid, others)
	}
	return n.putMail(ctx, directory.MailChange{Record: &directorypb.MailRecord{Name: zone,
		Record: &directorypb.MailRecord_DnsList{DnsList: &directorypb.DnsList{Codes: dnsbl.FormatCodes(codes), Off: l.Off}}}})
}

// DeleteDNSList takes a list away.
func (n *Node) DeleteDNSList(ctx context.Context, zone string) error {
	name, err := address.ParseDomain(zone)
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	return n.removeMail(ctx, directory.MailDNSList, name)
}

// TestDNSLists asks all lists about an address, those that are off too.
func (n *Node) TestDNSLists(ctx context.Context, text string) ([]adminapi.DNSListAnswer, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %q is no address", directory.ErrInvalid, text)
	}
	p := n.porters.Load()
	if p == nil {
		return nil, fmt.Errorf("%w: node %s does not look at mail that comes in ([inbound] of its configuration)", directory.ErrInvalid, n.id)
	}
	records, err := n.mailRecordsOf(directory.MailDNSList, "")
	if err != nil {
		return nil, err
	}
	var lists []dnsbl.List
	for _, m := range records {
		if codes, err := dnsbl.ParseCodes(m.GetDnsList().GetCodes()); err == nil {
			lists = append(lists, dnsbl.List{Zone: m.Name, Codes: codes})
		}
	}
	answers, errs := p.Lookup(ctx, addr, lists)
	out := []adminapi.DNSListAnswer{}
	for i, a := range answers {
		r := adminapi.DNSListAnswer{Zone: a.Zone, Name: dnsbl.Name(addr, a.Zone), Score: a.Score, Result: "not listed"}
		switch {
		case errs[i] != nil:
			r.Result = "no answer"
		case a.Refused || a.Broken:
			r.Result = "refused"
		case a.Listed:
			r.Result = "listed"
		}
		for _, c := range a.Codes {
			r.Codes = append(r.Codes, c.String())
		}
		out = append(out, r)
	}
	return out, nil
}
