package node

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
)

// The bounds of what is told of refusals: a flood of them must not fill what is kept of mail that came.
const (
	refusalsWaiting = 200             // told soon; what comes above is counted, and in the log
	refusalsPause   = time.Second / 5 // between two that are told by this node, once refusalsBurst is used up
	refusalsBurst   = 50
)

// refusal is a message that was not taken for a recipient who is here.
type refusal struct {
	id       mta.ID
	from, to string
	client   string
	checked  string
	reply    *mta.Reply
}

// refusals has the stories of messages be kept that were refused, in the partition of whom they were for.
type refusals struct {
	n       *Node
	waiting chan refusal
	told    atomic.Uint64
	dropped atomic.Uint64
}

func newRefusals(n *Node) *refusals {
	return &refusals{n: n, waiting: make(chan refusal, refusalsWaiting)}
}

// tell has a refusal be told, if there is room for it. It does not wait.
func (r *refusals) tell(one refusal) {
	select {
	case r.waiting <- one:
	default:
		r.dropped.Add(1)
	}
}

// run tells refusals until ctx ends.
func (r *refusals) run(ctx context.Context) {
	left, since := refusalsBurst, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case one := <-r.waiting:
			passed := int(time.Since(since) / refusalsPause)
			left, since = min(left+passed, refusalsBurst), since.Add(time.Duration(passed)*refusalsPause)
			switch {
			case left > 0:
				left--
			case sleep(ctx, refusalsPause, nil):
				since = since.Add(refusalsPause) // that one is used up
			default:
				return
			}
			if err := r.keep(ctx, one); err != nil && ctx.Err() == nil {
				r.n.log.Debug("a refusal is not in the stories", "id", one.id, "error", err)
				r.dropped.Add(1)
			}
		}
	}
}

// refusalPatience is how long the partition may take.
const refusalPatience = 5 * time.Second

// keep has the partition of the first account that the recipient leads to keep the story.
func (r *refusals) keep(ctx context.Context, one refusal) error {
	if r.n.level() < command.LevelThird || r.n.traceDays() == 0 {
		return nil
	}
	account := index.AccountID(0)
	err := r.n.view(func(v directory.View) error {
		found, err := v.Resolve(one.to)
		if err == nil && len(found.Accounts) > 0 {
			account = found.Accounts[0].Account.ID
		}
		return err
	})
	if err != nil || account == 0 {
		return err
	}
	g, err := r.n.locate(account)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, refusalPatience)
	defer cancel()
	told := queue.Arrival{ID: one.id, Sender: one.from, Node: r.n.id, Client: one.client, Checked: one.checked}
	if _, err := r.n.proposeQueue(ctx, g, command.Submit, told.Refused(one.to, one.reply)); err != nil {
		return err
	}
	r.told.Add(1)
	return nil
}

// collectors are the metrics of refusals.
func (r *refusals) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "rookery_inbound_refusals_told_total", Help: "Refused messages whose story is kept."},
			func() float64 { return float64(r.told.Load()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "rookery_inbound_refusals_untold_total", Help: "Refused messages of which only the log knows, since there were too many at once."},
			func() float64 { return float64(r.dropped.Load()) }),
	}
}
