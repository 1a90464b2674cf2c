package node

import (
	"context"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta/runner"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// sendMail works on the queue of a partition, as leader work.
func (n *Node) sendMail(ctx context.Context, r *replica, term uint64) {
	if n.outbound == nil {
		return
	}
	runner.New(runner.Config{
		Group: r.ID(), Node: n.id, Hostname: n.cfg.SMTP.Hostname, Proposer: n.router, Store: queueStore{n.store},
		Snapshot: func() (kv.Snapshot, error) { return r.Snapshot(), nil },
		Sender:   n.chain(), Lanes: n.outbound.lanes, Told: n.told, Wake: r.queue.Watch, Gate: &r.gate, Schedule: n.outbound.policy.schedule, NewID: mailstore.RandomID, ReportID: smtpd.RandomID, Logger: n.log,
	}).Run(ctx, term)
}

// chain is what an attempt goes through, the first outermost.
func (n *Node) chain() runner.Sender {
	return sender{n, n.outbound.routes}
}

// queueStore is the mail store as the queue's workers need it.
type queueStore struct{ *mailstore.Store }

func (s queueStore) NewReport(ctx context.Context, a index.AccountID, trace []byte) runner.Incoming {
	return s.NewIncoming(ctx, []index.AccountID{a}, trace)
}
