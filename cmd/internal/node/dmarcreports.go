package node

import (
	"context"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/mta/dmarcpost"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/inbound"
)

// dmarcReports tell other domains what came in their name, where the setting dmarc_reports says so and mail goes out.
type dmarcReports struct {
	collector *dmarcpost.Collector
	sender    *dmarcpost.Sender
}

// openDMARCReports makes them ready; nil where mail to other domains is off.
func (n *Node) openDMARCReports() *dmarcReports {
	if !n.cfg.Outbound.Enabled {
		return nil
	}
	wanted := func() bool {
		rules, err := n.clusterRules()
		return err == nil && rules.settings.DMARCReports && n.level() >= command.LevelThird
	}
	return &dmarcReports{
		collector: dmarcpost.NewCollector(dmarcpost.CollectorConfig{Node: string(n.id), Directory: mailRecords{n}, Wanted: wanted, Every: countsEvery, Logger: n.log}),
		sender: dmarcpost.NewSender(dmarcpost.SenderConfig{Directory: mailRecords{n}, Lookup: dns.Lists{Resolver: n.resolver}, Wanted: wanted, Logger: n.log,
			Identity: func() (dmarcpost.Identity, error) {
				who, err := n.reportIdentity()
				return dmarcpost.Identity{Domain: who.Domain, Contact: who.Contact}, err
			},
			Mail: func(ctx context.Context, to string, message []byte) error {
				return n.post(ctx, post{To: to, Message: message})
			}}),
	}
}

// observe counts a message that was decided about.
func (r *dmarcReports) observe(d *decision) {
	if r == nil || !d.checked || len(d.parties) == 0 {
		return
	}
	published, row, ok := d.results.Report()
	if !ok {
		return
	}
	worst := inbound.Accept
	for _, p := range d.parties {
		worst = max(worst, p.verdict.Action)
	}
	switch {
	case worst == inbound.Defer:
		return // it comes again
	case row.Passed():
	case worst == inbound.Refuse:
		row.Disposition = "reject"
	case worst == inbound.Junk:
		row.Disposition = "quarantine"
	}
	r.collector.Observe(published, row, worst >= inbound.Junk)
}

// run does what every node does.
func (r *dmarcReports) run(ctx context.Context) {
	if r != nil {
		r.collector.Run(ctx)
	}
}

// lead does what the node that leads the directory does.
func (r *dmarcReports) lead(ctx context.Context) {
	if r != nil {
		r.sender.Run(ctx)
	}
}
