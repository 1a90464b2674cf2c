package node

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/porter"
)

// gate gives a lookout a porter that goes by the directory of the test, and tells its news until the test ends.
func (l *lookout) gate(t *testing.T, d *directorytest.Directory, zone *dnstest.Zone) *porters {
	t.Helper()
	p := l.newPorters(dns.New(dns.Config{Servers: []string{"test"}, Exchange: zone.Exchange, Rounds: 1}), nil)
	p.probes.settings = l.guard.settings
	p.rules.ours = func(string) bool { return false }
	p.rules.view = func(fn func(directory.View) error) error {
		snapshot := d.Snapshot()
		defer snapshot.Close()
		return fn(directory.View{R: snapshot})
	}
	l.porters.Store(p) // from now on gossip reaches it
	life, cancel := context.WithCancel(t.Context())
	l.telling.Go(func() { p.run(life) })
	t.Cleanup(func() {
		p.Close()
		cancel()
	})
	return p
}

var here = netip.MustParseAddr("203.0.113.25")

// TestHarvesterIsBannedEverywhere: who tries names, on whichever node, waits longer each time and is then turned away by all
// of them; who hands over mail may misspell more, and an operator lifts the ban.
func TestHarvesterIsBannedEverywhere(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, map[string]string{"harvest_recipients": "12", "ban_failures": "0", "check_reverse": "off"})
	nodes := talking(t, d, false)
	for _, l := range nodes {
		l.gate(t, d, &dnstest.Zone{})
	}
	harvester, list := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("198.51.100.9")
	begin := func(l *lookout, remote netip.Addr) (*porter.Visit, *mta.Reply) {
		return l.porters.Load().Begin(t.Context(), remote, here)
	}
	var waited []time.Duration
	for i := range 12 {
		p := nodes[i%3].porters.Load()
		waited = append(waited, p.Probed(harvester, fmt.Sprintf("name%d@example.com", i)))
		for _, l := range nodes {
			soon(t, "the node has counted it", func() bool {
				s, err := l.guard.settings()
				return err == nil && (i == 11 || l.porters.Load().probes.tally.Count(netip.PrefixFrom(harvester, 32), l.porters.Load().probes.policy(s), time.Now()) == i+1)
			})
		}
	}
	if waited[2] != 0 || waited[4] == 0 || waited[10] <= waited[4] {
		t.Errorf("it waited %v", waited)
	}
	for _, l := range nodes {
		soon(t, "the harvester is turned away", func() bool {
			_, r := begin(l, harvester)
			return r != nil && r.Code == 421 && strings.HasPrefix(r.Text, "Mail from 192.0.2.7 is not taken before ")
		})
		if bans, err := l.Bans(t.Context()); err != nil || len(bans) != 1 || bans[0].Reason != "12 recipients that nobody knows within 15 minutes" {
			t.Errorf("%s lists %+v, %v", l.id, bans, err)
		}
	}
	visit, r := begin(nodes[0], list)
	if r != nil {
		t.Fatal(r)
	}
	for i := range 22 {
		nodes[0].porters.Load().Probed(list, fmt.Sprintf("gone%d@example.com", i))
		if i == 5 {
			visit.Taken([]string{"ann@example.com", "bob@example.com"})
		}
	}
	if _, r := begin(nodes[0], list); r != nil {
		t.Errorf("a mailing list with old addresses: %v", r)
	}
	if err := nodes[1].LiftBan(t.Context(), "192.0.2.7"); err != nil {
		t.Fatal(err)
	}
	for _, l := range nodes {
		soon(t, "the ban is lifted", func() bool { _, r := begin(l, harvester); return r == nil })
	}
}

