package node

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rookery-mail/rookery/cluster/ban"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/porter"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// counters are the node's metrics. The names are those of docs/operate.md.
type counters struct {
	registry     *prometheus.Registry
	connections  *prometheus.GaugeVec
	transactions *prometheus.CounterVec
	refusals     *prometheus.CounterVec
	octets       prometheus.Counter
	seconds      prometheus.Histogram
	auths        *prometheus.CounterVec
	commands     *prometheus.CounterVec
	imapRefused  *prometheus.CounterVec
	proxied      prometheus.Gauge
	inbound      *inboundCounters // from when mail is served; nil where it is not looked at
}

var _ smtpd.Metrics = (*counters)(nil)

func newCounters(n *Node) *counters {
	c := &counters{
		registry:     prometheus.NewRegistry(),
		connections:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rookery_connections", Help: "Open client connections by door."}, []string{"door"}),
		transactions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rookery_smtp_messages_total", Help: "Messages by door and the reply to their last octet."}, []string{"door", "code"}),
		refusals:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rookery_smtp_refusals_total", Help: "Commands and connections refused by door, reply and enhanced code."}, []string{"door", "code", "enhanced"}),
		octets:       prometheus.NewCounter(prometheus.CounterOpts{Name: "rookery_smtp_octets_total", Help: "Octets of accepted messages."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rookery_smtp_delivery_seconds",
			Help: "From the last octet of a message to its reply.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}),
		auths:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rookery_logins_total", Help: "Logins by door and outcome."}, []string{"door", "outcome"}),
		commands:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rookery_imap_commands_total", Help: "IMAP commands by name and outcome."}, []string{"command", "outcome"}),
		imapRefused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rookery_imap_refused_connections_total", Help: "IMAP connections refused by a limit."}, []string{"door"}),
		proxied:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "rookery_imap_proxied_connections", Help: "IMAP connections that another node serves, since it holds the mailbox."}),
	}
	c.registry.MustRegister(c.connections, c.transactions, c.refusals, c.octets, c.seconds, c.auths, c.commands, c.imapRefused, c.proxied,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), groupCollector{n})
	return c
}

func (c *counters) handler() http.Handler {
	return promhttp.HandlerFor(c.registry, promhttp.HandlerOpts{})
}

// logins adds what the authenticator counts itself.
func (c *counters) logins(stats func() login.Stats) {
	c.registry.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "rookery_login_computed_total", Help: "Passwords that were computed."},
			func() float64 { return float64(stats().Computed) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "rookery_login_cached_total", Help: "Logins answered from memory."},
			func() float64 { return float64(stats().Cached) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rookery_login_waiting", Help: "Logins that wait for a processor."},
			func() float64 { return float64(stats().Waiting) }))
}

// bans adds how many networks this node banned, and how many it knows to be.
func (c *counters) bans(made func() uint64, list *ban.List) {
	c.registry.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "rookery_bans_made_total", Help: "Networks that this node banned for failed logins or for trying recipients."},
			func() float64 { return float64(made()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rookery_bans", Help: "Networks that are banned, as this node knows them."},
			func() float64 { return float64(len(list.Bans(time.Now()))) }))
}

// porters adds whom this node refuses, puts off or slows down on port 25, and returns what counts one.
func (c *counters) porters() func(porter.Why) {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rookery_mx_turned_away_total",
		Help: "Clients of port 25, senders and recipients that were refused, put off (greylist, rate) or slowed down, by reason."}, []string{"why"})
	c.registry.MustRegister(v)
	return func(w porter.Why) { v.WithLabelValues(string(w)).Inc() }
}

// Connections counts a connection of the SMTP doors.
func (c *counters) Connections(k smtpd.Kind, delta int) {
	c.connections.WithLabelValues(string(k)).Add(float64(delta))
}

// Refused counts a refused command.
func (c *counters) Refused(k smtpd.Kind, r *mta.Reply) {
	c.refusals.WithLabelValues(string(k), strconv.Itoa(r.Code), string(r.Enhanced)).Inc()
}

// Transaction counts a message.
func (c *counters) Transaction(k smtpd.Kind, r *mta.Reply, octets int64, d time.Duration) {
	c.transactions.WithLabelValues(string(k), strconv.Itoa(r.Code)).Inc()
	if r.Positive() {
		c.octets.Add(float64(octets))
	}
	c.seconds.Observe(d.Seconds())
}

// Auth counts a login at the SMTP doors.
func (c *counters) Auth(k smtpd.Kind, ok bool) {
	outcome := "refused"
	if ok {
		outcome = "accepted"
	}
	c.auths.WithLabelValues(string(k), outcome).Inc()
}

// groupCollector reads the replicas when metrics are asked for.
type groupCollector struct{ n *Node }

func groupDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("rookery_group_"+name, help, []string{"group"}, nil)
}

// Describe is empty on purpose: which groups there are changes.
func (groupCollector) Describe(chan<- *prometheus.Desc) {}

// Collect gives the figures of this node's replicas and databases.
func (g groupCollector) Collect(out chan<- prometheus.Metric) {
	if g.n.host == nil {
		return
	}
	leader, term := groupDesc("leader", "1 where this node leads the group."), groupDesc("term", "Raft term.")
	commit, applied := groupDesc("commit_index", "Raft commit index known here."), groupDesc("applied_index", "Raft index applied here.")
	logBytes := groupDesc("log_bytes", "Raft log held on disk, approximately.")
	for _, r := range g.n.host.all() {
		s, name := r.Status(), r.ID().String()
		leads := 0.0
		if s.State == "leader" {
			leads = 1
		}
		for _, m := range []struct {
			desc  *prometheus.Desc
			value float64
		}{{leader, leads}, {term, float64(s.Term)}, {commit, float64(s.Commit)}, {applied, float64(s.Applied)}, {logBytes, float64(s.LogBytes)}} {
			out <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, m.value, name)
		}
	}
	if fsyncs, err := g.n.logs.Fsyncs(); err == nil {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("rookery_log_fsyncs_total", "Fsyncs of the Raft log.", nil, nil),
			prometheus.CounterValue, float64(fsyncs))
	}
}
