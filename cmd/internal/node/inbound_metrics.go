package node

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rookery-mail/rookery/mta/inbound"
)

// inboundCounters are the metrics of verdicts.
type inboundCounters struct {
	verdicts *prometheus.CounterVec
	checks   *prometheus.CounterVec
}

func newInboundCounters(n *Node) *inboundCounters {
	c := &inboundCounters{
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rookery_inbound_verdicts_total", Help: "Verdicts on messages by what they are: accept, junk, defer, refuse; one for each account."}, []string{"verdict"}),
		checks:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rookery_inbound_checks_total", Help: "What checks found of messages, by check and result."}, []string{"check", "result"}),
	}
	n.counters.registry.MustRegister(c.verdicts, c.checks)
	n.counters.registry.MustRegister(n.refusals.collectors()...)
	return c
}

// message counts what was decided about one message.
func (c *inboundCounters) message(d *decision) {
	for _, p := range d.parties {
		c.verdicts.WithLabelValues(p.verdict.Action.String()).Inc()
	}
	if len(d.parties) == 0 {
		return
	}
	for _, f := range d.parties[0].verdict.Findings {
		c.checks.WithLabelValues(f.Check, resultLabel(f)).Inc()
	}
}

// resultLabel bounds how many results there are of a check: those of filters are their own.
func resultLabel(f inbound.Finding) string {
	if strings.Contains(f.Check, ":") {
		switch {
		case f.Score > 0:
			return "spam"
		case f.Score < 0:
			return "ham"
		}
		return "none"
	}
	return f.Result
}
