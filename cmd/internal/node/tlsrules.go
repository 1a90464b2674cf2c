package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/tlspolicy"
)

var _ adminapi.TLSRules = (*Node)(nil)

// maxRuleNames is how many names a rule may have.
const maxRuleNames = 50

// TLSRules lists the rules.
func (n *Node) TLSRules(context.Context) ([]adminapi.TLSRule, error) {
	list, err := n.mailRecordsOf(directory.MailTLSRule, "")
	out := []adminapi.TLSRule{}
	for _, m := range list {
		out = append(out, adminapi.TLSRule{Domain: m.Name, Level: m.GetTlsRule().GetLevel(), Names: m.GetTlsRule().GetNames()})
	}
	return out, err
}

// PutTLSRule makes a rule, or replaces it.
func (n *Node) PutTLSRule(ctx context.Context, r adminapi.TLSRule) error {
	record, err := ruleRecord(r)
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	return n.putMail(ctx, directory.MailChange{Record: record})
}

// DeleteTLSRule ends a rule.
func (n *Node) DeleteTLSRule(ctx context.Context, domain string) error {
	name, err := domainOrBelow(domain)
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	m, err := n.mailRecord(directory.MailTLSRule, name)
	if err != nil {
		return fmt.Errorf("there is no rule for %s: %w", name, err)
	}
	return n.putMail(ctx, directory.MailChange{Record: m, Remove: true})
}

// ruleRecord is a rule as it is kept.
func ruleRecord(r adminapi.TLSRule) (*directorypb.MailRecord, error) {
	level, err := tlspolicy.ParseLevel(r.Level)
	switch {
	case err != nil:
		return nil, err
	case level == tlspolicy.Opportunistic:
		return nil, errors.New("a rule asks for encrypt or verify; remove it to ask for nothing")
	case level != tlspolicy.Verified && len(r.Names) > 0:
		return nil, errors.New("names are for level verify")
	case len(r.Names) > maxRuleNames:
		return nil, fmt.Errorf("%d names; %d are allowed", len(r.Names), maxRuleNames)
	}
	domain, err := domainOrBelow(r.Domain)
	if err != nil {
		return nil, err
	}
	rule := &directorypb.TlsRule{Level: level.String()}
	for _, text := range r.Names {
		name, err := domainOrBelow(text)
		if err != nil {
			return nil, err
		}
		rule.Names = append(rule.Names, name)
	}
	return &directorypb.MailRecord{Name: domain, Record: &directorypb.MailRecord_TlsRule{TlsRule: rule}}, nil
}

// domainOrBelow reads a domain, or .domain for all below it.
func domainOrBelow(text string) (string, error) {
	rest, below := strings.CutPrefix(text, ".")
	name, err := address.ParseDomain(rest)
	if err == nil && below {
		name = "." + name
	}
	return name, err
}

// ruleFor finds the rule for a domain: its own, or that of the nearest domain above it. Without one it is the zero Rule.
func ruleFor(v directory.View, domain string) (tlspolicy.Rule, error) {
	for name := domain; name != ""; {
		m, err := v.MailRecord(directory.MailTLSRule, name)
		if err == nil {
			r := m.GetTlsRule()
			level, err := tlspolicy.ParseLevel(r.GetLevel())
			if err != nil {
				level = tlspolicy.Verified // of a newer version: nothing goes in clear that it would hold
			}
			return tlspolicy.Rule{Level: level, Names: r.GetNames()}, nil
		}
		if !errors.Is(err, directory.ErrNotFound) {
			return tlspolicy.Rule{}, fmt.Errorf("read the rule of TLS for %s: %w", domain, err)
		}
		_, above, ok := strings.Cut(strings.TrimPrefix(name, "."), ".")
		if !ok {
			break
		}
		name = "." + above
	}
	return tlspolicy.Rule{}, nil
}
