package node

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/inbound"
	"github.com/rookery-mail/rookery/mta/inbound/stamp"
)

// maxRules bounds the recipients whose policies are remembered.
const maxRules = 5000

// ruleBook remembers what the directory says of mail that comes in.
type ruleBook struct {
	cluster  moment[struct{}, clusterRules]
	accounts moment[ruleKey, accountPolicy]
}

// ruleKey names a recipient: an account, and the domain by which it is written to.
type ruleKey struct {
	account index.AccountID
	domain  string
}

func newRuleBook() *ruleBook {
	return &ruleBook{cluster: moment[struct{}, clusterRules]{most: 1}, accounts: moment[ruleKey, accountPolicy]{most: maxRules}}
}

// clusterRules are those of the cluster, the same for all recipients.
type clusterRules struct {
	settings directory.Settings
	from     map[string]inbound.Layer // what holds for mail that says it is from a domain
	senders  []inbound.Sender
	stamp    stamp.Rules
}

// accountPolicy is what holds for one recipient.
type accountPolicy struct {
	inbound.Policy
	account    inbound.Layer // what was set for the account itself, which comes last
	from       map[string]inbound.Layer
	subaddress string // off or existing
}

// of is the policy for mail of an author.
func (p accountPolicy) of(a inbound.Author) inbound.Policy {
	out := p.Policy
	for _, domain := range a.Domains() {
		if layer, ok := p.from[domain]; ok {
			out = out.With(layer)
		}
	}
	return out.With(p.account)
}

// The names of records of senders and policies: * is the cluster's, #17 is that of an account, from:example.org is for what says it
// is from there, all else is a domain of ours.
const (
	ofCluster  = "*"
	fromPrefix = "from:"
)

// clusterRules reads those of the cluster.
func (n *Node) clusterRules() (clusterRules, error) {
	return remembered(n, &n.ruleBook.cluster, struct{}{}, n.readClusterRules)
}

func (n *Node) readClusterRules(v directory.View) (rules clusterRules, err error) {
	if rules.settings, err = v.Settings(); err != nil {
		return rules, err
	}
	rules.from = map[string]inbound.Layer{}
	err = v.EachMailRecord(directory.MailInboundPolicy, fromPrefix, func(m *directorypb.MailRecord) error {
		domain := strings.TrimPrefix(m.Name, fromPrefix)
		rules.from[domain] = layerOf("mail from "+domain, m.GetInboundPolicy())
		return nil
	})
	if err != nil {
		return rules, err
	}
	if rules.senders, err = sendersOf(v, ofCluster, "the cluster"); err != nil {
		return rules, err
	}
	rules.stamp.Spam = true
	rules.stamp.Servers, err = n.ownServers(v)
	return rules, err
}

// ownServers are the names in which only we speak of authentication.
func (n *Node) ownServers(v directory.View) ([]string, error) {
	names, err := n.mailNames(v)
	if err != nil {
		return nil, err
	}
	domains, err := v.Domains()
	names = append(names, strings.ToLower(n.cfg.SMTP.Hostname))
	for _, d := range domains {
		names = append(names, d.Name)
	}
	return names, err
}

// unchecked reports whether mail from an address is not looked at. Without the directory all is.
func (n *Node) unchecked(address netip.Addr) bool {
	rules, err := n.clusterRules()
	return err == nil && rules.settings.Unchecked(address)
}

// accountName names the records of an account, whose address may change.
func accountName(a index.AccountID) string { return fmt.Sprintf("#%d", a) }

// accountPolicy is what holds for an account that is written to by an address; account 0 is for what leads elsewhere.
func (n *Node) accountPolicy(account index.AccountID, written string) (p accountPolicy, err error) {
	key := ruleKey{account, strings.ToLower(written[strings.LastIndexByte(written, '@')+1:])}
	p, err = remembered(n, &n.ruleBook.accounts, key, func(v directory.View) (accountPolicy, error) { return n.readAccountPolicy(v, key) })
	if err != nil {
		return p, err
	}
	local, _, _ := strings.Cut(written, "@")
	p.Postmaster = strings.EqualFold(local, directory.Postmaster)
	return p, nil
}

func (n *Node) readAccountPolicy(v directory.View, key ruleKey) (p accountPolicy, err error) {
	rules, err := n.clusterRules()
	if err != nil {
		return p, err
	}
	p = rules.policy()
	var lists [][]inbound.Sender
	if key.account != 0 {
		account, err := v.Account(key.account)
		if err != nil && !errors.Is(err, directory.ErrNotFound) {
			return p, err
		}
		of := "account " + account.Address
		if p.account, err = layerAt(v, accountName(key.account), of); err != nil {
			return p, err
		}
		own, err := sendersOf(v, accountName(key.account), of)
		if err != nil {
			return p, err
		}
		lists = append(lists, own)
	}
	layer, err := layerAt(v, key.domain, "domain "+key.domain)
	if err != nil {
		return p, err
	}
	p.Policy = p.Policy.With(layer)
	for _, l := range []inbound.Layer{layer, p.account} {
		if l.Subaddress != "" {
			p.subaddress = l.Subaddress
		}
	}
	domain, err := sendersOf(v, key.domain, "domain "+key.domain)
	p.Senders = slices.Concat(append(lists, domain, rules.senders)...)
	return p, err
}

// policy is what the settings say.
func (r clusterRules) policy() accountPolicy {
	s := r.settings
	return accountPolicy{from: r.from, subaddress: s.SubaddressFolders, Policy: inbound.Policy{
		DMARC: inbound.DMARCMode(s.DMARCPolicy), DMARCLists: s.DMARCLists == "junk", DMARCError: s.DMARCUnknown == "defer",
		FromBroken: s.SeveralFrom, VirusJunk: s.Viruses == "junk", JunkScore: s.JunkScore, RefuseScore: s.RefuseScore,
	}}
}

// layerAt reads what was set under a name; nothing where there is no record.
func layerAt(v directory.View, name, of string) (inbound.Layer, error) {
	m, err := v.MailRecord(directory.MailInboundPolicy, name)
	if errors.Is(err, directory.ErrNotFound) {
		return inbound.Layer{}, nil
	}
	if err != nil {
		return inbound.Layer{}, err
	}
	return layerOf(of, m.GetInboundPolicy()), nil
}

func layerOf(of string, m *directorypb.InboundPolicy) inbound.Layer {
	return inbound.Layer{Of: of, DMARC: inbound.DMARCMode(m.GetDmarc()), JunkScore: m.JunkScore, RefuseScore: m.RefuseScore, Subaddress: m.GetSubaddressFolders()}
}

// sendersOf reads the list of a name. What a newer version wrote and this one cannot read is passed over.
func sendersOf(v directory.View, name, of string) ([]inbound.Sender, error) {
	m, err := v.MailRecord(directory.MailSenderList, name)
	if errors.Is(err, directory.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []inbound.Sender
	for _, s := range m.GetSenderList().GetSenders() {
		if pattern, err := inbound.ParsePattern(s.Pattern); err == nil {
			out = append(out, inbound.Sender{Pattern: pattern, Allow: s.Allow, Junk: s.Junk, Of: of})
		}
	}
	return out, nil
}
