package node

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rookery-mail/rookery/mta/receiver"
	"github.com/rookery-mail/rookery/mta/shaping"
)

// siteMetrics are figures by receiver. They name those of the table of large receivers, and others with namedAfter
// attempts while there are fewer than namedSites of them; the rest are otherSites. A site that is named stays so.
type siteMetrics struct {
	n          *Node
	attempts   *prometheus.CounterVec
	recipients *prometheus.CounterVec

	mu    sync.Mutex // guards what follows
	named map[string]bool
	more  int            // that are named beside the table
	seeks map[string]int // attempts of those that are not named
}

const (
	namedSites = 50
	namedAfter = 100
	seekers    = 10_000
	otherSites = "other"
)

func newSiteMetrics(n *Node) *siteMetrics {
	m := &siteMetrics{n: n, named: map[string]bool{}, seeks: map[string]int{},
		attempts:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rookery_outbound_attempts_total", Help: "Attempts by receiver."}, []string{"site"}),
		recipients: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rookery_outbound_recipients_total", Help: "Recipients of attempts by receiver and outcome."}, []string{"site", "outcome"})}
	for _, s := range receiver.Sites() {
		m.named[s] = true
	}
	return m
}

// seen counts an attempt that ended.
func (m *siteMetrics) seen(site string, o shaping.Outcome) {
	label := m.label(site, true)
	if o.Unmade {
		m.recipients.WithLabelValues(label, "postponed").Inc()
		return
	}
	m.attempts.WithLabelValues(label).Inc()
	for outcome, count := range map[string]int{"delivered": o.Delivered, "deferred": o.Deferred, "failed": o.Failed} {
		m.recipients.WithLabelValues(label, outcome).Add(float64(count))
	}
}

// label is the name of a site in metrics.
func (m *siteMetrics) label(site string, attempt bool) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.named[site]:
		return site
	case !attempt || m.more >= namedSites:
		return otherSites
	}
	if len(m.seeks) >= seekers {
		clear(m.seeks)
	}
	if m.seeks[site]++; m.seeks[site] < namedAfter {
		return otherSites
	}
	delete(m.seeks, site)
	m.named[site] = true
	m.more++
	return site
}

// Describe is empty on purpose: which receivers there are changes.
func (*siteMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect gives what is as it is now.
func (m *siteMetrics) Collect(out chan<- prometheus.Metric) {
	if m.n.host == nil {
		return
	}
	gauges := func(name, help, label string, values map[string]float64) {
		desc := prometheus.NewDesc("rookery_outbound_"+name, help, []string{label}, nil)
		for l, v := range values {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, l)
		}
	}
	active, closed, waiting := map[string]float64{}, map[string]float64{}, map[string]float64{}
	now := time.Now()
	for _, s := range m.n.outbound.lanes.States() {
		label := m.label(s.Site, false)
		active[label] += float64(s.Attempts)
		if now.Before(s.ClosedUntil) {
			closed[label]++
		}
	}
	w := m.n.waiting()
	for site, count := range w.bySite {
		waiting[m.label(site, false)] += float64(count)
	}
	depth, oldest := map[string]float64{}, map[string]float64{}
	for g, count := range w.byGroup {
		depth[g.String()] = float64(count)
		if at := w.oldest[g]; !at.IsZero() {
			oldest[g.String()] = now.Sub(at).Seconds()
		}
	}
	gauges("attempts", "Attempts that go on, each over one connection.", "site", active)
	gauges("closed_sites", "Receivers that are left alone for a while.", "site", closed)
	gauges("waiting", "Recipients that wait, in partitions that this node leads.", "site", waiting)
	gauges("queue_recipients", "Recipients that wait, by partition that this node leads.", "group", depth)
	gauges("queue_oldest_seconds", "Age of the oldest message, by partition that this node leads.", "group", oldest)
}
