package node

import (
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/dnsbl"
	"github.com/rookery-mail/rookery/mta/greylist"
	"github.com/rookery-mail/rookery/mta/meter"
	"github.com/rookery-mail/rookery/mta/policy"
	"github.com/rookery-mail/rookery/mta/porter"
)

// porterRules are the settings that clients of port 25 are held against.
type porterRules struct {
	view func(func(directory.View) error) error
	ours func(name string) bool
	now  func() time.Time

	mu    sync.Mutex // guards what follows
	read  time.Time
	rules porter.Rules
}

// rulesAge is how old the rules may be that a client is held against.
const rulesAge = time.Second

// How long the greylist remembers: senders try for days, and come again within a month.
const (
	greylistWindow = 48 * time.Hour
	greylistKeep   = 36 * 24 * time.Hour
)

// get returns the rules. Where they cannot be read those of before hold.
func (r *porterRules) get() porter.Rules {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now(); r.read.IsZero() || now.Sub(r.read) > rulesAge {
		var s directory.Settings
		var lists []dnsbl.List
		err := r.view(func(v directory.View) (err error) {
			if s, err = v.Settings(); err == nil {
				lists, err = dnsLists(v)
			}
			return err
		})
		if err != nil && r.read.IsZero() { // no settings are known: nobody is held against any
			s = directory.Settings{UncheckedNetworks: "0.0.0.0/0 ::/0"}
		}
		if err == nil || r.read.IsZero() {
			r.rules = rulesOf(s, lists)
			r.rules.Ours = r.ours
		}
		r.read = now
	}
	return r.rules
}

// rulesOf are the rules that settings make.
func rulesOf(s directory.Settings, lists []dnsbl.List) porter.Rules {
	return porter.Rules{
		Early: policy.Mode(s.CheckEarly), Hello: policy.Mode(s.CheckHelo), Reverse: policy.Mode(s.CheckReverse), Sender: policy.Mode(s.CheckSender),
		ListRefuse: s.DNSBLRefuse, GreylistScore: s.GreylistScore,
		Greylist:  greylist.Policy{Delay: minutes(s.GreylistMinutes), Window: greylistWindow, Keep: greylistKeep},
		Address:   ratesOf(s.RateAddress),
		Network:   ratesOf(s.RateNetwork),
		From:      ratesOf(s.RateSender),
		Unchecked: s.Unchecked, Trusted: s.Trusts,
		Lists: lists,
	}
}

func ratesOf(r directory.Rates) porter.Rates {
	return porter.Rates{Connections: meter.Limit{Count: r.Connections, Per: time.Minute},
		Messages: meter.Limit{Count: r.Messages, Per: time.Hour}, Recipients: meter.Limit{Count: r.Recipients, Per: time.Hour}}
}

// dnsLists are the lists that are asked. One that a newer version wrote, and that is not understood here, is not.
func dnsLists(v directory.View) (lists []dnsbl.List, err error) {
	err = v.EachMailRecord(directory.MailDNSList, "", func(m *directorypb.MailRecord) error {
		if codes, err := dnsbl.ParseCodes(m.GetDnsList().GetCodes()); err == nil && !m.GetDnsList().GetOff() {
			lists = append(lists, dnsbl.List{Zone: m.Name, Codes: codes})
		}
		return nil
	})
	return lists, err
}

// refusingFor is for how long a list that did not answer is told of.
const refusingFor = time.Hour

// refusingLists are the lists that are asked and did not answer this node within the last hour.
func (n *Node) refusingLists(now time.Time) (zones []string) {
	p := n.porters.Load()
	if p == nil {
		return nil
	}
	for _, l := range p.rules.get().Lists {
		if at := p.ListState(l.Zone).RefusedAt; !at.IsZero() && now.Sub(at) < refusingFor {
			zones = append(zones, l.Zone)
		}
	}
	return zones
}