// TestGreylistIsShared: who was put off by one node is let in by the others, and by one that was away; no MX is a way around
// or an obstacle.
func TestGreylistIsShared(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, map[string]string{"check_sender": "off"})
	nodes := talking(t, d, false)
	for _, l := range nodes {
		l.gate(t, d, &dnstest.Zone{})
	}
	stranger := netip.MustParseAddr("192.0.2.7") // DNS has no name for it
	write := func(l *lookout, to string) *mta.Reply {
		v, r := l.porters.Load().Begin(t.Context(), stranger, here)
		if r == nil {
			if r = v.Mail(t.Context(), "joe@example.net"); r == nil {
				r = v.Rcpt(t.Context(), to)
			}
		}
		return r
	}
	if r := write(nodes[0], "ann@example.com"); r == nil || r.Code != 451 || r.Text != "You are not known here yet: try again in 5 minutes" {
		t.Errorf("a stranger: %v", r)
	}
	rules := nodes[0].porters.Load().rules.get().Greylist
	before := time.Now().Add(-time.Hour) // as if that attempt had been then
	for _, to := range []string{"bob@example.com", "carol@example.com"} {
		nodes[0].porters.Load().greylist.Try(stranger, "example.net", to, rules, before)
	}
	nodes[0].porters.Load().hasNews()
	for _, to := range []string{"bob@example.com", "carol@example.com"} {
		soon(t, "another node knows the first attempt", func() bool { return write(nodes[1], to) == nil })
	}
	soon(t, "a third node knows that the network has proven", func() bool { return write(nodes[2], "dan@example.com") == nil })
	fresh := newLookout(t, "n9", d)
	fresh.gate(t, d, &dnstest.Zone{})
	t.Cleanup(fresh.telling.Wait)
	defence{fresh.Node}.Merge(defence{nodes[2].Node}.State())
	if r := write(fresh, "eve@example.com"); r != nil {
		t.Errorf("a node that was away: %v", r)
	}
}

// TestPorterRules: lists in the directory are asked, those that are off are not, and an address is looked up in all of them.
func TestPorterRules(t *testing.T) {
	d := newDirectory(t, map[string]string{"dnsbl_refuse": "5", "rate_sender": "7/8"})
	put := func(zone, codes string, off bool) {
		d.Must(t)(directory.PutMail(directory.MailChange{Record: &directorypb.MailRecord{Name: zone,
			Record: &directorypb.MailRecord_DnsList{DnsList: &directorypb.DnsList{Codes: codes, Off: off}}}}))
	}
	put("bl.example", "127.0.0.2=6", false)
	put("off.example", "127.0.0.0/8=9", true)
	put("newer.example", "~=what", false)
	put("over.example", "127.0.0.0/8=1", false)
	zone := &dnstest.Zone{}
	zone.Add("7.2.0.192.bl.example. 60 IN A 127.0.0.2\n7.2.0.192.off.example. 60 IN A 127.0.0.2\n7.2.0.192.over.example. 60 IN A 127.255.255.254")
	l := newLookout(t, cluster.NodeID("n1"), d)
	t.Cleanup(l.telling.Wait)
	p := l.gate(t, d, zone)
	v, r := p.Begin(t.Context(), netip.MustParseAddr("192.0.2.7"), here)
	if r != nil {
		t.Fatal(r)
	}
	if r := v.Rcpt(t.Context(), "ann@example.com"); r == nil || r.Error() != "550 5.7.1 192.0.2.7 is in bl.example (127.0.0.2); write to postmaster if that is wrong" {
		t.Errorf("who is listed: %v", r)
	}
	if rules := p.rules.get(); rules.From.Messages.Count != 7 || rules.From.Recipients.Count != 8 || len(rules.Lists) != 2 {
		t.Errorf("%+v", rules)
	}
	if zones := l.refusingLists(time.Now()); !slices.Equal(zones, []string{"over.example"}) || len(l.refusingLists(time.Now().Add(2*time.Hour))) != 0 {
		t.Errorf("lists that refuse us: %v", zones)
	}
	if problems := nodeProblems(directory.Node{ID: "n1"}, report{Lists: []string{"over.example"}}, true); len(problems) != 1 || !strings.Contains(problems[0].What, "over.example") {
		t.Errorf("%+v", problems)
	}
	if v, r := p.Begin(t.Context(), netip.MustParseAddr("127.0.0.1"), here); r != nil || v.Patience() >= 0 {
		t.Errorf("the loopback: %v", r)
	}
}
